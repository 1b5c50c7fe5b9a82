// Advantages, whitening and explained variance: by hand and against the sums that define them.
#include <gtest/gtest.h>
#include <lathe/base/random.h>
#include <lathe/learn/policy.h>

#include <cmath>

namespace lathe {
namespace {

Batch row_of(std::vector<float> rewards, std::vector<double> values, float discount) {
  Batch batch;
  batch.rows = 1;
  batch.length = static_cast<std::int64_t>(rewards.size());
  batch.weights.assign(rewards.size(), 1.0F);
  batch.experience.discounts.assign(rewards.size(), discount);
  batch.experience.terminated.assign(rewards.size(), 0);
  batch.experience.truncated.assign(rewards.size(), 0);
  batch.experience.rewards = std::move(rewards);
  batch.experience.values = std::move(values);
  return batch;
}

template <class T>
void expect_near(const std::vector<T>& found, const std::vector<double>& expected,
                 double within = 1e-6) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t n = 0; n < found.size(); ++n) {
    EXPECT_NEAR(static_cast<double>(found[n]), expected[n], within) << "place " << n;
  }
}

TEST(Advantages, ByHand) {
  Batch batch = row_of({1, 2, 4}, {0.5, 0.25, 1}, 0.5F);
  batch.experience.open_places = {2};
  // delta: 1 + .125 - .5, 2 + .5 - .25, 4 + .5 * 8 - 1; factor .5 * .5
  generalised_advantages(batch, std::vector<double>{8}, 0.5);
  expect_near(batch.experience.advantages, {0.625 + 0.25 * 4.0, 2.25 + 0.25 * 7, 7});
  expect_near(batch.experience.returns, {2.125, 4.25, 8});
  // The episode ends at the second place; the third begins another and is cut off.
  batch.experience.discounts[1] = 0;
  batch.experience.terminated[1] = 1;
  generalised_advantages(batch, std::vector<double>{8}, 0.5);
  expect_near(batch.experience.advantages, {0.625 + 0.25 * 1.75, 1.75, 7});
  // Cut off at the second place too: what follows has a value, of the observation after it.
  batch.experience.discounts[1] = 0.5F;
  batch.experience.terminated[1] = 0;
  batch.experience.truncated[1] = 1;
  batch.experience.open_places = {1, 2};
  generalised_advantages(batch, std::vector<double>{-2, 8}, 0.5);
  expect_near(batch.experience.advantages, {0.625 + 0.25 * 0.75, 0.75, 7});
}

TEST(Advantages, LambdaOneIsTheReturnAndLambdaZeroTheError) {
  Batch batch = row_of({1, 1, 1}, {5, 6, 7}, 1);
  batch.experience.terminated[2] = 1;
  batch.experience.discounts[2] = 0;
  generalised_advantages(batch, {}, 1);
  expect_near(batch.experience.returns, {3, 2, 1});
  generalised_advantages(batch, {}, 0);
  expect_near(batch.experience.returns, {1 + 6, 1 + 7, 1});
}

