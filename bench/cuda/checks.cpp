#include "checks.h"

#include <lathe/conform/op_cases.h>

#include <algorithm>
#include <cmath>

#include "gpt2.h"

namespace lathe::bench {
namespace {

std::vector<double> losses_of(const std::string& backend, const std::string& precision,
                              const Sizes& sizes) {
  Gpt2Setup setup;
  setup.backend = backend;
  setup.deterministic = backend == "cuda";
  setup.batch = sizes.loss_batch;
  setup.length = sizes.loss_length;
  setup.precision = precision;
  setup.small = sizes.quick;
  Gpt2 model(setup);
  std::vector<double> losses;
  for (int step = 0; step < sizes.losses; ++step) losses.push_back(model.trainer.step().loss);
  return losses;
}

Finding summed_up(const std::string& group, const std::string& name,
                  const std::vector<std::string>& failures, double seconds) {
  Finding finding{
      .group = group, .name = name, .passed = failures.empty(), .value = seconds, .unit = "s"};
  if (!failures.empty()) {
    finding.note = cat(failures.size(), " failures, the first: ", failures.front());
  }
  return finding;
}
}  // namespace

void check_ops(const std::string& name, const Sizes& sizes, const Take& take) {
  const auto backend = registry().create<Backend>(
      name, name == "cuda" ? Config::table({{"deterministic", Config::boolean(true)}}) : Config());
  const auto reference = registry().create<Backend>("reference", Config());
  const std::vector<conform::Op> few{conform::Op::copy, conform::Op::linear};
  for (const conform::Op op : sizes.quick ? few : conform::all_ops()) {
    const double begin = seconds_now();
    const auto results = conform::check_results(op, *backend, *reference);
    take(summed_up("op results", conform::name_of(op), results, seconds_now() - begin));
    const double again = seconds_now();
    const auto bits = conform::check_same_bits(op, *backend);
    take(summed_up("op bits", conform::name_of(op), bits, seconds_now() - again));
  }
}

void check_losses(const std::string& backend, const Sizes& sizes, const Take& take) {
  const std::vector<double> truth = losses_of("onednn", "f32", sizes);
  struct Precision {
    const char* name;
    double bound;
  };
  for (const Precision& precision : {Precision{"f32", 1e-5}, Precision{"bf16", 0x1p-8}}) {
    const std::vector<double> losses = losses_of(backend, precision.name, sizes);
    double most = 0;
    for (std::size_t i = 0; i < truth.size(); ++i) {
      const double off = std::abs(losses[i] - truth[i]) / truth[i];
      if (!(off <= most)) most = off;  // a NaN stays
    }
    take({.group = "losses",
          .name = cat(truth.size(), " steps, ", precision.name),
          .passed = most <= precision.bound,
          .value = most,
          .unit = "of the loss",
          .note = cat("allowed: ", precision.bound)});
    const bool same = losses == losses_of(backend, precision.name, sizes);
    take({.group = "losses", .name = cat("same bits again, ", precision.name), .passed = same});
  }
}

}  // namespace lathe::bench
