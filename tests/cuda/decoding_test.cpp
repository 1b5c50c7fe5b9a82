// Decoding on the emulated device: the steps of a burst are recorded and replayed, and nothing that
// varies is baked in. The emulator's graphs keep the arguments that a launch had.
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include <lathe/config/toml.h>
#include <lathe/learn/decoder.h>
#include <lathe/learn/model.h>
#include <lathe/plugin/registry.h>

#include "cuda.h"
#include "memory.h"

namespace lathe {
namespace {
using Ids = std::vector<std::int32_t>;

constexpr std::int64_t vocabulary = 70, context = 40;

Registry& registry() {
  static Registry registry({.user_folders = false, .library_folder = LATHE_PLUGINS});
  return registry;
}

std::shared_ptr<CudaBackend> device(const std::string& more = "") {
  return std::make_shared<CudaBackend>(
      parse_toml("deterministic = true\nfuse = 'always'\n" + more, "decoding_test"));
}
std::shared_ptr<Backend> host() {
  return std::shared_ptr<Backend>(registry().create<Backend>("reference", Config()));
}

// Untrained but stirred, so that no two logits are near each other.
struct Gpt {
  explicit Gpt(const std::shared_ptr<Backend>& backend)
      : model(registry().create<Model>(
            "gpt", parse_toml("layers = 2\nheads = 2\nwidth = 16\ndeviation = 0.5", "test"))) {
    model->build(parameters, {.vocabulary = vocabulary, .context = context});
    parameters.allocate(backend, Precision::f32, 3);
  }
  // Other weights in the same place.
  void change() {
    const Tensor& all = parameters.master();
    std::vector<float> values = all.floats();
    for (float& value : values) value = -value;
    all.backend().upload(all.view().data, values.data(), values.size() * sizeof(float));
    parameters.refresh();
  }

  std::unique_ptr<Model> model;
  Parameters parameters;
};

struct Text {
  Ids tokens;
  std::size_t prompt = 0;
  std::vector<double> log_probability, sampled;
  bool done = false;
};

// Writes up to `tokens` for each prompt, `burst` at a time.
class Writer {
 public:
  Writer(const Gpt& gpt, const std::vector<Ids>& prompts, const WritingRule& rule)
      : decoder_(*gpt.model, gpt.parameters, static_cast<std::int64_t>(prompts.size()), context),
        rule_(rule) {
    for (const Ids& prompt : prompts) texts_.push_back({prompt, prompt.size(), {}, {}, false});
    decoder_.fill(prompts);
  }

  const std::vector<Text>& write(const std::vector<std::int64_t>& tokens) {
    for (;;) {
      std::vector<Turn> turns(texts_.size());
      bool working = false;
      for (std::size_t i = 0; i < texts_.size(); ++i) {
        const auto written = texts_[i].tokens.size() - texts_[i].prompt;
        if (texts_[i].done || static_cast<std::int64_t>(written) >= tokens[i]) continue;
        working = true;
        turns[i] = {.context = texts_[i].tokens,
                    .left = tokens[i] - static_cast<std::int64_t>(written),
                    .random = RandomStream(5, "write", i),
                    .draw = static_cast<std::uint64_t>(rule_.draw_step) * written};
      }
      if (!working) return texts_;
      const auto results = decoder_.write(rule_, turns);
      for (std::size_t i = 0; i < texts_.size(); ++i) {
        for (const Choice& choice : results[i]) {
          texts_[i].tokens.push_back(choice.token);
          texts_[i].log_probability.push_back(choice.log_probability);
          texts_[i].sampled.push_back(choice.sampled_log_probability);
          texts_[i].done = choice.token == rule_.end;
        }
      }
    }
  }

  const std::vector<Text>& texts() const { return texts_; }

 private:
  Decoder decoder_;
  WritingRule rule_;
  std::vector<Text> texts_;
};

const std::vector<Ids> prompts = {{3, 1, 4, 1, 5}, {9}, {2, 6, 5}, {3, 5, 8, 9, 7, 9}};

void expect_alike(const std::vector<Text>& got, const std::vector<Text>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].tokens, wanted[i].tokens) << i;
    for (std::size_t t = 0; t < wanted[i].sampled.size(); ++t) {
      EXPECT_NEAR(got[i].log_probability[t], wanted[i].log_probability[t], 2e-4) << i << " " << t;
      EXPECT_NEAR(got[i].sampled[t], wanted[i].sampled[t], 2e-4) << i << " " << t;
    }
  }
}

