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
  std::vector<MetricsRow> metrics(const std::string& name = "run") const {
    return read_metrics(real_files(), tiny_ / (name + "/metrics.jsonl"));
  }
  // All but speed of a run that ended at this step.
  std::string remains_of(const std::string& name, std::int64_t step) const {
    std::string all;
    for (MetricsRow& row : metrics(name)) {
      std::erase_if(row.values,
                    [](const auto& value) { return value.first.starts_with("speed/"); });
      all += metrics_line(row.step, row.values) + "\n";
    }
    const Checkpoints kept(real_files(), tiny_ / (name + "/checkpoints"), 100);
    all += cat("best ", kept.best().value_or(-1), "\n");
    for (const auto& file : verify_checkpoint(real_files(), kept.path_of(step)).files) {
      all += cat(file.name, " ", file.sha256, "\n");
    }
    const std::string samples = tiny_ / (name + "/samples.jsonl");
    return exists(samples) ? all + read_file(samples) : all;
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

TEST_F(Endings, PatienceBeginsAnewWhenTheEndHasMoved) {
  std::vector<std::string> words = {"optimizer.rate=0", "evaluate.every=2", "evaluate.patience=3",
                                    "train.steps=20"};
  ASSERT_EQ(run_with(words).step, 8);
  const RunResult unmoved = run_with(words, "run", true);
  EXPECT_EQ(unmoved.end, RunResult::End::early_stop);
  EXPECT_EQ(unmoved.step, 8);
  EXPECT_NE(read_file(tiny_ / "run/log.txt").find("stopped by evaluate.patience at step 8;"),
            std::string::npos);
  words.back() = "train.steps=40";
  const RunResult moved = run_with(words, "run", true);
  EXPECT_EQ(moved.end, RunResult::End::early_stop);
  EXPECT_EQ(moved.step, 14);  // no better at 10, 12 and 14
  EXPECT_EQ(checkpoints().best(), 2);
  words.back() = "train.steps=41";
  words.push_back("evaluate.patience=0");
  EXPECT_EQ(run_with(words, "run", true).step, 41);
}

TEST_F(Endings, AFinishedRunGoesOnPastItsEndOnlyWhenAsked) {
  run_with({"train.steps=4"});
  const RunResult straight = run_with({"train.steps=9"}, "straight");
  EXPECT_EQ(run_with({"train.steps=9"}).step, 4);
  EXPECT_EQ(run_with({"train.steps=4"}, "run", true).end, RunResult::End::already_finished);
  const RunResult extended = run_with({"train.steps=9"}, "run", true);
  EXPECT_EQ(extended.end, RunResult::End::finished);
  EXPECT_EQ(extended.step, 9);
  EXPECT_NE(read_file(tiny_ / "run/log.txt")
                .find(cat("its identity was ", tiny_.experiment({"train.steps=4"}).identity(),
                          " and is ", tiny_.experiment({"train.steps=9"}).identity())),
            std::string::npos);
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

// Whether at the end or on the way: nothing is lost but the evaluation, which is made up for.
TEST_F(Endings, AnEvaluationThatFailsLosesNoTraining) {
  for (const int every : {0, 3}) {
    std::vector<std::string> words = {"train.steps=8", "sample.prompts=[\"1+2=\"]",
                                      cat("evaluate.every=", every)};
    run_with(words, cat("straight", every));
    words.push_back("evaluate.best=accuracy");
    const std::string name = cat("mistaken", every);
    const std::string message = error_of([&] { run_with(words, name); });
    EXPECT_EQ(message, "the evaluation has no metric 'accuracy' (evaluate.best). Valid: loss");
    const Checkpoints kept(real_files(), tiny_ / (name + "/checkpoints"), 100);
    EXPECT_EQ(kept.steps(), Steps{every == 0 ? 8 : 3});
    words.back() = "evaluate.best=loss";
    EXPECT_EQ(run_with(words, name).end, RunResult::End::finished);
    EXPECT_EQ(remains_of(name, 8), remains_of(cat("straight", every), 8));
  }
}

TEST_F(Endings, AnEmptyPromptIsFoundBeforeTheFirstStep) {
  const std::string message = error_of([&] {
    run_with({"train.steps=3", "sample.prompts=[\"1+2=\", \"\"]"});
  });
  EXPECT_NE(message.find("sample.prompts: prompt 2 (\"\") has no tokens"), std::string::npos)
      << message;
  EXPECT_TRUE(checkpoints().steps().empty());
  EXPECT_FALSE(exists(tiny_ / "run/metrics.jsonl"));
}

}  // namespace
}  // namespace lathe
