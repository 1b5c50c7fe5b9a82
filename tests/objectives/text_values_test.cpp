// Action values of texts: the successor of a token's place is the next place of its row, and a
// replay hands whole texts out again.
#include <gtest/gtest.h>

#include <algorithm>

#include "objectives/one_digit_sums.h"
#include "objectives/same_bits.h"

namespace lathe {
namespace {
using testing::expect_same_bits;
using testing::one_digit_sums;
using testing::Tiny;
using Values = std::vector<double>;

const std::string texts = one_digit_sums(R"(
at_limit = "truncate"
[[reward]]
use = "exact_match"
[feed]
use = "rollouts"
environments = 6
[model]
use = "gpt"
layers = 1
heads = 2
width = 8
deviation = 0.5
[objective]
use = "q_learning"
discount = 0.5
epsilon = 0.5
[train]
length = 12
batch = 4
precision = "f64"
[backend]
use = "reference"
)");

// Q at every place, one row at a time.
Values values_of(const Session& session, const Batch& batch) {
  Values all;
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    const auto first = static_cast<std::ptrdiff_t>(row * batch.length);
    Batch alone;
    alone.rows = 1;
    alone.length = batch.length;
    alone.tokens.assign(batch.tokens.begin() + first, batch.tokens.begin() + first + batch.length);
    alone.positions.assign(batch.positions.begin() + first,
                           batch.positions.begin() + first + batch.length);
    alone.weights.assign(static_cast<std::size_t>(batch.length), 0.0F);
    const DeviceBatch device(alone, session.parameters);
    const NoGradient silent;
    const Values some = session.model->logits(session.model->hidden(device.input)).values();
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

TEST(TextValues, QLearningLooksAtTheNextPlace) {
  Tiny tiny(texts);
  const auto session = tiny.session();
  const Batch batch = session->feed->batch(0);
  ASSERT_TRUE(batch.prepared);
  const Values q = values_of(*session, batch);
  const auto actions = static_cast<std::ptrdiff_t>(session->fit.vocabulary);
  int ended = 0, cut = 0, inside = 0;
  for (std::size_t n = 0; n < batch.weights.size(); ++n) {
    if (batch.weights[n] == 0) continue;
    const auto next = q.begin() + static_cast<std::ptrdiff_t>(n + 1) * actions;
    const bool end = batch.experience.terminated[n] != 0;
    const double expected = static_cast<double>(batch.experience.rewards[n]) +
                            (end ? 0 : 0.5 * *std::max_element(next, next + actions));
    EXPECT_NEAR(static_cast<double>(batch.experience.returns[n]), expected, 1e-6) << "place " << n;
    ++(end ? ended : batch.experience.truncated[n] != 0 ? cut : inside);
  }
  EXPECT_GT(cut, 0);
  EXPECT_GT(inside, 6);
}

TEST(TextValues, SarsaTakesTheTokenThatWasWritten) {
  Tiny tiny(texts);
  const auto session =
      tiny.session({"objective=sarsa", "objective.discount=0.5", "objective.epsilon=0.5"});
  const Batch batch = session->feed->batch(0);
  const Values q = values_of(*session, batch);
  const auto actions = static_cast<std::size_t>(session->fit.vocabulary);
  int inside = 0;
  for (std::size_t n = 0; n < batch.weights.size(); ++n) {
    if (batch.weights[n] == 0 || batch.experience.truncated[n] != 0) continue;
    double next = 0;
    if (batch.experience.terminated[n] == 0) {
      next = q[(n + 1) * actions + static_cast<std::size_t>(batch.targets[n + 1])];
      ++inside;
    }
    EXPECT_NEAR(static_cast<double>(batch.experience.returns[n]),
                static_cast<double>(batch.experience.rewards[n]) + 0.5 * next, 1e-6);
  }
  EXPECT_GT(inside, 6);
}

TEST(TextValues, ReplayOfTextsGoesOnToTheBit) {
  expect_same_bits(texts,
                   {"feed=replay", "feed.environments=2", "feed.start=10", "feed.capacity=9",
                    "feed.priority=0.5", "objective.target_every=3"},
                   8);
}

}  // namespace
}  // namespace lathe
