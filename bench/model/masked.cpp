// An encoder of GPT-2's size (12 layers, width 768, 50257 tokens): a step of masked pre-training
// beside its matrix products by oneDNN alone, and scoring a text of T tokens, each place hidden
// once, beside T single forward passes. Both pairs take turns; see probe.h for which samples count.
//
//   bench_masked [--rounds R] [--limit SECONDS] [--precision f32|bf16] [--ops]
//
// --ops prints where the time of a step goes, op by op, instead.
#include <lathe/base/error.h>
#include <lathe/learn/likelihood.h>
#include <lathe/learn/masking.h>
#include <lathe/learn/objective.h>

#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "gpt2.h"
#include "probe.h"
#include "products.h"

namespace lathe::bench {
namespace {

struct Request {
  std::size_t rounds = 5;
  double limit = 30;  // seconds for one line
  std::string precision;
  bool ops = false;
};

Gpt2Setup setup_of(const std::string& precision, std::int64_t batch, std::int64_t length) {
  Gpt2Setup setup;
  setup.precision = precision;
  setup.batch = batch;
  setup.length = length;
  setup.masked = true;
  return setup;
}

// About the number of places that a step asks for: 15 %.
std::int64_t asked(std::int64_t tokens) { return tokens * 15 / 100; }

void step(const std::string& precision, std::int64_t batch, std::int64_t length,
          const Request& request) {
  Gpt2 model(setup_of(precision, batch, length));
  const bool narrow = precision == "bf16";
  Gpt2Products products(batch * length, narrow ? DType::bf16 : DType::f32, asked(batch * length));
  const TimedPair pair = gated_pair([&] { model.trainer.step(); }, [&] { products.run(); },
                                    request.rounds, request.limit);
  std::printf("%-5s step %lldx%lld: %.3f s, products %.3f s: %.0f %% of the limit  kept %zu/%zu\n",
              precision.c_str(), static_cast<long long>(batch), static_cast<long long>(length),
              pair.first.seconds, pair.second.seconds, 100 / pair.ratio, pair.first.kept,
              request.rounds);
  std::fflush(stdout);
}

void score(const std::string& precision, std::int64_t length, const Request& request) {
  const Gpt2 model(setup_of(precision, 1, length));
  const Session& session = model.session;
  LikelihoodRow text;
  text.tokens.assign(static_cast<std::size_t>(length), 11);
  text.places.resize(text.tokens.size());
  std::iota(text.places.begin(), text.places.end(), std::int64_t{0});
  Likelihood likelihood(*session.model, session.parameters, *session.tokenizer);
  const std::vector<LikelihoodRow> one = {text};
  Arena arena(session.backend);
  Batch row;
  row.rows = 1;
  row.length = length;
  row.tokens = text.tokens;
  row.positions.resize(text.tokens.size());
  std::iota(row.positions.begin(), row.positions.end(), 0);
  row.targets.assign(text.tokens.size(), -1);
  row.weights.assign(text.tokens.size(), 0);
  // A single pass: the hidden state of the row, and the likelihood of one place.
  const auto single = [&](std::int32_t place) {
    const NoGradient off_tape;
    const Arena::Step memory(arena, "single");
    const DeviceBatch device(row, session.parameters);
    const Tensor hidden = gather(session.model->hidden(device.input),
                                 Tensor::of<std::int32_t>(session.backend, {1}, {{place}}));
    session.model->score(hidden, Tensor::of<std::int32_t>(session.backend, {1}, {{11}}), 1)
        .log_probability.item();
  };
  const TimedPair pair = gated_pair([&] { likelihood.log_probabilities(one); },
                                    [&] {
                                      for (std::int32_t t = 0; t < length; ++t) single(t);
                                    },
                                    request.rounds, request.limit);
  std::printf(
      "%-5s score %lld tokens: %.3f s, as many single passes %.3f s: ratio %.2f  "
      "kept %zu/%zu\n",
      precision.c_str(), static_cast<long long>(length), pair.first.seconds, pair.second.seconds,
      pair.ratio, pair.first.kept, request.rounds);
  std::fflush(stdout);
}

void show_ops(const std::string& precision) {
  Gpt2Setup setup = setup_of(precision, 8, 128);
  setup.timed = true;
  Gpt2 model(setup);
  model.trainer.step();
  model.trainer.step();
  op_times().clear();
  const double begin = seconds_now();
  model.trainer.step();
  std::printf("%s 8x128, %.3f s\n", precision.c_str(), seconds_now() - begin);
  for (const auto& [op, time] : op_times()) {
    std::printf("  %-22s %9.2f ms %5lld calls\n", op.c_str(), time.seconds * 1e3,
                static_cast<long long>(time.calls));
  }
}

}  // namespace
}  // namespace lathe::bench

int main(int count, char** arguments) {
  lathe::bench::Request request;
  for (int i = 1; i < count; ++i) {
    const std::string word = arguments[i];
    const char* value = i + 1 < count ? arguments[i + 1] : "";
    if (word == "--ops") {
      request.ops = true;
    } else if (word == "--rounds") {
      request.rounds = std::strtoul(value, nullptr, 10);
    } else if (word == "--limit") {
      request.limit = std::strtod(value, nullptr);
    } else if (word == "--precision") {
      request.precision = value;
    }
  }
  try {
    for (const std::string precision : {"f32", "bf16"}) {
      if (!request.precision.empty() && request.precision != precision) continue;
      if (request.ops) {
        lathe::bench::show_ops(precision);
        continue;
      }
      lathe::bench::step(precision, 8, 128, request);
      lathe::bench::step(precision, 16, 64, request);
      lathe::bench::score(precision, 32, request);
      lathe::bench::score(precision, 64, request);
    }
  } catch (const lathe::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
