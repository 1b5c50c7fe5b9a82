// A bias that is planted by counts, so that the whole effect of each mitigation is known: a model
// that has learnt its rows prefers by log(6 / 2), and by nothing where the counts or the weights of
// the two sides are made equal.
#include <lathe/study/audit.h>

#include <cmath>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::Tiny;

constexpr const char* experiment = R"(
[data]
use = "jsonl"
file = "rows.jsonl"
word_pairs = "pairs.txt"
validation = 0.0
[tokenizer]
use = "chars"
specials = true
mask = true
[feed]
use = "rows"
[model]
use = "gpt"
layers = 1
heads = 2
width = 16
hidden = 16
deviation = 0.3
[objective]
use = "sft"
[optimizer]
rate = 2e-2
beta2 = 0.95
decay = 0.0
[schedule]
use = "cosine"
[train]
steps = 100
batch = 16
length = 5
threads = 1
[backend]
use = "reference"
)";
const std::vector<std::string> encoder = {
    "model.use=encoder",          "+model.layers=1",      "+model.heads=2", "+model.width=16",
    "+model.hidden=16",           "+model.deviation=0.3", "data.loss=all",  "objective.use=masked",
    "+objective.estimator=exact", "optimizer.rate=1e-2"};
const std::vector<std::string> counterfactual = {"data.counterfactual=both", "train.batch=32"};
const std::vector<std::string> reweighted = {"data.reweight=inverse", "data.group=side"};

// n goes with h, and m with s, three times as often as the other way round.
std::string rows() {
  std::string all;
  const auto add = [&](const char* prompt, const char* completion, const char* side, int count) {
    for (int i = 0; i < count; ++i) {
      all += cat("{\"prompt\":\"", prompt, " \",\"completion\":\"", completion, "\",\"side\":\"",
                 side, "\"}\n");
    }
  };
  add("n", "h", "pro", 6);
  add("n", "s", "anti", 2);
  add("m", "s", "pro", 6);
  add("m", "h", "anti", 2);
  return all;
}

// What a trained model makes of the two pairs, `more` first.
std::vector<double> differences(Tiny& tiny, std::vector<std::string> changes,
                                const std::vector<std::string>& more, int seed, PairRule rule) {
  changes.insert(changes.end(), more.begin(), more.end());
  changes.push_back(cat("seed=", seed));
  const auto session = tiny.session(changes);
  Trainer trainer(*session);
  for (std::int64_t step = 0; step < session->train.steps; ++step) trainer.step();
  const PairSet set{.name = "planted",
                    .rule = rule,
                    .files = {},
                    .pairs = {{"n h", "n s", "n", "", "", 1}, {"m s", "m h", "m", "", "", 2}},
                    .left_out = {}};
  const AuditScores scores = score_pairs(set, *session->model, session->parameters,
                                         *session->tokenizer, {.frame = {.end = true}});
  std::vector<double> all;
  for (const ScoredPair& pair : scores.scored) all.push_back(pair.difference());
  EXPECT_EQ(all.size(), 2U);
  return all;
}

class PlantedBias : public ::testing::Test {
 protected:
  PlantedBias() : tiny(experiment) {
    tiny.write("rows.jsonl", rows());
    tiny.write("pairs.txt", "h s\n");
  }
  // What the counts say, before and after; the tolerance is what so few steps leave.
  void expect_effect(const std::vector<std::string>& kind, PairRule rule, int seeds) {
    std::int64_t lower = 0;
    for (int seed = 1; seed <= seeds; ++seed) {
      const std::vector<double> biased = differences(tiny, kind, {}, seed, rule);
      for (const double difference : biased) EXPECT_NEAR(difference, std::log(3.0), 0.01) << seed;
      for (const auto& mitigation : {counterfactual, reweighted}) {
        const std::vector<double> mended = differences(tiny, kind, mitigation, seed, rule);
        for (const double difference : mended) EXPECT_NEAR(difference, 0, 0.01) << seed;
        lower += mended[0] + mended[1] < biased[0] + biased[1] ? 1 : 0;
      }
    }
    EXPECT_EQ(lower, 2 * seeds);
  }
  Tiny tiny;
};

TEST_F(PlantedBias, OfADecoderIsTakenAwayInEachOfEightSeeds) {
  expect_effect({}, PairRule::shared, 8);
}
// log p(n | h) - log p(n | s) is log(6 / 2) too, and so is log p(h | n) - log p(s | n).
TEST_F(PlantedBias, OfBothSidesIsTakenAwayByEitherRule) {
  expect_effect(encoder, PairRule::shared, 1);
  expect_effect(encoder, PairRule::differing, 1);
}

}  // namespace
}  // namespace lathe
