// An experiment in stages: SFT, then reinforcement learning from its weights, as one command.
#include "program.h"

#include <lathe/base/error.h>
#include <lathe/base/json.h>
#include <lathe/io/metrics_file.h>

namespace lathe::testing {
namespace {

const char* const staged = R"(# Does the second stage begin where the first ended?
seed = 4
[data]
use = "sums"
digits = 1
train = 60
validation = 20
[tokenizer]
use = "chars"
specials = true
[model]
use = "gpt"
layers = 1
heads = 2
width = 16
[train]
steps = 20
length = 10
log_every = 2
[checkpoint]
every = 2
[stage.sft.objective]
use = "sft"
[stage.sft.train]
batch = 8
[stage.rl]
objective = { use = "ppo", kl = 0.05 }
environment = { use = "completion", tokens = 4 }
reward = [{ use = "exact_match" }, { use = "length", budget = 1, price = 0.25 }]
feed = { use = "rollouts", environments = 6, epochs = 2, minibatches = 2 }
train = { steps = 8 }
evaluate = { episodes = 20, best = "score", goal = "max" }
sample = { every = 4, texts = 3 }
[variant.grpo.set.stage.rl]
objective = { use = "grpo", form = "rloo", kl = 0.05 }
feed = { group = 3 }
)";

class StagedRuns : public ::testing::Test {
 protected:
  StagedRuns() { program.write("staged.toml", staged); }
  std::string text(const std::string& name) const { return read_file(program / name); }
  bool same(const std::string& a, const std::string& b) const { return text(a) == text(b); }
  Program program;
};

TEST_F(StagedRuns, EachBeginsWithTheWeightsOfTheOneBefore) {
  const Outcome checked = program.run({"check", "staged.toml", "--json"});
  ASSERT_EQ(checked.code, 0) << checked.error;
  const Json report = Json::parse(checked.out);
  EXPECT_EQ(report.at("stages"), Json({"sft", "rl"}));
  const std::string folder = report.at("folder").get<std::string>();

  const Outcome outcome = program.run({"run", "staged.toml", "--quiet"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_EQ(outcome.out, folder + "/sft\n" + folder + "/rl\n");
  EXPECT_NE(text(folder + "/rl/resolved.toml").find("start = \"" + folder + "/sft\""),
            std::string::npos);
  EXPECT_NE(text(folder + "/rl/log.txt").find("starting from the weights of"), std::string::npos);
  // The KL from the reference is 0 before the first update, and no longer afterwards.
  const auto rows = read_metrics(real_files(), program / (folder + "/rl/metrics.jsonl"));
  const auto value = [&](std::size_t row, const std::string& name) {
    for (const auto& [key, number] : rows.at(row).values) {
      if (key == name) return number;
    }
    return -1.0;
  };
  EXPECT_EQ(rows.at(0).step, 2);
  EXPECT_NE(value(rows.size() - 2, "train/policy/approxkl_avg"), 0);

  const Outcome all = program.run({"generate", folder, "1+2="});
  EXPECT_EQ(all.code, 1);
  EXPECT_NE(
      all.error.find("each a run of its own. Name one: " + folder + "/sft, " + folder + "/rl"),
      std::string::npos)
      << all.error;

  // Done already: nothing is trained again.
  const std::string before = text(folder + "/rl/metrics.jsonl");
  EXPECT_EQ(program.run({"run", "staged.toml", "--quiet"}).code, 0);
  EXPECT_EQ(program.run({"resume", folder, "--quiet"}).code, 0);
  EXPECT_EQ(text(folder + "/rl/metrics.jsonl"), before);
}

TEST_F(StagedRuns, ATableOfPromptsTextsAndScoresIsKept) {
  ASSERT_EQ(program.run({"run", "staged.toml", "--quiet", "--folder", "kept"}).code, 0);
  std::istringstream lines(text("kept/rl/samples.jsonl"));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const Json row = Json::parse(line);
    EXPECT_EQ(row.at("step"), count < 3 ? 4 : 8);
    EXPECT_EQ(row.at("prompt").get<std::string>().back(), '=');
    const double score = row.at("score").get<double>();
    const auto length = static_cast<double>(row.at("text").get<std::string>().size());
    EXPECT_LE(score, 1) << line;
    EXPECT_GE(score, -0.25 * length) << line;
  }
  EXPECT_EQ(count, 6);
}

TEST_F(StagedRuns, AStoppedStageGoesOn) {
  ASSERT_EQ(program.run({"run", "staged.toml", "--quiet", "--folder", "straight"}).code, 0);
  ASSERT_EQ(program.run({"run", "staged.toml", "--quiet", "--folder", "broken"}).code, 0);
  // As if it had been killed in the second half of a collection: later checkpoints are not there.
  std::filesystem::remove_all(program / "broken/rl/checkpoints/00000008");
  std::filesystem::remove(program / "broken/rl/status");
  const Outcome outcome = program.run({"resume", "broken", "--quiet"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_TRUE(same("broken/rl/checkpoints/00000008/weights.safetensors",
                   "straight/rl/checkpoints/00000008/weights.safetensors"));
  EXPECT_TRUE(same("broken/rl/samples.jsonl", "straight/rl/samples.jsonl"));
}

TEST_F(StagedRuns, AFolderOfOtherFilesIsRefused) {
  program.write("mine/notes.txt", "dear diary");
  program.write("half/stages.toml", "of another kind");
  program.write("half/rl/notes.txt", "dear diary");
  for (const char* again : {"--quiet", "--again"}) {
    const Outcome mine = program.run({"run", "staged.toml", "--folder", "mine", again});
    EXPECT_EQ(mine.code, 1);
    EXPECT_NE(mine.error.find("mine: holds no run of these stages, and is not empty (it holds "
                              "'notes.txt'); choose another folder"),
              std::string::npos)
        << mine.error;
    const Outcome half = program.run({"run", "staged.toml", "--folder", "half", again});
    EXPECT_EQ(half.code, 1);
    EXPECT_NE(half.error.find("half/rl: is no run, and not empty"), std::string::npos)
        << half.error;
  }
  EXPECT_EQ(list_folder(real_files(), program / "mine"), std::vector<std::string>{"notes.txt"});
  EXPECT_EQ(text("half/stages.toml"), "of another kind");
  EXPECT_EQ(text("half/rl/notes.txt"), "dear diary");
  EXPECT_FALSE(exists(program / "half/sft"));
}

// The KL is that from the model as the stage began, whatever has become of the one before.
TEST_F(StagedRuns, TheReferenceStaysTheSameOrIsMissed) {
  ASSERT_EQ(program.run({"run", "staged.toml", "--quiet", "--folder", "kept"}).code, 0);
  const auto cut_short = [&] {
    std::filesystem::remove_all(program / "kept/rl/checkpoints/00000008");
    std::filesystem::remove(program / "kept/rl/status");
  };
  const std::string straight = text("kept/rl/checkpoints/00000008/weights.safetensors");
  const std::string start = Json::parse(text("kept/rl/manifest.json")).at("start").at("checkpoint");
  cut_short();
  ASSERT_EQ(program.run({"resume", "kept/sft", "--quiet", "train.steps=22"}).code, 0);
  ASSERT_TRUE(exists(start));
  ASSERT_EQ(program.run({"resume", "kept/rl", "--quiet"}).code, 0);
  EXPECT_TRUE(text("kept/rl/checkpoints/00000008/weights.safetensors") == straight);

  cut_short();
  std::filesystem::remove_all(start);
  std::filesystem::remove(program / "kept/sft/checkpoints/best.json");
  const Outcome missed = program.run({"resume", "kept/rl", "--quiet"});
  EXPECT_EQ(missed.code, 1);
  EXPECT_NE(missed.error.find("the weights that this run began with (train.start), of the SHA-256"),
            std::string::npos)
      << missed.error;
}

TEST_F(StagedRuns, AVariantChangesOneStage) {
  const Outcome shown = program.run({"show", "staged.toml", "@grpo", "stage.rl.train.steps=5"});
  ASSERT_EQ(shown.code, 0) << shown.error;
  EXPECT_NE(shown.out.find("use = \"grpo\""), std::string::npos);
  EXPECT_NE(shown.out.find("steps = 20"), std::string::npos);
  EXPECT_NE(shown.out.find("steps = 5"), std::string::npos);
  EXPECT_EQ(shown.out.find("use = \"ppo\""), std::string::npos);
}

// A judge is learnt from preferences for short answers, beside the policy that it then judges.
const char* const judged = R"(seed = 4
[data]
use = "preferences"
file = "pairs.jsonl"
validation = 0.25
[tokenizer]
use = "chars"
specials = true
[model]
use = "gpt"
layers = 1
heads = 2
width = 16
[train]
steps = 30
batch = 8
length = 10
[optimizer]
rate = 1e-2
[stage.sft]
feed = { use = "rows" }
objective = { use = "sft" }
[stage.judge]
feed = { use = "pairs" }
objective = { use = "reward_model" }
evaluate = { every = 30 }
[stage.rl]
objective = { use = "grpo", kl = 0.05 }
environment = { use = "completion", tokens = 4 }
reward = [{ use = "model", run = "stage:judge" }]
feed = { use = "rollouts", environments = 8, group = 4 }
train = { start = "stage:sft", steps = 4 }
)";

TEST_F(StagedRuns, AStageNamesTheRunOfAnother) {
  std::string pairs;
  for (int i = 0; i < 24; ++i) {
    pairs += cat(R"({"prompt": ")", i, R"(", "chosen": "a", "rejected": "aaa"})", "\n");
  }
  program.write("pairs.jsonl", pairs);
  program.write("judged.toml", judged);
  const Outcome outcome = program.run({"run", "judged.toml", "--quiet", "--folder", "here"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const std::string resolved = text("here/rl/resolved.toml");
  EXPECT_NE(resolved.find("start = \"here/sft\""), std::string::npos) << resolved;
  EXPECT_NE(resolved.find("run = \"here/judge\""), std::string::npos) << resolved;
  EXPECT_NE(text("here/judge/resolved.toml").find("start = \"here/sft\""), std::string::npos);
  const Json last = Json::parse(
      text("here/judge/metrics.jsonl").substr(text("here/judge/metrics.jsonl").rfind("{\"step\"")));
  EXPECT_EQ(last.at("eval/accuracy"), 1);
  EXPECT_EQ(program.run({"resume", "here", "--quiet"}).code, 0);

  const Outcome later = program.run({"check", "judged.toml", "stage.judge.train.start=stage:rl"});
  EXPECT_EQ(later.code, 1);
  EXPECT_NE(later.error.find("\"stage:rl\" means the run of an earlier stage of this file, and the "
                             "last one before is 'sft'"),
            std::string::npos)
      << later.error;
}

TEST_F(StagedRuns, AValueThatEveryStageSetsItselfIsWarnedOf) {
  const auto warnings = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"show", "staged.toml"});
    const Outcome outcome = program.run(words);
    EXPECT_EQ(outcome.code, 0) << outcome.error;
    return outcome.error;
  };
  program.write("staged.toml", std::string(staged) + "[stage.sft.evaluate]\nepisodes = 30\n");
  const std::string said = warnings({"evaluate.episodes=10"});
  EXPECT_NE(said.find("command line 'evaluate.episodes=10': has no effect, since every stage sets "
                      "'evaluate.episodes' itself. Write stage.sft.evaluate.episodes=... or "
                      "stage.rl.evaluate.episodes=..."),
            std::string::npos)
      << said;
  EXPECT_EQ(warnings({"train.steps=9"}), "") << "the stage rl alone has steps of its own";
  EXPECT_EQ(warnings({"stage.rl.evaluate.episodes=9", "seed=8"}), "");
  for (const std::string verb : {"check", "run"}) {
    const Outcome outcome = program.run({verb, "staged.toml", "evaluate.episodes=10", "--quiet"});
    EXPECT_EQ(outcome.code, 0) << outcome.error;
    EXPECT_NE(outcome.error.find("since every stage sets"), std::string::npos) << verb;
  }
}

TEST_F(StagedRuns, FaultsNameTheirStage) {
  const Outcome unknown = program.run({"check", "staged.toml", "stage.rl.objective.klip=1"});
  EXPECT_EQ(unknown.code, 1) << unknown.error;
  EXPECT_NE(unknown.error.find("clip"), std::string::npos) << unknown.error;
  program.write("bad.toml", "[stage.\"a/b\"]\n");
  const Outcome name = program.run({"check", "bad.toml"});
  EXPECT_NE(name.error.find("bad.toml:1"), std::string::npos) << name.error;
  EXPECT_NE(name.error.find("cannot name a stage"), std::string::npos) << name.error;
}

}  // namespace
}  // namespace lathe::testing
