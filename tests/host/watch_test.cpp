// lathe run --watch: the run follows its plugin's source.
#include "program.h"

#include <lathe/base/json.h>
#include <lathe/io/metrics_file.h>

#include <chrono>
#include <filesystem>
#include <thread>

namespace lathe::testing {
namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string flat(const std::string& body) {
  return R"(#include <lathe/learn/optimizer.h>
#include <lathe/plugin/plugin.h>
namespace lathe {
class Flat final : public Schedule {
 public:
  double factor(std::int64_t, std::int64_t) const override { )" +
         body + R"( }
};
LATHE_PLUGIN(Schedule, Flat, "flat", "1.0.0")
}  // namespace lathe
)";
}

class Watching : public ::testing::Test {
 protected:
  Watching() { program.write("tiny.toml", tiny); }
  // Until it holds; false after half a minute.
  static bool wait_for(const std::function<bool()>& condition) {
    for (int tries = 0; tries < 3000; ++tries) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  bool said(const Program::Child& child, const std::string& text) const {
    return exists(child.error) && holds(read_file(child.error), text);
  }
  // The learning rates that were reported, one after the other, each once.
  std::vector<double> rates() const {
    std::vector<double> all;
    if (!exists(program / "run/metrics.jsonl")) return all;
    for (const MetricsRow& row : read_metrics(real_files(), program / "run/metrics.jsonl")) {
      for (const auto& [name, value] : row.values) {
        if (name == "train/rate" && (all.empty() || all.back() != value)) all.push_back(value);
      }
    }
    return all;
  }
  std::int64_t last_step() const {
    if (!exists(program / "run/metrics.jsonl")) return 0;
    const auto rows = read_metrics(real_files(), program / "run/metrics.jsonl");
    return rows.empty() ? 0 : rows.back().step;
  }
  Program program;
};

TEST_F(Watching, AGoodChangeGoesOnFromTheCheckpointAndABadOneLeavesTheRunAlone) {
  program.write("flat.cpp", flat("return 0.5;"));
  ASSERT_EQ(program.run({"build", "flat.cpp"}).code, 0);
  const Program::Child child =
      program.start({"run", "tiny.toml", "schedule=flat", "train.steps=10000000", "--folder", "run",
                     "--watch", "evaluate.every=0"});
  ASSERT_TRUE(wait_for([&] { return rates() == std::vector<double>{1.5e-3}; }));
  EXPECT_TRUE(said(child, "watching " + (program / "flat.cpp")));

  program.write("flat.cpp", flat("return nothing;"));
  ASSERT_TRUE(wait_for([&] { return said(child, "the run goes on as it was"); }));
  EXPECT_TRUE(said(child, "does not compile. Look at "));
  EXPECT_TRUE(said(child, "return nothing;"));
  const std::int64_t step = last_step();
  EXPECT_TRUE(wait_for([&] { return last_step() > step; })) << "the old run has ended";

  program.write("flat.cpp", flat("return 0.25;"));
  ASSERT_TRUE(wait_for([&] {
    return rates() == (std::vector<double>{1.5e-3, 0.75e-3});
  })) << read_file(child.error);
  EXPECT_TRUE(said(child, "flat.cpp has changed: built in "));
  EXPECT_TRUE(said(child, "going on, though the schedule 'flat' has changed"));
  kill(child.process, SIGTERM);
  const Outcome outcome = Program::finish(child);
  EXPECT_EQ(outcome.code, 75) << outcome.error;
  // It went on from where it had stopped: nothing is reported twice, and no step is missing.
  const auto rows = read_metrics(real_files(), program / "run/metrics.jsonl");
  for (std::size_t i = 1; i < rows.size(); ++i) EXPECT_EQ(rows[i].step, rows[i - 1].step + 5);
  EXPECT_EQ(read_json(program / "run/manifest.json").at("restarts").size(), 1U);
  for (const auto& entry : std::filesystem::directory_iterator(program / "data/lathe/plugins")) {
    EXPECT_NE(entry.path().filename().string().front(), '.') << entry.path() << " was left behind";
  }
}

TEST_F(Watching, NeedsAPluginOfOnesOwn) {
  const Outcome outcome = program.run({"run", "tiny.toml", "--watch"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(holds(outcome.error,
                    "--watch has nothing to look at: no plugin of this experiment "
                    "was made by `lathe build`"))
      << outcome.error;
}

}  // namespace
}  // namespace lathe::testing
