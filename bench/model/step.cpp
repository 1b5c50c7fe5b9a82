// One training step of GPT-2 124M beside its own limits: the matrix products of the step by oneDNN
// alone, and the rate of multiply-adds of the machine. Step and products take turns; a sample
// counts only between two probes that reach 90 % of the best (probe.h).
//
//   bench_step [--rounds R] [--matmul own|onednn] [--recompute none|gelu|norm|block]
//              [--only f32:4x256,...] [--ops]
//
// --ops prints where the time goes, op by op, instead. --serve reads a case from each line of
// standard input and answers with the seconds of one step ("probe": GFLOP/s), for compare.py.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <sstream>

#include "gpt2.h"
#include "probe.h"
#include "products.h"

#include <lathe/base/error.h>

namespace lathe::bench {
namespace {

struct Request {
  std::size_t rounds = 3;
  double limit = 60;  // seconds for one line
  std::string matmul = "own";
  std::string recompute = "none";
  std::string only = "f32:4x256,f32:4x64,f32:1x1024,bf16:4x256,bf16:4x64,bf16:1x1024";
  bool ops = false;
  bool serve = false;
};

// Causal attention: two products forward and five backward of T (T + 1) / 2 places, 64 values wide
// in each of 12 heads of 12 layers.
double attention_flops(std::int64_t batch, std::int64_t length) {
  const auto time = static_cast<double>(length);
  return 7 * static_cast<double>(batch) * time * (time + 1) * 768 * 12;
}

void measure(const Gpt2Setup& setup, const Request& request, const double (&peaks)[2]) {
  Gpt2 model(setup);
  const bool narrow = setup.precision == "bf16";
  Gpt2Products products(setup.batch * setup.length, narrow ? DType::bf16 : DType::f32);
  const TimedPair pair = gated_pair([&] { model.trainer.step(); }, [&] { products.run(); },
                                    request.rounds, request.limit);
  const double peak = peaks[narrow ? 1 : 0];
  const double flops = products.flops() + attention_flops(setup.batch, setup.length);
  const auto megabytes = [](std::size_t bytes) { return static_cast<double>(bytes) * 1e-6; };
  std::printf(
      "%-5s %lldx%-5lld %8.3f %8.0f %8.3f %7.2f %8.0f %7.0f %% %9.0f %7.0f %6.1f %6zu/%zu\n",
      setup.precision.c_str(), static_cast<long long>(setup.batch),
      static_cast<long long>(setup.length), pair.first.seconds,
      static_cast<double>(setup.batch * setup.length) / pair.first.seconds, pair.second.seconds,
      pair.ratio, flops / pair.first.seconds * 1e-9, 100 * flops / pair.first.seconds * 1e-9 / peak,
      megabytes(model.trainer.arena().planned_bytes()),
      megabytes(model.trainer.arena().slab_bytes()), resident_gigabytes(), pair.first.kept,
      request.rounds);
  std::fflush(stdout);
}

void show_ops(Gpt2Setup setup, const Request& request) {
  setup.timed = true;
  Gpt2 model(setup);
  model.trainer.step();
  model.trainer.step();
  op_times().clear();
  const double begin = seconds_now(), processor_begin = processor_seconds_now();
  for (std::size_t i = 0; i < request.rounds; ++i) model.trainer.step();
  const auto rounds = static_cast<double>(request.rounds);
  OpTime rest{(seconds_now() - begin) / rounds,
              (processor_seconds_now() - processor_begin) / rounds, 0};
  const auto line = [](const std::string& name, double seconds, double processor, double calls) {
    std::printf("  %-22s %9.2f ms %9.2f ms of all threads %6.0f calls\n", name.c_str(),
                seconds * 1e3, processor * 1e3, calls);
  };
  line(cat(setup.precision, " ", setup.batch, "x", setup.length), rest.seconds,
       rest.processor_seconds, 1);
  for (const auto& [op, time] : op_times()) {
    line(op, time.seconds / rounds, time.processor_seconds / rounds,
         static_cast<double>(time.calls) / rounds);
    rest.seconds -= time.seconds / rounds;
    rest.processor_seconds -= time.processor_seconds / rounds;
  }
  line("between ops", rest.seconds, rest.processor_seconds, 0);
}

// "bf16:4x256"
Gpt2Setup setup_of(const std::string& text, const Request& request) {
  Gpt2Setup setup;
  setup.matmul = request.matmul;
  setup.recompute = request.recompute;
  setup.precision = text.substr(0, text.find(':'));
  long long batch = 0, length = 0;
  if (std::sscanf(text.c_str() + setup.precision.size(), ":%lldx%lld", &batch, &length) != 2) {
    fail("'", text, "' is no PRECISION:BxT");
  }
  setup.batch = batch;
  setup.length = length;
  return setup;
}

void serve(const Request& request) {
  std::printf("# %s\n", registry().create<Backend>("onednn", Config())->device().c_str());
  std::fflush(stdout);
  std::string loaded;
  std::unique_ptr<Gpt2> model;
  for (std::string line; std::getline(std::cin, line);) {
    double answer = 0;
    if (line == "probe") {
      answer = fma_rate();
    } else {
      if (line != loaded) {
        model.reset();
        model = std::make_unique<Gpt2>(setup_of(line, request));
        loaded = line;
      }
      const double begin = seconds_now();
      model->trainer.step();
      answer = seconds_now() - begin;
    }
    std::printf("%.6f\n", answer);
    std::fflush(stdout);
  }
}

void compare_all(const Request& request) {
  double peak[2] = {};
  for (int i = 0; i < 30; ++i) {
    peak[0] = std::max(peak[0], fma_rate());
    peak[1] = std::max(peak[1], bf16_dot_rate());
  }
  std::printf(
      "%s\npeak: %.0f GFLOP/s f32, %.0f bf16; backend.matmul = %s, "
      "model.recompute = %s\n",
      registry().create<Backend>("onednn", Config())->device().c_str(), peak[0], peak[1],
      request.matmul.c_str(), request.recompute.c_str());
  std::printf("%-5s %-7s %8s %8s %8s %7s %8s %9s %9s %7s %6s %8s\n", "", "B x T", "s/step",
              "tokens/s", "products", "ratio", "GFLOP/s", "of peak", "plan MB", "slab MB", "RSS GB",
              "kept");
  std::istringstream all(request.only);
  for (std::string one; std::getline(all, one, ',');)
    measure(setup_of(one, request), request, peak);
}

void run(const Request& request) {
  if (request.serve) return serve(request);
  if (!request.ops) return compare_all(request);
  std::istringstream all(request.only);
  for (std::string one; std::getline(all, one, ',');) show_ops(setup_of(one, request), request);
}

}  // namespace
}  // namespace lathe::bench

int main(int count, char** arguments) {
  lathe::bench::Request request;
  for (int i = 1; i < count; ++i) {
    const std::string word = arguments[i];
    const char* value = i + 1 < count ? arguments[i + 1] : "";
    if (word == "--ops" || word == "--serve") {
      (word == "--ops" ? request.ops : request.serve) = true;
      continue;
    }
    if (word == "--rounds") {
      request.rounds = std::strtoul(value, nullptr, 10);
    } else if (word == "--limit") {
      request.limit = std::strtod(value, nullptr);
    } else if (word == "--matmul") {
      request.matmul = value;
    } else if (word == "--recompute") {
      request.recompute = value;
    } else if (word == "--only") {
      request.only = value;
    } else {
      std::fprintf(stderr, "unknown option '%s'\n", word.c_str());
      return 2;
    }
    ++i;
  }
  try {
    lathe::bench::run(request);
  } catch (const lathe::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
