// A small cut of experiments/preferences.toml on the real pairs. It holds the way from human
// choices to a policy together (the split by question, which answer of a pair is which, the judge
// in the next stage), not the experiment's claim: so small a judge ends between .51 and .58 from
// seed to seed.
#include <lathe/base/error.h>
#include <lathe/base/json.h>
#include <lathe/io/metrics_file.h>

#include <cmath>
#include <cstdlib>

#include "program.h"

namespace lathe::testing {
namespace {

// The values of each row of a run that has `name`.
std::vector<double> values_of(const std::filesystem::path& run, const std::string& name) {
  std::vector<double> all;
  for (const auto& row : read_metrics(real_files(), run / "metrics.jsonl")) {
    for (const auto& [key, number] : row.values) {
      if (key == name) all.push_back(number);
    }
  }
  return all;
}

TEST(Preferences, AJudgeOfHumanChoicesAndAPolicyThatIsJudged) {
  if (std::getenv("LATHE_DATA") == nullptr) GTEST_SKIP() << "skipped: no data";
  Program program;
  const Outcome outcome = program.run({"run",
                                       std::string(LATHE_SOURCE) + "/experiments/preferences.toml",
                                       "--quiet",
                                       "--folder",
                                       "cut",
                                       "seed=4",
                                       "model.layers=1",
                                       "model.width=32",
                                       "tokenizer.size=1024",
                                       "train.length=128",
                                       "train.threads=1",
                                       "stage.sft.train.steps=1",
                                       "stage.sft.evaluate.every=0",
                                       "+stage.judge.train.start=",
                                       "stage.judge.train.steps=24",
                                       "stage.judge.optimizer.rate=1e-3",
                                       "stage.judge.evaluate.every=24",
                                       "stage.rl.environment.tokens=8",
                                       "stage.rl.feed.environments=16",
                                       "stage.rl.train.steps=8",
                                       "stage.rl.evaluate.every=0",
                                       "stage.rl.sample.every=8"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;

  // Half of the 488 questions have 1290 of the 2616 pairs. Chance passes this bound (normal
  // approximation of the binomial) once in a thousand times.
  const std::vector<double> accuracy = values_of(program / "cut/judge", "eval/accuracy");
  ASSERT_EQ(accuracy.size(), 1u);
  EXPECT_NEAR(accuracy[0] * 1290 * 2, std::round(accuracy[0] * 1290 * 2), 1e-6);
  EXPECT_GT(accuracy[0], 0.5 + 3.09 * 0.5 / std::sqrt(1290.0));

  const std::vector<double> kl = values_of(program / "cut/rl", "train/objective/kl");
  ASSERT_EQ(kl.size(), 2u);
  EXPECT_EQ(kl[0], 0);
  EXPECT_NE(kl[1], 0);
  EXPECT_EQ(values_of(program / "cut/rl", "train/score"),
            values_of(program / "cut/rl", "train/score/model"));
}

}  // namespace
}  // namespace lathe::testing
