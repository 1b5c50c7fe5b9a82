// lathe sweep, as a program: cells, a stop, a kill, a failure, the table.
#include "program.h"

#include <lathe/base/error.h>
#include <lathe/base/json.h>
#include <lathe/io/metrics_file.h>

#include <cmath>
#include <filesystem>

namespace lathe::testing {
namespace {
namespace filesystem = std::filesystem;

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class Sweep : public ::testing::Test {
 protected:
  Sweep() {
    program.write("tiny.toml", std::string(tiny) + R"([variant.long.set]
train.steps = 1000000
[sweep]
seeds = 2
metrics = ["eval/loss"]
[sweep.axis]
"optimizer.rate" = [1e-3, 3e-3]
"model.width" = [8, 16]
[launcher]
slots = 2
)");
  }
  Outcome sweep(std::vector<std::string> more) {
    more.insert(more.begin(), {"sweep", "tiny.toml", "train.steps=6"});
    return program.run(more);
  }
  static Json report(const Outcome& outcome) { return Json::parse(outcome.out); }
  std::string metrics(const Json& cell) const {
    return program / (cell.at("run").get<std::string>() + "/metrics.jsonl");
  }
  // The newest loss in the cell's own file.
  double loss(const Json& cell) const {
    double value = 0;
    for (const MetricsRow& row : read_metrics(real_files(), metrics(cell))) {
      for (const auto& [name, number] : row.values) value = name == "eval/loss" ? number : value;
    }
    return value;
  }

  Program program;
};

TEST_F(Sweep, TwoAxesAndTwoSeedsAreEightRunsAndFourRowsOfStatistics) {
  const Outcome outcome = sweep({"--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const Json all = report(outcome);
  ASSERT_EQ(all.at("cells").size(), 8U);
  ASSERT_EQ(all.at("groups").size(), 4U);
  for (std::size_t g = 0; g < 4; ++g) {
    const Json &one = all.at("cells")[2 * g], &other = all.at("cells")[2 * g + 1];
    EXPECT_EQ(one.at("state"), "done");
    EXPECT_EQ(one.at("step"), 6);
    EXPECT_EQ(one.at("seed"), 3);
    EXPECT_EQ(other.at("seed"), 4);
    EXPECT_EQ(one.at("set").at("model.width"), g % 2 == 0 ? 8 : 16);
    EXPECT_EQ(one.at("set").at("optimizer.rate"), g < 2 ? 1e-3 : 3e-3);
    EXPECT_EQ(one.at("metrics").at("eval/loss"), loss(one));
    const Json& summary = all.at("groups")[g].at("metrics").at("eval/loss");
    const double mean = (loss(one) + loss(other)) / 2;
    const double deviation = std::abs(loss(one) - loss(other)) / std::sqrt(2.0);
    EXPECT_EQ(summary.at("n"), 2);
    EXPECT_DOUBLE_EQ(summary.at("mean"), mean);
    EXPECT_NEAR(summary.at("deviation"), deviation, 1e-12);
    // t(0.975, 1) = tan(0.475 pi)
    EXPECT_NEAR(summary.at("low"), mean - 12.706204736174707 * deviation / std::sqrt(2.0), 1e-9);
    EXPECT_NEAR(summary.at("high"), mean + 12.706204736174707 * deviation / std::sqrt(2.0), 1e-9);
  }
  EXPECT_NE(loss(all.at("cells")[0]), loss(all.at("cells")[1])) << "the seed does nothing";

  // Called again, it has nothing to do but to tell; and a cell is a run like any other.
  const auto before = filesystem::last_write_time(metrics(all.at("cells")[5]));
  const Outcome again = sweep({"--json"});
  EXPECT_TRUE(holds(again.error, "8 cells, 8 done already")) << again.error;
  EXPECT_EQ(again.out, outcome.out);
  EXPECT_EQ(filesystem::last_write_time(metrics(all.at("cells")[5])), before);
  const Outcome alone = program.run(
      {"run", "tiny.toml", "train.steps=6", "optimizer.rate=1e-3", "model.width=8", "seed=4"});
  EXPECT_TRUE(holds(alone.error, "this run is finished already")) << alone.error;

  const Outcome text = sweep({"--plan", "--metric", "eval/los"});
  EXPECT_EQ(text.code, 1);
  EXPECT_TRUE(holds(text.error, "has no metric 'eval/los'. Did you mean 'eval/loss'?"))
      << text.error;
  EXPECT_TRUE(holds(text.out, "optimizer.rate=0.001 model.width=16     4   done     6"))
      << text.out;
}

// A signal: cells save themselves, and the same command goes on with them.
TEST_F(Sweep, AStoppedSweepGoesOnWhereItsCellsWere) {
  const std::vector<std::string> words = {"sweep", "tiny.toml", "@long", "--json"};
  const auto stopped = [&](int signal) {
    const Program::Child child = program.start(words);
    for (int tries = 0; tries < 4000; ++tries) {
      std::size_t running = 0;
      std::error_code ignored;
      for (const auto& entry :
           filesystem::recursive_directory_iterator(program / "runs", ignored)) {
        const bool file = entry.path().filename() == "metrics.jsonl";
        running += file && filesystem::file_size(entry.path(), ignored) > 0 ? 1U : 0U;
      }
      if (running >= 2) break;
      usleep(5000);
    }
    kill(child.process, signal);
    return Program::finish(child);
  };
  const Outcome first = stopped(SIGTERM);
  ASSERT_EQ(first.code, 75) << first.error;
  Json all = report(first);
  EXPECT_EQ(all.at("cells")[0].at("state"), "interrupted");
  EXPECT_EQ(all.at("cells")[1].at("state"), "interrupted");
  EXPECT_EQ(all.at("cells")[2].at("state"), "waiting");
  const std::int64_t step = all.at("cells")[0].at("step");
  EXPECT_GT(step, 0);
  EXPECT_TRUE(holds(first.error, "was stopped and saved")) << first.error;
  EXPECT_TRUE(holds(first.error, "was not begun")) << first.error;

  // kill -9: the cells are asked to stop by the kernel, and save themselves too.
  ASSERT_EQ(stopped(SIGKILL).code, 137);
  const std::string log =
      program /
      (filesystem::path(all.at("plan").get<std::string>()).parent_path() / "cells/0/log.txt")
          .string();
  EXPECT_TRUE(holds(read_file(log), cat("at step ", step))) << read_file(log);
}

TEST_F(Sweep, AFailureLosesNoOtherCellAndNothingRunsWithABadOne) {
  program.write("tiny.toml", std::string(tiny) + R"([sweep]
metrics = ["eval/loss"]
[sweep.axis]
"model.width" = [8, 9, 16]
)");
  // 9 is in range, but no multiple of the heads: only the model itself can tell.
  const Outcome outcome = sweep({"--json"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(holds(outcome.error, "cell model.width=9 seed=3 failed with code 1"))
      << outcome.error;
  EXPECT_TRUE(holds(outcome.error, "multiple of")) << outcome.error;
  const Json all = report(outcome);
  EXPECT_EQ(all.at("cells")[0].at("state"), "done");
  EXPECT_EQ(all.at("cells")[1].at("state"), "failed");
  EXPECT_EQ(all.at("cells")[2].at("state"), "done");
  EXPECT_EQ(all.at("groups")[1].at("metrics").at("eval/loss").at("n"), 0);
  EXPECT_TRUE(all.at("groups")[1].at("metrics").at("eval/loss").at("mean").is_null());
  EXPECT_EQ(all.at("groups")[2].at("metrics").at("eval/loss").at("mean"), loss(all.at("cells")[2]));

  const Outcome bad =
      program.run({"sweep", "tiny.toml", "sweep.axis={'model.width'=[8, 0]}", "runs=elsewhere"});
  EXPECT_EQ(bad.code, 1);
  EXPECT_TRUE(holds(bad.error, "cell model.width=0:")) << bad.error;
  EXPECT_FALSE(exists(program / "elsewhere"));
  const Outcome check = program.run({"check", "tiny.toml", "sweep.axis={'model.width'=[8, 0]}"});
  EXPECT_EQ(check.code, 1);
  EXPECT_TRUE(holds(check.error, "cell model.width=0:")) << check.error;
}

}  // namespace
}  // namespace lathe::testing
