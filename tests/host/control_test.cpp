// A policy is trained and played by the program: what its lines, its metrics and `lathe play` say.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "host/program.h"

namespace lathe {
namespace {
using nlohmann::json;
using testing::Outcome;
using testing::Program;

// Episodes have two steps whatever the policy does: rewards 0, then 1.
const char* const probe = R"(
[environment]
use = "probe_discount"
[feed]
use = "rollouts"
environments = 4
steps = 8
epochs = 2
minibatches = 2
[model]
use = "mlp"
layers = [4]
[objective]
use = "ppo"
[train]
steps = 12
batch = 1
log_every = 6
[evaluate]
episodes = 5
best = "return"
goal = "max"
)";

std::vector<json> lines_of(const std::string& text) {
  std::vector<json> lines;
  std::istringstream all(text);
  for (std::string line; std::getline(all, line);) lines.push_back(json::parse(line));
  return lines;
}

TEST(Control, IsCountedInActionsAndReturns) {
  Program program;
  program.write("probe.toml", probe);
  const Outcome run = program.run({"run", "probe.toml", "--folder", "kept"});
  ASSERT_EQ(run.code, 0) << run.error;
  EXPECT_NE(run.error.find("return 1"), std::string::npos) << run.error;
  EXPECT_NE(run.error.find("actions/s"), std::string::npos) << run.error;
  EXPECT_EQ(run.error.find("tokens"), std::string::npos) << run.error;
  int reports = 0;
  for (const json& line : lines_of(read_file(program / "kept/metrics.jsonl"))) {
    if (!line.contains("train/loss")) {
      EXPECT_EQ(line.at("eval/return"), 1);
      EXPECT_EQ(line.at("eval/length"), 2);
      continue;
    }
    // Four steps learn from each collection of 32 actions: none of the lines stands at one's first.
    ++reports;
    EXPECT_EQ(line.at("train/actions"), reports == 1 ? 64 : 96);
    EXPECT_EQ(line.at("train/return"), 1);
    EXPECT_EQ(line.at("train/length"), 2);
    EXPECT_TRUE(line.contains("train/val/explained_variance"));
    EXPECT_TRUE(line.contains("speed/actions_per_second"));
    EXPECT_FALSE(line.contains("train/tokens"));
  }
  EXPECT_EQ(reports, 2);

  const Outcome played = program.run({"play", "kept"});
  EXPECT_EQ(played.code, 0) << played.error;
  EXPECT_EQ(played.out,
            "sees 0\n\nstep 1: 0, reward 0, return 0\nsees 1\n\nstep 2: 0, reward 1, return "
            "1\nsees 1\n\n");
  const Outcome told = program.run({"play", "kept", "--json", "--explore", "--episode", "3"});
  ASSERT_EQ(told.code, 0) << told.error;
  const std::vector<json> moments = lines_of(told.out);
  ASSERT_EQ(moments.size(), 3U);
  EXPECT_EQ(moments[0], json::parse(R"({"step": 0, "action": "", "reward": 0.0, "return": 0.0,
                                        "ended": false, "picture": "sees 0\n"})"));
  EXPECT_EQ(moments[2], json::parse(R"({"step": 2, "action": "0", "reward": 1.0, "return": 1.0,
                                        "ended": true, "picture": "sees 1\n"})"));
}

TEST(Control, PlayNamesWhatIsMissing) {
  Program program;
  const Outcome none = program.run({"play", "nowhere"});
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(none.error.find("nowhere: is not a run"), std::string::npos) << none.error;
}

}  // namespace
}  // namespace lathe
