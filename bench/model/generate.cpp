// Writing with GPT-2 124M: tokens a second of decoding one row and eight, and of reading a prompt.
//
// Decoding one row reads every weight once a token, so its limit is the memory: beside each figure
// stands the rate at which this machine sums 256 MB, measured in turns with it (probe.h).
//
//   bench_generate [--rounds R] [--precision f32|bf16]
//   bench_generate --ops        where the time of a token goes, op by op
//   bench_generate --serve      answers a case a line ("bf16:1", "f32:prefill", "probe"), for
//                               compare.py
#include <lathe/base/error.h>
#include <lathe/learn/generation.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "gpt2.h"
#include "probe.h"

namespace lathe::bench {
namespace {

// Bytes of weights that one token needs: all matrices but the position table.
double weight_bytes(const Gpt2& model) {
  double bytes = 0;
  for (const Parameter& parameter : model.session.parameters.all()) {
    if (parameter.name == "position_embedding") continue;
    bytes += static_cast<double>(parameter.shape.count()) *
             static_cast<double>(size_of(parameter.value.dtype()));
  }
  return bytes;
}

// A model that writes and reads; the first token of what it writes is the prompt's.
struct Writer {
  explicit Writer(const std::string& precision, bool timed = false)
      : model(setup_of(precision, timed)) {}

  static Gpt2Setup setup_of(const std::string& precision, bool timed) {
    Gpt2Setup setup;
    setup.precision = precision;
    setup.timed = timed;
    return setup;
  }
  Generator generator() const {
    return {*model.session.model, model.session.parameters, *model.session.tokenizer};
  }
  void write(std::size_t rows, std::int64_t tokens) const {
    const std::vector<std::vector<std::int32_t>> prompts(rows, {11});
    const GenerationOptions options(
        Config::table({{"tokens", Config::integer(tokens)}, {"temperature", Config::number(0)}}));
    generator().complete(prompts, options, 1);
  }
  void read_prompt() const { generator().next_logits(std::vector<std::int32_t>(512, 11)); }

  Gpt2 model;
};

constexpr std::int64_t steps = 32;  // tokens that are timed: the first one's time is taken off

void measure(const std::string& precision, std::size_t rounds) {
  const Writer writer(precision);
  const auto write = [&](std::size_t rows, std::int64_t tokens) {
    return [&writer, rows, tokens] { writer.write(rows, tokens); };
  };
  const double bytes = weight_bytes(writer.model);
  const Timed begin = gated(write(1, 1), rounds);
  const TimedPair one = gated_pair(
      write(1, 1 + steps), [] { read_bandwidth(); }, rounds);
  const double each = (one.first.seconds - begin.seconds) / steps;
  const double read = 256 * 1048576 * 1e-9 / one.second.seconds;
  std::printf(
      "%-5s decode, batch 1  %8.1f tokens/s  %5.1f GB/s of weights, %3.0f %% of %.1f GB/s"
      "  kept %zu/%zu\n",
      precision.c_str(), 1 / each, bytes * 1e-9 / each, 100 * bytes * 1e-9 / each / read, read,
      one.first.kept, rounds);
  std::fflush(stdout);
  const Timed eight_begin = gated(write(8, 1), rounds);
  const Timed eight = gated(write(8, 1 + steps), rounds);
  std::printf("%-5s decode, batch 8  %8.1f tokens/s  kept %zu/%zu\n", precision.c_str(),
              8 * steps / (eight.seconds - eight_begin.seconds), eight.kept, rounds);
  const Timed prefill = gated([&] { writer.read_prompt(); }, rounds);
  std::printf("%-5s prefill 512      %8.1f tokens/s  kept %zu/%zu\n", precision.c_str(),
              512 / prefill.seconds, prefill.kept, rounds);
  std::fflush(stdout);
}

// Of one token of one row, the mean of many; what lies between the ops is the host's own work.
void show_ops(const std::string& precision) {
  constexpr std::int64_t tokens = 200;
  const Writer writer(precision, true);
  writer.write(1, 1 + tokens);
  op_times().clear();
  const double begin = seconds_now();
  writer.write(1, 1 + tokens);
  double rest = seconds_now() - begin;
  std::printf("%s, microseconds a token\n", precision.c_str());
  for (const auto& [op, time] : op_times()) {
    rest -= time.seconds;
    std::printf("  %-20s %9.1f  %6.1f calls\n", op.c_str(), 1e6 * time.seconds / tokens,
                static_cast<double>(time.calls) / tokens);
  }
  std::printf("  %-20s %9.1f\n", "between ops", 1e6 * rest / tokens);
  std::fflush(stdout);
}

// "bf16:8", "f32:prefill"
double rate_of(const Writer& writer, const std::string& what) {
  const auto seconds_of = [](const auto& work) {
    const double begin = seconds_now();
    work();
    return seconds_now() - begin;
  };
  if (what == "prefill") return 512 / seconds_of([&] { writer.read_prompt(); });
  const std::size_t rows = std::strtoul(what.c_str(), nullptr, 10);
  const double begin = seconds_of([&] { writer.write(rows, 1); });
  return static_cast<double>(rows * steps) /
         (seconds_of([&] { writer.write(rows, 1 + steps); }) - begin);
}

void serve() {
  std::printf("# %s\n", registry().create<Backend>("onednn", Config())->device().c_str());
  std::fflush(stdout);
  std::map<std::string, std::unique_ptr<Writer>> writers;
  for (std::string line; std::getline(std::cin, line);) {
    double answer = 0;
    if (line == "probe") {
      answer = fma_rate();
    } else {
      const std::string precision = line.substr(0, line.find(':'));
      std::unique_ptr<Writer>& writer = writers[precision];
      if (!writer) writer = std::make_unique<Writer>(precision);
      answer = rate_of(*writer, line.substr(precision.size() + 1));
    }
    std::printf("%.6f\n", answer);
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace lathe::bench

int main(int count, char** arguments) {
  std::size_t rounds = 7;
  std::string precision;
  if (count == 2 && std::string(arguments[1]) == "--ops") {
    for (const char* each : {"f32", "bf16"}) lathe::bench::show_ops(each);
    return 0;
  }
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string word = arguments[i];
    if (word == "--rounds") rounds = std::strtoul(arguments[i + 1], nullptr, 10);
    if (word == "--precision") precision = arguments[i + 1];
  }
  if (count == 2 && std::string(arguments[1]) == "--serve") {
    lathe::bench::serve();
    return 0;
  }
  for (const char* each : {"f32", "bf16"}) {
    if (precision.empty() || precision == each) lathe::bench::measure(each, rounds);
  }
}
