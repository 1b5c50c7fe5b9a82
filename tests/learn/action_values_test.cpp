// Successors, lambda-returns, expectations and exploration against sums by hand.
#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/learn/action_values.h>
#include <lathe/learn/exploring.h>

#include <cmath>

#include "base/temporary_folder.h"

namespace lathe {
namespace {
using Values = std::vector<double>;

// Two rows of three steps; row 0 goes on after its end, row 1 terminates at step 0 and is cut off
// at step 1.
Batch two_rows() {
  Batch batch;
  batch.rows = 2;
  batch.length = 3;
  Experience& lived = batch.experience;
  lived.rewards = {1, 2, 3, 4, 5, 6};
  lived.discounts = {0.5F, 0.5F, 0.5F, 0, 0.5F, 0.5F};
  lived.terminated = {0, 0, 0, 1, 0, 0};
  lived.truncated = {0, 0, 0, 0, 1, 0};
  lived.open_places = {2, 4, 5};
  return batch;
}

Values successors_of(const Batch& batch) {
  return successor_values(
      batch, [](std::int64_t n) { return 10.0 * static_cast<double>(n); },
      [](std::int64_t f) { return 100.0 * static_cast<double>(f + 1); });
}

TEST(ActionValues, Successors) {
  EXPECT_EQ(successors_of(two_rows()), (Values{10, 20, 100, 0, 200, 300}));
  Batch last = two_rows();  // a terminated place that is listed as open is not asked
  last.experience.open_places = {2, 3, 4, 5};
  EXPECT_EQ(successors_of(last), (Values{10, 20, 100, 0, 300, 400}));
}

TEST(ActionValues, LambdaReturns) {
  const Batch batch = two_rows();
  const Values v = successors_of(batch);
  EXPECT_EQ(lambda_returns(batch, v, 0), (Values{6, 12, 53, 4, 105, 156}));
  // lambda 1: rewards to the end of the row, then the open value.
  EXPECT_EQ(lambda_returns(batch, v, 1),
            (Values{1 + 0.5 * (2 + 0.5 * 53), 2 + 0.5 * 53, 53, 4, 105, 156}));
  const double g1 = 2 + 0.5 * (0.75 * 20 + 0.25 * 53);
  EXPECT_EQ(lambda_returns(batch, v, 0.25),
            (Values{1 + 0.5 * (0.75 * 10 + 0.25 * g1), g1, 53, 4, 105, 156}));
}

// A text: its last action is cut off, and the place after it holds the last token.
TEST(ActionValues, TextsEndWhereTheyAreCutOff) {
  Batch text;
  text.rows = 1;
  text.length = 4;
  text.experience.rewards = {0, 1, 2, 0};
  text.experience.discounts = {1, 1, 1, 1};
  text.experience.terminated = {0, 0, 0, 0};
  text.experience.truncated = {0, 0, 1, 0};
  const Values v = successors_of(text);
  EXPECT_EQ(v, (Values{10, 20, 30, 0}));
  EXPECT_EQ(lambda_returns(text, v, 1), (Values{33, 33, 32, 0}));
}

TEST(ActionValues, Expectations) {
  const Values q = {1, 3, 3, -2};
  const ActingRule half{.kind = ActingRule::Kind::epsilon_greedy, .epsilon = 0.5};
  EXPECT_DOUBLE_EQ(expected_value(q, half), 0.5 * 1.25 + 0.5 * 3);
  EXPECT_EQ(expected_value(q, {.kind = ActingRule::Kind::greedy}), 3);
  const ActingRule soft{.kind = ActingRule::Kind::sample, .temperature = 2};
  const double e[] = {std::exp(0.5), std::exp(1.5), std::exp(1.5), std::exp(-1.0)};
  EXPECT_NEAR(expected_value(q, soft),
              (e[0] * 1 + e[1] * 3 + e[2] * 3 + e[3] * -2) / (e[0] + e[1] + e[2] + e[3]), 1e-15);
  EXPECT_EQ(largest(q), 3);
  EXPECT_EQ(first_largest(q), 1);
}

TEST(ActionValues, RefuseWhatNobodyLivedThrough) {
  demand_experience(two_rows(), "sarsa");
  const std::string said = testing::error_of([] { demand_experience(Batch(), "sarsa"); });
  EXPECT_NE(said.find("objective 'sarsa' learns from what a policy lives through"),
            std::string::npos);
}

TEST(Exploring, FallsInAStraightLine) {
  const ExploringKeys greedy(
      parse_toml("epsilon = 0.1\nepsilon_first = 0.9\nepsilon_steps = 100", "test"));
  EXPECT_EQ(greedy.exploring(0).kind, ActingRule::Kind::epsilon_greedy);
  EXPECT_DOUBLE_EQ(greedy.exploring(0).epsilon, 0.9);
  EXPECT_DOUBLE_EQ(greedy.exploring(25).epsilon, 0.7);
  EXPECT_DOUBLE_EQ(greedy.exploring(100).epsilon, 0.1);
  EXPECT_DOUBLE_EQ(greedy.exploring(5000).epsilon, 0.1);
  EXPECT_DOUBLE_EQ(ExploringKeys(parse_toml("epsilon = 0.2", "test")).exploring(0).epsilon, 0.2);
  const ExploringKeys soft(
      parse_toml("explore = \"boltzmann\"\ntemperature = 0.05\ntemperature_steps = 10", "test"));
  EXPECT_EQ(soft.exploring(0).kind, ActingRule::Kind::sample);
  EXPECT_DOUBLE_EQ(soft.exploring(0).temperature, 1);
  EXPECT_DOUBLE_EQ(soft.exploring(5).temperature, 0.525);
  EXPECT_DOUBLE_EQ(soft.exploring(10).temperature, 0.05);
}

}  // namespace
}  // namespace lathe