WritingRule rule_of(const std::function<void(WritingRule&)>& change) {
  WritingRule rule;
  change(rule);
  return rule;
}

// Rows of different lengths, and the host's answer for each.
void expect_as_on_the_host(const WritingRule& rule) {
  const Gpt there(device()), here(host());
  const std::vector<std::int64_t> tokens = {30, 34, 12, 20};
  Writer on_device(there, prompts, rule), on_host(here, prompts, rule);
  expect_alike(on_device.write(tokens), on_host.write(tokens));
  const auto& backend = static_cast<CudaBackend&>(*there.parameters.backend());
  EXPECT_GT(backend.repeats().replayed, 15);
  EXPECT_EQ(backend.repeats().refused, 0);
}

TEST(CudaDecoding, GreedyUnderReplayIsTheHosts) {
  expect_as_on_the_host(rule_of([](WritingRule& rule) { rule.how.temperature = 0; }));
}

TEST(CudaDecoding, DrawsUnderReplayAreTheHosts) {
  expect_as_on_the_host(rule_of([](WritingRule& rule) { rule.draw_step = 7; }));
}

TEST(CudaDecoding, CutsAndPenaltiesUnderReplayAreTheHosts) {
  expect_as_on_the_host(rule_of([](WritingRule& rule) {
    rule.how.temperature = 1.4;
    rule.how.top_k = 12;
    rule.how.top_p = 0.9;
    rule.how.min_p = 0.01;
    rule.how.repetition_penalty = 1.3;
  }));
}

// A row that drew its end token rests while the others go on; rows at the end of the batch that
// have ended are left out, which is another recording.
TEST(CudaDecoding, RowsEndWhereTheHostsDo) {
  const WritingRule drawn = rule_of([](WritingRule&) {});
  const Gpt here(host());
  Writer open(here, prompts, drawn);
  const std::int32_t end = open.write({30, 30, 30, 30})[3].tokens[9];
  const WritingRule rule = rule_of([&](WritingRule& of) { of.end = end; });
  const Gpt there(device());
  Writer on_device(there, prompts, rule), on_host(here, prompts, rule);
  expect_alike(on_device.write({30, 30, 30, 30}), on_host.write({30, 30, 30, 30}));
  EXPECT_TRUE(on_device.texts()[3].done);
}

TEST(CudaDecoding, ASmallerBatchIsRecordedByItself) {
  const WritingRule greedy = rule_of([](WritingRule& rule) { rule.how.temperature = 0; });
  const Gpt there(device()), here(host());
  Writer on_device(there, prompts, greedy), on_host(here, prompts, greedy);
  const auto& backend = static_cast<CudaBackend&>(*there.parameters.backend());
  on_device.write({16, 16, 16, 16});
  EXPECT_EQ(backend.repeats().recorded, 1);
  on_device.write({32, 32, 16, 16});
  EXPECT_EQ(backend.repeats().recorded, 2);
  on_host.write({16, 16, 16, 16});
  expect_alike(on_device.texts(), on_host.write({32, 32, 16, 16}));
}

TEST(CudaDecoding, WeightsThatChangeInPlaceAreSeen) {
  const WritingRule greedy = rule_of([](WritingRule& rule) { rule.how.temperature = 0; });
  Gpt there(device()), here(host());
  Writer on_device(there, prompts, greedy), on_host(here, prompts, greedy);
  on_device.write({16, 16, 16, 16});
  on_host.write({16, 16, 16, 16});
  there.change();
  here.change();
  expect_alike(on_device.write({32, 32, 32, 32}), on_host.write({32, 32, 32, 32}));
  const auto& backend = static_cast<CudaBackend&>(*there.parameters.backend());
  EXPECT_EQ(backend.repeats().recorded, 1);
}

