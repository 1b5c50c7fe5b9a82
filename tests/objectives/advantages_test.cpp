// Advantages, whitening and what a collection's variance explains, against their definitions.
#include <gtest/gtest.h>
#include <lathe/learn/policy.h>

#include <cmath>
#include <vector>

namespace lathe {
namespace {
using Numbers = std::vector<double>;

// Two rows of 6 places: an end at place 2, a cut at place 4 with an open place, open row ends, and
// a place without weight.
Batch lived_through() {
  Batch batch;
  batch.rows = 2;
  batch.length = 6;
  Experience& lived = batch.experience;
  lived.rewards = {1, -2, 3, 0.5F, 4, -1, 2, 2, -3, 1, 0, 1.5F};
  lived.values = {0.3, -0.2, 0.7, 1.1, -0.4, 0.9, 0.1, 0.6, -0.8, 0.2, 0.5, -0.6};
  lived.discounts.assign(12, 0.9F);
  lived.terminated.assign(12, 0);
  lived.truncated.assign(12, 0);
  lived.terminated[2] = 1;
  lived.discounts[2] = 0;
  lived.truncated[4] = 1;
  lived.open_places = {4, 5, 11};
  batch.weights.assign(12, 1.0F);
  batch.weights[0] = 0;
  return batch;
}
const Numbers after = {1.3, -0.7, 2.1};

// A_t = sum_k (product of gamma lambda up to k) delta_{t+k}, summed anew for every t.
double advantage(const Batch& batch, std::size_t t, double lambda) {
  const Experience& lived = batch.experience;
  double sum = 0;
  double factor = 1;
  for (std::size_t k = t;; ++k) {
    double next = k + 1 < lived.values.size() ? lived.values[k + 1] : 0;
    bool open = false;
    for (std::size_t f = 0; f < lived.open_places.size(); ++f) {
      if (static_cast<std::size_t>(lived.open_places[f]) != k) continue;
      next = after[f];
      open = true;
    }
    const auto gamma = static_cast<double>(lived.discounts[k]);
    sum += factor * (static_cast<double>(lived.rewards[k]) + gamma * next - lived.values[k]);
    if (open || lived.terminated[k] != 0) return sum;
    factor *= gamma * lambda;
  }
}

TEST(Advantages, AreTheDoubleSum) {
  for (const double lambda : {0.0, 0.4, 0.95, 1.0}) {
    Batch batch = lived_through();
    generalised_advantages(batch, after, lambda);
    for (std::size_t t = 0; t < 12; ++t) {
      const double expected = t == 0 ? 0 : advantage(batch, t, lambda);
      EXPECT_NEAR(batch.experience.advantages[t], expected, 1e-12) << t;
      const double returns = t == 0 ? 0 : expected + batch.experience.values[t];
      EXPECT_EQ(batch.experience.returns[t], static_cast<float>(returns)) << t;
    }
  }
}

TEST(Advantages, TakeOtherRewards) {
  Batch batch = lived_through();
  Numbers rewards(batch.experience.rewards.begin(), batch.experience.rewards.end());
  rewards[11] += 0.25;
  generalised_advantages(batch, after, 0.5);
  const Numbers before = batch.experience.advantages;
  generalised_advantages(batch, after, 0.5, rewards);
  for (std::size_t t = 6; t < 12; ++t) {
    const double expected = 0.25 * std::pow(static_cast<double>(0.9F) * 0.5, 11 - double(t));
    EXPECT_NEAR(batch.experience.advantages[t] - before[t], expected, 1e-12);
  }
  EXPECT_EQ(batch.experience.advantages[5], before[5]);
}

// 1, 3, 8 have mean 4 and biased variance 26/3.
TEST(Advantages, WhitenWithTheBiasedVariance) {
  const std::vector<float> weights = {1, 0, 1, 1};
  const double deviation = std::sqrt(26.0 / 3 + 1e-8);
  Numbers shifted = {1, 100, 3, 8};
  whiten(shifted, weights);
  const Numbers expected = {-3 / deviation, 100, -1 / deviation, 4 / deviation};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(shifted[i], expected[i], 1e-14);
  Numbers kept = {1, 100, 3, 8};
  whiten(kept, weights, false);
  EXPECT_NEAR(kept[0], 4 - 3 / deviation, 1e-14);
  EXPECT_EQ(kept[1], 100);
  EXPECT_NEAR(kept[3], 4 + 4 / deviation, 1e-14);
}

// Returns 1, 2, 5 around values that leave 0, 1, 2: variances 26/9 and 2/3.
TEST(Advantages, ExplainedVariance) {
  Batch batch;
  batch.rows = 1;
  batch.length = 4;
  batch.weights = {1, 1, 1, 0};
  batch.experience.returns = {1, 2, 5, 50};
  batch.experience.values = {1, 1, 3, 0};
  EXPECT_NEAR(explained_variance(batch), 1 - (2.0 / 3) / (26.0 / 9), 1e-14);
  batch.experience.returns = {2, 2, 2, 7};
  EXPECT_EQ(explained_variance(batch), 0);
}

}  // namespace
}  // namespace lathe