// A_t = sum over k >= t of (product over j in t ... k-1 of discount_j lambda) delta_k, up to the
// end of the episode or of the row: written out, place by place.
TEST(Advantages, AreTheDoubleSum) {
  const RandomStream random(7, "advantages", 0);
  const std::int64_t rows = 4, length = 23;
  const double lambda = 0.9;
  Batch batch;
  batch.rows = rows;
  batch.length = length;
  Experience& lived = batch.experience;
  std::vector<double> after;
  for (std::int64_t n = 0; n < rows * length; ++n) {
    const auto at = static_cast<std::uint64_t>(4 * n);
    const double end = random.uniform(at);
    const bool terminated = end < 0.1, truncated = !terminated && end < 0.2;
    batch.weights.push_back(1);
    lived.rewards.push_back(static_cast<float>(random.normal(at + 1)));
    lived.values.push_back(random.normal(at + 2));
    lived.discounts.push_back(terminated ? 0 : static_cast<float>(0.8 + 0.2 * end));
    lived.terminated.push_back(terminated);
    lived.truncated.push_back(truncated);
    if (terminated || (!truncated && (n + 1) % length != 0)) continue;
    lived.open_places.push_back(n);
    after.push_back(random.normal(at + 3));
  }
  ASSERT_GT(lived.open_places.size(), 8U);
  generalised_advantages(batch, after, lambda);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t t = 0; t < length; ++t) {
      double advantage = 0, factor = 1;
      for (std::int64_t k = t; k < length; ++k) {
        const auto n = static_cast<std::size_t>(row * length + k);
        const auto open = std::find(lived.open_places.begin(), lived.open_places.end(),
                                    static_cast<std::int64_t>(n));
        const bool is_open = open != lived.open_places.end();
        double next = 0;
        if (is_open) {
          next = after[static_cast<std::size_t>(open - lived.open_places.begin())];
        } else if (lived.terminated[n] == 0) {
          next = lived.values[n + 1];
        }
        const auto discount = static_cast<double>(lived.discounts[n]);
        advantage +=
            factor * (static_cast<double>(lived.rewards[n]) + discount * next - lived.values[n]);
        if (is_open || lived.terminated[n] != 0) break;
        factor *= discount * lambda;
      }
      const auto n = static_cast<std::size_t>(row * length + t);
      EXPECT_NEAR(lived.advantages[n], advantage, 1e-12) << row << " " << t;
      EXPECT_NEAR(static_cast<double>(lived.returns[n]), advantage + lived.values[n], 2e-6);
    }
  }
}

// Places of weight 0 (a prompt before the first word) take no part.
TEST(Advantages, PassOverWhatDoesNotCount) {
  Batch batch = row_of({9, 9, 1, 2}, {3, 3, 0.5, 0.25}, 1);
  batch.weights = {0, 0, 1, 1};
  batch.experience.terminated[3] = 1;
  batch.experience.discounts[3] = 0;
  generalised_advantages(batch, {}, 1);
  expect_near(batch.experience.advantages, {0, 0, 2.5, 1.75});
  EXPECT_THROW(generalised_advantages(batch, std::vector<double>{1}, 1), Error);
}

TEST(Whiten, OverPlacesWithWeight) {
  const std::vector<float> weights = {1, 1, 0, 1, 1};
  std::vector<double> values = {1, 3, 100, 5, 7};  // mean 4, variance (9 + 1 + 1 + 9) / 4 = 5
  whiten(values, weights);
  const double unit = 1 / std::sqrt(5 + 1e-8);
  expect_near(values, {-3 * unit, -unit, 100, unit, 3 * unit});
  values = {1, 3, 100, 5, 7};
  whiten(values, weights, false);
  expect_near(values, {4 - 3 * unit, 4 - unit, 100, 4 + unit, 4 + 3 * unit});
  values = {2, 2, 1, 2, 2};
  whiten(values, weights);
  expect_near(values, {0, 0, 1, 0, 0});
}

TEST(ExplainedVariance, OfReturnsByValues) {
  Batch batch;
  batch.weights = {1, 1, 1, 1, 0};
  batch.experience.returns = {1, 2, 3, 4, 50};
  batch.experience.values = {1, 2, 3, 4, 0};
  EXPECT_NEAR(explained_variance(batch), 1, 1e-12);
  batch.experience.values = {5, 5, 5, 5, 0};
  EXPECT_NEAR(explained_variance(batch), 0, 1e-12);
  batch.experience.values = {0, 2, 2, 4, 0};  // left 1, 0, 1, 0: variance 1/4 of 5/4
  EXPECT_NEAR(explained_variance(batch), 0.8, 1e-12);
  batch.experience.values = {4, 3, 2, 1, 0};
  EXPECT_NEAR(explained_variance(batch), 1 - 4, 1e-12);
  batch.experience.returns = {1, 1, 1, 1, 1};
  EXPECT_EQ(explained_variance(batch), 0);
}

}  // namespace
}  // namespace lathe