TEST(CudaDecoding, ANewCacheIsNotAnOldRecordings) {
  const WritingRule greedy = rule_of([](WritingRule& rule) { rule.how.temperature = 0; });
  const Gpt there(device()), here(host());
  for (const std::vector<Ids>& some : {prompts, std::vector<Ids>{{7, 7}, {1}, {2, 2}, {4}}}) {
    Writer on_device(there, some, greedy), on_host(here, some, greedy);
    expect_alike(on_device.write({30, 30, 30, 30}), on_host.write({30, 30, 30, 30}));
  }
}

// The handle's owner may move what the work stands on: then it is run and recorded anew.
TEST(CudaDecoding, WorkOnMovedMemoryIsRecordedAnew) {
  const auto backend = device();
  const Storage first(backend, 4), second(backend, 4);
  const void* stands_on = first.data();
  std::unique_ptr<Backend::Recording> recording;
  int calls = 0;
  const auto step = [&] {
    backend->repeat(
        recording, [&] { return std::vector<const void*>{stands_on}; },
        [&] {
          ++calls;
          const View x = dense_view(const_cast<void*>(stands_on), DType::f32, {1});
          backend->binary(Binary::add, x, x, x);
        });
  };
  const auto value_of = [&](const Storage& storage) {
    float value = 0;
    backend->download(&value, storage.data(), sizeof value);
    return value;
  };
  for (const Storage* storage : {&first, &second}) {
    backend->fill(dense_view(storage->data(), DType::f32, {1}), 1);
  }
  for (int i = 0; i < 8; ++i) step();
  EXPECT_EQ(value_of(first), 256);
  EXPECT_EQ(backend->repeats().recorded, 1);
  const int before = calls;
  stands_on = second.data();
  for (int i = 0; i < 8; ++i) step();
  EXPECT_EQ(value_of(first), 256);
  EXPECT_EQ(value_of(second), 256);
  EXPECT_GT(calls, before);
  EXPECT_EQ(backend->repeats().recorded, 2);
}

TEST(CudaDecoding, WorkThatWaitsIsNeverRecorded) {
  const auto backend = device();
  const Storage storage(backend, 4);
  std::unique_ptr<Backend::Recording> recording;
  int calls = 0;
  for (int i = 0; i < 6; ++i) {
    backend->repeat(
        recording, [&] { return std::vector<const void*>{storage.data()}; },
        [&] {
          float value = 0;
          backend->download(&value, storage.data(), sizeof value);
          value += 1;
          backend->upload(storage.data(), &value, sizeof value);
          ++calls;
        });
  }
  float value = 0;
  backend->download(&value, storage.data(), sizeof value);
  EXPECT_EQ(value, 6);
  EXPECT_EQ(calls, 6);
  EXPECT_EQ(backend->repeats().refused, 1);
}

TEST(CudaDecoding, TheBlocksOfARecordingAreGivenBack) {
  const Gpt there(device());
  const long long before = cuda::emulated::blocks_in_use();
  {
    Writer writer(there, prompts, {});
    writer.write({30, 30, 30, 30});
    EXPECT_GT(cuda::emulated::blocks_in_use(), before);
  }
  EXPECT_EQ(cuda::emulated::blocks_in_use(), before);
}

// CUDA's current device belongs to the thread: each entry chooses the backend's.
TEST(CudaDecoding, AnotherThreadUsesTheBackendsDevice) {
  const Gpt there(device("device = 1")), here(host());
  const WritingRule greedy = rule_of([](WritingRule& rule) { rule.how.temperature = 0; });
  Writer on_host(here, prompts, greedy);
  const std::vector<Text>& wanted = on_host.write({20, 20, 20, 20});
  std::vector<Text> got;
  std::thread([&] {
    Writer writer(there, prompts, greedy);
    got = writer.write({20, 20, 20, 20});
  }).join();
  expect_alike(got, wanted);
  // And a thread that was busy on the first device.
  std::thread([&] {
    const auto other = device();
    const Storage storage(other, 4);
    Writer writer(there, prompts, greedy);
    other->fill(dense_view(storage.data(), DType::f32, {1}), 2);
    got = writer.write({20, 20, 20, 20});
    other->synchronise();
  }).join();
  expect_alike(got, wanted);
}

}  // namespace
}  // namespace lathe
