// Nothing of the framework reads device memory by itself: training, evaluation, generation, saving
// and resuming on a backend whose memory the host cannot touch give the bits of `reference`.
#include <gtest/gtest.h>
#include <lathe/base/log.h>
#include <lathe/io/checkpoint.h>
#include <lathe/io/metrics_file.h>
#include <lathe/run/run.h>
#include <lathe/run/state_files.h>
#include <tensor/fenced_backend.h>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::FencedBackend;
using testing::Tiny;

const char* const text = R"(
seed = 3
[data]
use = "sums"
digits = 1
train = 40
validation = 10
[tokenizer]
use = "chars"
specials = true
[feed]
use = "rows"
[model]
layers = 1
heads = 2
width = 8
dropout = 0.2
[optimizer]
rate = 0.02
decay = 0.1
[train]
steps = 6
batch = 2
length = 9
accumulation = 2
clip = 0.7
ema = 0.8
log_every = 2
[evaluate]
every = 3
batch = 4
[checkpoint]
every = 3
[sample]
every = 3
prompts = ["1+2="]
tokens = 4
)";

const char* const control = R"(
seed = 8
[environment]
use = "cartpole"
[model]
use = "mlp"
layers = [8]
[optimizer]
rate = 0.01
[train]
steps = 8
batch = 1
[evaluate]
episodes = 2
)";

class DeviceMemory : public ::testing::Test {
 protected:
  DeviceMemory() { set_log_quiet(true); }
  ~DeviceMemory() override {
    set_log_quiet(false);
    FencedBackend::under.reset();
  }

  static void prepare(Tiny& tiny) {
    tiny.registry().add<Backend, FencedBackend>("fenced", "1.0.0");
    FencedBackend::under = tiny.registry().create<Backend>("reference", Config());
    FencedBackend::calls = 0;
  }

  // Everything a run leaves but its speed.
  static std::string remains_of(Tiny& tiny, const std::string& backend,
                                std::vector<std::string> changes) {
    changes.push_back("backend=" + backend);
    const std::string folder = tiny / backend;
    run(tiny.experiment(changes), tiny.registry(),
        {.arguments = {},
         .folder = folder,
         .work_folder = tiny.path(),
         .again = false,
         .progress = ProgressStyle::quiet});
    Checkpoints checkpoints(real_files(), folder + "/checkpoints", 2);
    std::string all;
    for (const std::int64_t step : checkpoints.steps()) {
      for (const auto& file : verify_checkpoint(real_files(), checkpoints.path_of(step)).files) {
        if (!file.name.ends_with(".safetensors")) continue;
        all += cat(step, " ", file.name, " ", file.sha256, "\n");
      }
    }
    for (MetricsRow& row : read_metrics(real_files(), folder + "/metrics.jsonl")) {
      std::erase_if(row.values,
                    [](const auto& value) { return value.first.starts_with("speed/"); });
      all += metrics_line(row.step, row.values) + "\n";
    }
    return all + read_file(folder + "/samples.jsonl");
  }

  // Half of the steps, a checkpoint, a new session that reads it, the other half, an evaluation.
  static std::string end_of(Tiny& tiny, const std::string& backend,
                            std::vector<std::string> changes) {
    changes.push_back("backend=" + backend);
    const std::string kept = tiny / ("kept_" + backend);
    const auto first = tiny.session(changes);
    const std::int64_t half = first->train.steps / 2;
    {
      Trainer trainer(*first);
      while (trainer.state.step < half) trainer.step();
      Checkpoints(real_files(), kept, 1).save(half, StateFiles(trainer, *first).files());
    }
    const auto second = tiny.session(changes);
    Trainer trainer(*second);
    load_state(newest_trusted(kept).path, trainer, *second);
    EXPECT_EQ(trainer.state.step, half);
    while (trainer.state.step < 2 * half) trainer.step();
    std::string all = testing::hash_of(trainer, *second);
    for (const Metric& metric : trainer.measured) {
      all += cat("\n", metric.name, " ", metric.sum, " / ", metric.weight);
    }
    return all;
  }

  static void expect_same(const std::string& experiment, const std::vector<std::string>& changes) {
    Tiny tiny(experiment);
    prepare(tiny);
    const std::string expected = end_of(tiny, "reference", changes);
    EXPECT_EQ(FencedBackend::calls, 0U);
    EXPECT_EQ(end_of(tiny, "fenced", changes), expected);
    EXPECT_GT(FencedBackend::calls, 100U);
  }
};

TEST_F(DeviceMemory, TheHostDiesWhenItTouchesIt) {
  Tiny tiny(text);
  prepare(tiny);
  FencedBackend backend;
  auto* data = static_cast<float*>(backend.allocate(4));
  const float three = 3;
  backend.upload(data, &three, 4);
  float back = 0;
  backend.download(&back, data, 4);
  EXPECT_EQ(back, 3);
  EXPECT_DEATH(*data = 1, "");
}

TEST_F(DeviceMemory, FineTuningWithSamplesAndCheckpoints) {
  Tiny tiny(text);
  prepare(tiny);
  const std::string expected = remains_of(tiny, "reference", {});
  EXPECT_NE(expected.find("6 optimizer.safetensors"), std::string::npos) << expected;
  EXPECT_NE(expected.find("eval/loss"), std::string::npos);
  EXPECT_NE(expected.find("1+2="), std::string::npos);
  EXPECT_EQ(remains_of(tiny, "fenced", {}), expected);
  EXPECT_GT(FencedBackend::calls, 500U);
}

TEST_F(DeviceMemory, FineTuningInBf16AndBack) { expect_same(text, {"train.precision=bf16"}); }

TEST_F(DeviceMemory, PpoInAnEnvironment) {
  expect_same(std::string(control) + R"(
[objective]
use = "ppo"
[feed]
use = "rollouts"
environments = 2
steps = 8
epochs = 2
minibatches = 2
)",
              {});
}

TEST_F(DeviceMemory, DqnFromReplay) {
  expect_same(std::string(control) + R"(
[objective]
use = "q_learning"
target_every = 3
[feed]
use = "replay"
collect = 4
updates = 1
start = 8
capacity = 64
)",
              {"train.batch=4"});
}

}  // namespace
}  // namespace lathe
