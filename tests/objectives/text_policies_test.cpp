// Policies that write texts: runs that stop in the middle of a collection and go on, the same bits
// at any number of threads, a start from a run without a value head, and the checks at the
// beginning.
#include <gtest/gtest.h>
#include <lathe/base/json.h>

#include "objectives/one_digit_sums.h"
#include "objectives/same_bits.h"

namespace lathe {
namespace {
using testing::expect_same_bits;
using testing::hash_of;
using testing::one_digit_sums;
using testing::Tiny;
using Changes = std::vector<std::string>;

const std::string texts = one_digit_sums(R"(
[[reward]]
use = "exact_match"
[[reward]]
use = "length"
budget = 2
price = 0.25
[feed]
use = "rollouts"
environments = 12
epochs = 2
minibatches = 3
[model]
use = "gpt"
layers = 1
heads = 2
width = 16
deviation = 0.3
[objective]
use = "ppo"
discount = 1.0
kl = 0.1
kl_target = 0.5
kl_horizon = 50.0
target_kl = 0.5
[optimizer]
rate = 3e-3
[train]
steps = 9
length = 12
threads = 1
ema = 0.9
[evaluate]
episodes = 20
)");

const Changes ppo = {};
const Changes grpo = {"objective=grpo", "objective.kl=0.1", "feed.group=4"};
const Changes rloo = {"objective=grpo", "objective.form=rloo", "objective.kl=0.1", "feed.group=3"};
const Changes reinforce = {"objective=reinforce", "objective.baseline=value"};
const Changes a3c = {"objective=a3c", "feed.epochs=1", "feed.minibatches=1"};

// Half is 4 of the 6 batches of a collection.
TEST(TextPolicies, GoOnInTheMiddleOfACollection) {
  for (const Changes& changes : {ppo, grpo, rloo, reinforce, a3c}) {
    expect_same_bits(texts, changes, 4);
  }
}

TEST(TextPolicies, SameBitsAtAnyNumberOfThreads) {
  Tiny tiny(texts);
  for (const Changes& changes : {ppo, grpo, reinforce}) {
    std::string first;
    for (const int threads : {1, 2, 4}) {
      Changes all = changes;
      all.push_back(cat("train.threads=", threads));
      const auto session = tiny.session(all);
      Trainer trainer(*session);
      while (trainer.state.step < session->train.steps) trainer.step();
      const std::string hash = hash_of(trainer, *session);
      if (threads == 1) first = hash;
      EXPECT_EQ(hash, first) << threads << " threads";
    }
  }
}

// Small digits are preferred, whatever is asked.
std::string pairs() {
  std::string lines;
  for (int a = 0; a < 5; ++a) {
    for (int b = 0; b < 6; ++b) {
      const Json line = {
          {"prompt", cat(a, "+", b, "=")}, {"chosen", cat(b % 3)}, {"rejected", cat(6 + b % 3)}};
      lines += line.dump() + "\n";
    }
  }
  return lines;
}
const char* const preferred = R"(
seed = 3
[data]
use = "preferences"
file = "pairs.jsonl"
validation = 0.2
[tokenizer]
use = "chars"
specials = true
[feed]
use = "pairs"
[model]
use = "gpt"
layers = 1
heads = 2
width = 16
dropout = 0.1
[objective]
use = "dpo"
[optimizer]
rate = 1e-2
[train]
steps = 60
batch = 8
length = 12
threads = 1
)";

TEST(TextPolicies, PreferencesGoOnToTheBit) {
  for (const char* objective : {"dpo", "reward_model"}) {
    Tiny tiny(preferred);
    tiny.write("pairs.jsonl", pairs());
    const Changes changes = {cat("objective=", objective), cat("data.file=", tiny / "pairs.jsonl")};
    expect_same_bits(preferred, changes, 5);
  }
}

TEST(TextPolicies, ARewardModelLearnsWhatIsPreferred) {
  Tiny tiny(preferred);
  tiny.write("pairs.jsonl", pairs());
  const auto session =
      tiny.session({"objective=reward_model", cat("data.file=", tiny / "pairs.jsonl")});
  Trainer trainer(*session);
  double accuracy = 0;
  while (trainer.state.step < 60) {
    for (const Metric& metric : trainer.step().metrics) {
      if (metric.name == "accuracy") accuracy = metric.sum / metric.weight;
    }
  }
  EXPECT_GE(accuracy, 0.9);
}

// Whole texts are judged, and exactly as many as asked for.
TEST(TextPolicies, EvaluationPlaysTheEpisodesThatWereAskedFor) {
  Tiny tiny(texts);
  const auto session = tiny.session();
  const Batch batch = session->validation->batch(0);
  int seen = 0;
  for (const Metric& metric : batch.metrics) {
    if (metric.name != "length" && metric.name != "score" && metric.name != "ended") continue;
    EXPECT_EQ(metric.weight, 20) << metric.name;
    ++seen;
  }
  EXPECT_EQ(seen, 3);
}

// A policy that is not its reference at the beginning is refused, and so is one that learns from
// other probabilities than it acted with.
TEST(TextPolicies, TheBeginningIsChecked) {
  Tiny tiny(texts);
  const auto session = tiny.session();
  Batch batch = session->feed->batch(0);
  const ObjectivePass pass{
      .model = session->model.get(), .parameters = &session->parameters, .options = {}};
  for (std::size_t n = 0; n < batch.weights.size(); ++n) {
    if (batch.weights[n] != 0) batch.experience.log_probabilities[n] += 1e-6;
  }
  EXPECT_NE(testing::error_of([&] { session->objective->loss(batch, pass); }).find("not exactly 1"),
            std::string::npos);

  for (const Changes& changes : {ppo, grpo, rloo}) {
    const auto moved = tiny.session(changes);
    moved->parameters.find("token_embedding")->master.view().as<float>()[3] += 0.1F;
    const std::string error = testing::error_of([&] { moved->feed->batch(0); });
    EXPECT_NE(error.find("the KL from the reference is"), std::string::npos) << error;
    EXPECT_NE(error.find("not exactly 0"), std::string::npos) << error;
  }
}

// What is dropped measures nothing: the advantages of the others are those without it.
TEST(TextPolicies, ADroppedTextIsNoneOfItsGroup) {
  Tiny tiny(texts);
  const auto session = tiny.session({"objective=grpo", "objective.form=dr_grpo", "feed.group=4",
                                     "feed.minibatches=1", "feed.environments=8"});
  Batch batch = session->feed->batch(0);
  const auto length = static_cast<std::size_t>(batch.length);
  const auto clear = [&](std::size_t row) {
    std::fill_n(batch.weights.begin() + static_cast<std::ptrdiff_t>(row * length), length, 0.0F);
  };
  clear(1);
  for (const std::size_t row : {4U, 5U, 6U}) clear(row);
  std::fill(batch.experience.rewards.begin(), batch.experience.rewards.end(), 0.0F);
  std::vector<std::size_t> last(8, 0);  // place of the last token that counts
  for (std::size_t n = 0; n < batch.weights.size(); ++n) {
    if (batch.weights[n] != 0) last[n / length] = n;
  }
  batch.experience.rewards[last[0]] = -1;
  batch.experience.rewards[last[2]] = -2;
  batch.experience.rewards[last[3]] = -6;
  batch.experience.rewards[last[7]] = 5;
  const NoGradient silent;
  session->objective->prepare(
      batch, {.model = session->model.get(), .parameters = &session->parameters, .options = {}});
  const std::vector<double>& advantages = batch.experience.advantages;
  EXPECT_EQ(advantages[last[0]], 2);
  EXPECT_EQ(advantages[last[2]], 1);
  EXPECT_EQ(advantages[last[3]], -3);
  EXPECT_EQ(advantages[last[7]], 0) << "alone in its group";
  for (std::size_t n = length; n < 2 * length; ++n) EXPECT_EQ(advantages[n], 0);
}

TEST(TextPolicies, TextsAreCutIntoNoMoreMinibatches) {
  Tiny tiny(texts);
  const std::string error = testing::error_of([&] {
    tiny.session({"feed.environments=2", "feed.minibatches=3"});
  });
  EXPECT_NE(error.find("environments = 2"), std::string::npos) << error;
}

// Only the beginning is: a run that has learnt is not its reference any more, and goes on.
TEST(TextPolicies, ALearntPolicyMayBeAwayFromItsReference) {
  for (const Changes& changes : {ppo, grpo, rloo}) {
    Tiny tiny(texts);
    const auto session = tiny.session(changes);
    Trainer trainer(*session);
    for (int step = 0; step < 6; ++step) trainer.step();  // one collection, and its updates
    double kl = 0;
    for (const Metric& metric : trainer.step().metrics) {
      if (metric.name == "objective/kl") kl = metric.sum;
    }
    EXPECT_NE(kl, 0);
  }
}

// An SFT run has no value head: the rest is taken, and the head begins at zero.
TEST(TextPolicies, AValueHeadMayBeNew) {
  Tiny tiny(texts);
  const Changes plain = {"objective=sft", "feed=rows", "train.steps=3"};
  {
    const auto session = tiny.session(plain);
    Trainer trainer(*session);
    while (trainer.state.step < 3) trainer.step();
    Checkpoints(real_files(), tiny / "start/checkpoints", 1)
        .save(3, StateFiles(trainer, *session).files());
  }
  const auto first = tiny.session({"train.start=start"});
  const auto again = tiny.session(plain);
  load_weights(checkpoint_of(tiny / "start", false), again->parameters);
  for (const Parameter& parameter : first->parameters.all()) {
    const std::vector<float> found = parameter.master.floats();
    if (parameter.name.starts_with("value_head")) {
      EXPECT_EQ(found, std::vector<float>(found.size(), 0.0F)) << parameter.name;
    } else {
      EXPECT_EQ(found, again->parameters.find(parameter.name)->master.floats()) << parameter.name;
    }
  }
  // Without leave, what is missing is an error, and so is a missing weight of another kind.
  EXPECT_NE(testing::error_of([&] {
              load_weights(checkpoint_of(tiny / "start", false), first->parameters);
            }).find("value_head"),
            std::string::npos);
  EXPECT_NE(testing::error_of([&] {
              tiny.session({"train.start=start", "model.tied=false"});
            }).find("head"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
