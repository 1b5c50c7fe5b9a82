// A run that is stopped and goes on ends with the same bits as one that was never disturbed.
#include <gtest/gtest.h>
#include <lathe/base/log.h>
#include <lathe/io/checkpoint.h>
#include <lathe/io/metrics_file.h>
#include <lathe/learn/feeds.h>
#include <lathe/run/run.h>

#include <csignal>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::error_of;
using testing::Tiny;

// The feed "packed", during whose batch `at` something happens: between two micro-batches.
class DisturbedFeed final : public Feed {
 public:
  using Options = PackedFeed::Options;
  explicit DisturbedFeed(const Config& config) : inner_(config) {}

  void open(const FeedContext& context) override {
    training_ = context.split == Split::train;
    inner_.open(context);
  }
  std::int64_t batches() const override { return inner_.batches(); }
  Batch batch(std::int64_t number) override {
    if (training_ && number == at) {
      if (crash) fail("crashed on purpose");
      std::raise(SIGTERM);
    }
    return inner_.batch(number);
  }

  static inline std::int64_t at = -1;
  static inline bool crash = false;

 private:
  PackedFeed inner_;
  bool training_ = false;
};

const char* const disturbed = R"(
seed = 3
[data]
use = "sums"
digits = 1
train = 60
validation = 15
[tokenizer]
use = "chars"
specials = true
[feed]
use = "disturbed"
[model]
layers = 1
heads = 3
width = 15
dropout = 0.2
[optimizer]
rate = 0.02
decay = 0.1
[schedule]
use = "cosine"
warmup = 3
[train]
steps = 20
batch = 2
length = 13
accumulation = 3
clip = 0.7
ema = 0.8
log_every = 2
[evaluate]
every = 6
batch = 3
[checkpoint]
every = 8
[sample]
every = 5
prompts = ["1+2="]
tokens = 3
)";

class Resume : public ::testing::Test {
 protected:
  Resume() : tiny_(disturbed) {
    set_log_quiet(true);
    tiny_.registry().add<Feed, DisturbedFeed>("disturbed", "1.0.0");
    DisturbedFeed::at = -1;
    DisturbedFeed::crash = false;
  }
  ~Resume() override { set_log_quiet(false); }

  RunResult run_in(const std::string& name) {
    return run(tiny_.experiment(), tiny_.registry(),
               {.arguments = {},
                .folder = tiny_ / name,
                .work_folder = tiny_.path(),
                .again = false,
                .progress = ProgressStyle::quiet});
  }

  // Everything of a finished run but its speed: the state, the best, the metrics, the samples.
  std::string remains_of(const std::string& name) const {
    const std::string folder = tiny_ / name;
    Checkpoints checkpoints(real_files(), folder + "/checkpoints", 2);
    std::string all;
    for (const std::int64_t step : checkpoints.steps()) {
      if (step != 20 && step != checkpoints.best()) continue;
      for (const auto& file : verify_checkpoint(real_files(), checkpoints.path_of(step)).files) {
        all += cat(step, " ", file.name, " ", file.sha256, "\n");
      }
    }
    all += cat("best ", checkpoints.best().value_or(-1), "\n");
    for (MetricsRow& row : read_metrics(real_files(), folder + "/metrics.jsonl")) {
      std::erase_if(row.values,
                    [](const auto& value) { return value.first.starts_with("speed/"); });
      all += metrics_line(row.step, row.values) + "\n";
    }
    return all + read_file(folder + "/samples.jsonl");
  }

  Tiny tiny_;
};

TEST_F(Resume, AfterEveryStep) {
  EXPECT_EQ(run_in("whole").end, RunResult::End::finished);
  const std::string expected = remains_of("whole");
  EXPECT_NE(expected.find("20 optimizer.safetensors"), std::string::npos) << expected;
  EXPECT_NE(expected.find("20 average.safetensors"), std::string::npos);
  EXPECT_NE(expected.find("eval/loss"), std::string::npos);
  for (std::int64_t step = 1; step < 20; ++step) {
    const std::string name = cat("stopped", step);
    DisturbedFeed::at = 3 * (step - 1) + 1;
    const RunResult stopped = run_in(name);
    EXPECT_EQ(stopped.end, RunResult::End::interrupted);
    EXPECT_EQ(stopped.step, step);
    DisturbedFeed::at = -1;
    EXPECT_EQ(run_in(name).end, RunResult::End::finished);
    EXPECT_EQ(remains_of(name), expected) << "stopped after step " << step;
  }
}

// Without a word of goodbye: the run goes on from its last checkpoint and repeats what came after.
TEST_F(Resume, AfterACrash) {
  run_in("whole");
  const std::string expected = remains_of("whole");
  for (const std::int64_t step : {0, 5, 6, 7, 9, 15, 19}) {
    const std::string name = cat("crashed", step);
    DisturbedFeed::at = 3 * step + 2;
    DisturbedFeed::crash = true;
    EXPECT_EQ(error_of([&] { run_in(name); }), "crashed on purpose");
    DisturbedFeed::at = -1;
    EXPECT_EQ(run_in(name).end, RunResult::End::finished);
    EXPECT_EQ(remains_of(name), expected) << "crashed in step " << step;
  }
}

// Stopped again and again.
TEST_F(Resume, ManyTimes) {
  run_in("whole");
  const std::string expected = remains_of("whole");
  for (const std::int64_t step : {2, 3, 7, 8, 12, 19}) {
    DisturbedFeed::at = 3 * (step - 1);
    EXPECT_EQ(run_in("often").step, step);
  }
  DisturbedFeed::at = -1;
  EXPECT_EQ(run_in("often").end, RunResult::End::finished);
  EXPECT_EQ(remains_of("often"), expected);
}

}  // namespace
}  // namespace lathe
