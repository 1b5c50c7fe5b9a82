// How runs end: early, with the best kept, with a failure that leaves nothing wrong behind.
#include <gtest/gtest.h>
#include <lathe/base/log.h>
#include <lathe/io/checkpoint.h>
#include <lathe/io/metrics_file.h>
#include <lathe/run/run.h>

#include <cmath>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::error_of;
using testing::Tiny;

class Endings : public ::testing::Test {
 protected:
  Endings() : tiny_(testing::tiny_sums) { set_log_quiet(true); }
  ~Endings() override { set_log_quiet(false); }

  RunResult run_with(const std::vector<std::string>& changes, const std::string& name = "run",
                     bool extend = false) {
    return run(tiny_.experiment(changes), tiny_.registry(),
               {.arguments = {},
                .folder = tiny_ / name,
                .work_folder = tiny_.path(),
                .again = false,
                .extend = extend,
                .progress = ProgressStyle::quiet});
  }
  Checkpoints checkpoints() const {
    return Checkpoints(real_files(), tiny_ / "run/checkpoints", 100);
  }
  std::vector<MetricsRow> metrics() const {
    return read_metrics(real_files(), tiny_ / "run/metrics.jsonl");
  }

  Tiny tiny_;
};
using Steps = std::vector<std::int64_t>;

// A rate of 0 changes nothing, so the first evaluation stays the best.
TEST_F(Endings, EarlyStopKeepsTheBest) {
  const RunResult result = run_with({"optimizer.rate=0", "train.steps=20", "evaluate.every=2",
                                     "evaluate.patience=3", "checkpoint.keep=1"});
  EXPECT_EQ(result.end, RunResult::End::early_stop);
  EXPECT_EQ(result.step, 8);  // the best at 2, then 4, 6 and 8
  EXPECT_EQ(checkpoints().steps(), (Steps{2, 8}));
  EXPECT_EQ(checkpoints().best(), 2);
  EXPECT_EQ(run_with({"optimizer.rate=0", "train.steps=20", "evaluate.every=2",
                      "evaluate.patience=3", "checkpoint.keep=1"})
                .end,
            RunResult::End::already_finished);
}

TEST_F(Endings, AFinishedRunGoesOnPastItsEndOnlyWhenAsked) {
  run_with({"train.steps=4"});
  const RunResult straight = run_with({"train.steps=9"}, "straight");
  EXPECT_EQ(run_with({"train.steps=9"}).step, 4);
  EXPECT_EQ(run_with({"train.steps=4"}, "run", true).end, RunResult::End::already_finished);
  const RunResult extended = run_with({"train.steps=9"}, "run", true);
  EXPECT_EQ(extended.end, RunResult::End::finished);
  EXPECT_EQ(extended.step, 9);
  ASSERT_FALSE(straight.values.empty());
  EXPECT_EQ(extended.values, straight.values);
}

TEST_F(Endings, TheNewestAndTheBestAreKept) {
  run_with({"optimizer.rate=0", "train.steps=7", "evaluate.every=1", "checkpoint.every=1",
            "checkpoint.keep=3"});
  EXPECT_EQ(checkpoints().steps(), (Steps{1, 5, 6, 7}));
  EXPECT_EQ(checkpoints().best(), 1);
}

TEST_F(Endings, TheBestIsTheSmallestLoss) {
  run_with({"optimizer.use=sgd", "optimizer.rate=1", "train.clip=1", "train.steps=12",
            "evaluate.every=1", "checkpoint.keep=1"});
  double least = INFINITY;
  std::int64_t at = -1;
  bool rises = false;
  for (const MetricsRow& row : metrics()) {
    for (const auto& [name, value] : row.values) {
      if (name != "eval/loss") continue;
      rises = rises || value > least;
      if (value < least) at = row.step;
      least = std::min(least, value);
    }
  }
  EXPECT_TRUE(rises);
  EXPECT_EQ(checkpoints().best(), at);
}

TEST_F(Endings, NothingIsSavedOfALossThatIsNotFinite) {
  const std::vector<std::string> wild = {"optimizer.use=sgd", "optimizer.rate=1e30",
                                         "train.clip=0",      "train.steps=9",
                                         "train.log_every=1", "evaluate.every=5"};
  const std::string message = error_of([&] { run_with(wild); });
  EXPECT_EQ(message.find("step 1: the loss is"), 0u) << message;
  EXPECT_TRUE(checkpoints().steps().empty());
  for (const MetricsRow& row : metrics()) {
    for (const auto& [name, value] : row.values) EXPECT_TRUE(std::isfinite(value)) << name;
  }
}

// The last step of a run throws the weights away, and no further loss would tell.
TEST_F(Endings, NothingIsSavedOfWeightsThatAreNotFinite) {
  for (const char* validation : {"data.validation=20", "data.validation=0"}) {
    const std::string message = error_of([&] {
      run_with({validation, "optimizer.use=sgd", "optimizer.rate=1e39", "train.clip=0",
                "train.steps=1"});
    });
    EXPECT_NE(message.find("step 1"), std::string::npos) << message;
    EXPECT_NE(message.find("nothing was saved"), std::string::npos) << message;
    EXPECT_TRUE(checkpoints().steps().empty());
  }
}

}  // namespace
}  // namespace lathe
