// Writing with GPT-2 124M: tokens a second of decoding one row and eight, and of reading a prompt.
//
// Decoding one row reads every weight once a token, so its limit is the memory: beside each figure
// stands the rate at which the weights are read and summed, measured in turns with it.
//
//   bench_generate [--rounds R] [--precision f32|bf16]
//   bench_generate --ops        where the time of a token goes, op by op
//   bench_generate --serve      answers a case a line ("bf16:1", "f32:prefill", "probe"), for
//                               compare.py
#include <lathe/base/error.h>
#include <lathe/learn/decoder.h>
#include <lathe/learn/generation.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "gpt2.h"
#include "probe.h"

namespace lathe::bench {
namespace {

// What one token reads: all parameters but the position table.
std::vector<std::span<const float>> weights_of(const Gpt2& model) {
  std::vector<std::span<const float>> weights;
  for (const Parameter& parameter : model.session.parameters.all()) {
    if (parameter.name == "position_embedding") continue;
    const View& value = parameter.value.view();
    const auto bytes = static_cast<std::size_t>(value.count()) * size_of(value.dtype);
    weights.emplace_back(static_cast<const float*>(value.data), bytes / sizeof(float));
  }
  return weights;
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

// The first tokens are not timed: while they are written, plans and panels are made.
constexpr std::int64_t before = 32, steps = 128;
constexpr std::int64_t between = 8;  // tokens between two readings of the memory

// Rows of text, each of which has written `before` tokens.
class Text {
 public:
  Text(const Gpt2& model, std::size_t rows)
      : decoder_(*model.session.model, model.session.parameters, static_cast<std::int64_t>(rows),
                 1 + before + steps),
        rows_(rows, {11}) {
    decoder_.fill(rows_);
    write(before);
  }
  void write(std::int64_t tokens) {
    WritingRule greedy;
    greedy.how.temperature = 0;
    for (std::int64_t i = 0; i < tokens; ++i) {
      std::vector<Turn> turns;
      for (const auto& row : rows_) turns.push_back({.context = row, .left = 1, .random = {}});
      const auto written = decoder_.write(greedy, turns);
      for (std::size_t row = 0; row < rows_.size(); ++row) {
        rows_[row].push_back(written[row][0].token);
      }
    }
  }

 private:
  Decoder decoder_;
  std::vector<std::vector<std::int32_t>> rows_;
};

// Seconds of a token of each row, and GB/s of reading its weights and nothing else, in turns with
// the tokens: the memory of a shared machine changes its pace from second to second.
struct Pace {
  double token, memory;
};

Pace pace_of(const Gpt2& model, const std::vector<std::span<const float>>& weights,
             std::size_t rows) {
  Text text(model, rows);
  double writing = 0, reading = 0;
  for (std::int64_t i = 0; i < steps; i += between) {
    const double begin = seconds_now();
    text.write(between);
    writing += seconds_now() - begin;
    reading += 1 / read_bandwidth(weights);
  }
  return {writing / steps, steps / between / reading};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Samples of rows that are written; the medians of those that count, or of all when none does.
void measure_decoding(const Gpt2& model, const std::string& precision, std::size_t rows,
                      std::size_t rounds) {
  const std::vector<std::span<const float>> weights = weights_of(model);
  double bytes = 0;
  for (const auto& weight : weights) bytes += static_cast<double>(weight.size_bytes());
  std::vector<double> tokens[2], memory[2], share[2];
  for (std::size_t i = 0; i < 3 * rounds && tokens[1].size() < rounds; ++i) {
    Pace pace{};
    const bool counts = passes([&] { pace = pace_of(model, weights, rows); });
    for (const bool all : {false, true}) {
      if (!all && !counts) continue;
      tokens[!all].push_back(static_cast<double>(rows) / pace.token);
      memory[!all].push_back(pace.memory);
      share[!all].push_back(bytes * 1e-9 / pace.token / pace.memory);
    }
  }
  const bool kept = !tokens[1].empty();
  std::printf("%-5s decode, batch %zu  %8.1f tokens/s", precision.c_str(), rows,
              median(tokens[kept]));
  if (rows == 1) {
    std::printf(", weights at %3.0f %% of %.1f GB/s", 100 * median(share[kept]),
                median(memory[kept]));
  }
  std::printf("  kept %zu/%zu\n", tokens[1].size(), rounds);
  std::fflush(stdout);
}

void measure(const std::string& precision, std::size_t rounds) {
  const Writer writer(precision);
  measure_decoding(writer.model, precision, 1, rounds);
  measure_decoding(writer.model, precision, 8, rounds);
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
  Text text(writer.model, rows);
  return static_cast<double>(rows * steps) / seconds_of([&] { text.write(steps); });
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
