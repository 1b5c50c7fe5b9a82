// GPT-2's tokenizer on tinyshakespeare and wikitext-2, in MB/s of text. The peer is
// bench/peers/tokenizer_tiktoken.py. Needs LATHE_DATA.
#include <benchmark/benchmark.h>
#include <lathe/base/file.h>
#include <lathe/text/bpe_train.h>
#include <lathe/text/gpt2_scanner.h>

#include <cstdlib>

namespace {

using lathe::BpeTokenizer;

std::string data(const std::string& name) {
  const char* folder = std::getenv("LATHE_DATA");
  return folder == nullptr ? std::string() : std::string(folder) + "/" + name;
}

const std::string& text_of(std::int64_t which) {
  static const std::string texts[] = {lathe::read_file(data("tinyshakespeare/input.txt")),
                                      lathe::read_file(data("wikitext-2/valid.txt"))};
  return texts[which];
}

const BpeTokenizer& gpt2() {
  static const BpeTokenizer tokenizer(lathe::read_bpe(data("gpt2-tokenizer")));
  return tokenizer;
}

bool prepare(benchmark::State& state) {
  if (!data("").empty()) return true;
  state.SkipWithError("skipped: no data (set LATHE_DATA)");
  return false;
}

void report(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) *
                          static_cast<std::int64_t>(state.iterations()));
}

void encode(benchmark::State& state) {
  if (!prepare(state)) return;
  const std::string& text = text_of(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(gpt2().encode(text));
  report(state, text.size());
}

// With an empty word cache: what the first text of a run costs.
void encode_cold(benchmark::State& state) {
  if (!prepare(state)) return;
  const std::string& text = text_of(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    auto fresh = std::make_unique<BpeTokenizer>(gpt2().parts());
    state.ResumeTiming();
    benchmark::DoNotOptimize(fresh->encode(text));
    state.PauseTiming();
    fresh.reset();
    state.ResumeTiming();
  }
  report(state, text.size());
}

void encode_parallel(benchmark::State& state) {
  if (!prepare(state)) return;
  std::string text;
  for (int i = 0; i < 8; ++i) text += text_of(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(gpt2().encode_parallel(text));
  report(state, text.size());
}

void split(benchmark::State& state) {
  if (!prepare(state)) return;
  const std::string& text = text_of(state.range(0));
  const lathe::Gpt2Scanner scanner(text);
  for (auto _ : state) {
    std::size_t words = 0;
    for (std::size_t at = 0; at < text.size(); ++words) at = scanner.end_of_piece(at);
    benchmark::DoNotOptimize(words);
  }
  report(state, text.size());
}

void decode(benchmark::State& state) {
  if (!prepare(state)) return;
  const std::string& text = text_of(state.range(0));
  const auto ids = gpt2().encode(text);
  for (auto _ : state) benchmark::DoNotOptimize(gpt2().decode(ids));
  report(state, text.size());
}

void train(benchmark::State& state) {
  if (!prepare(state)) return;
  const std::string_view documents[] = {text_of(0)};
  for (auto _ : state) benchmark::DoNotOptimize(lathe::train_bpe(documents, state.range(0)));
  report(state, documents[0].size());
}

BENCHMARK(encode)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK(encode_cold)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK(encode_parallel)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(split)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK(decode)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK(train)->Arg(512)->Arg(8192)->Unit(benchmark::kMillisecond);

}  // namespace
