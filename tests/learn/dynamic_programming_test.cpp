// Dynamic programming against closed forms and the numbers of the literature.
#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/learn/dynamic_programming.h>
#include <lathe/plugin/registry.h>

#include <cmath>

#include "base/temporary_folder.h"

namespace lathe {
namespace {

TabularModel world(const std::string& name, const std::string& options = "") {
  PluginPlaces places;
  places.user_folders = false;
  places.folders = {LATHE_PLUGINS};
  static Registry registry(places);
  const auto environment = registry.create<Environment>(name, parse_toml(options, "test"));
  environment->open({.rows = 1, .seed = 1});
  return TabularModel(*environment);
}

double best(const TabularModel& model, std::int64_t horizon = 0, double discount = 1) {
  return start_value(model, best_of(model, optimal_action_values(model, discount, horizon)));
}

TEST(DynamicProgramming, ReferenceOptima) {
  EXPECT_EQ(best(world("cliff_walking")), -13);
  EXPECT_NEAR(best(world("frozen_lake"), 100), 0.744190, 5e-7);
  EXPECT_NEAR(best(world("frozen_lake", "map = \"8x8\""), 200), 0.913220, 5e-7);
  EXPECT_NEAR(best(world("frozen_lake")), 14.0 / 17, 1e-9);
  EXPECT_EQ(best(world("windy_gridworld")), -15);
  EXPECT_NEAR(best(world("blackjack", "sab = true")), -0.04311, 1e-5);
  EXPECT_NEAR(best(world("blackjack")), -0.04656, 1e-5);
  EXPECT_NEAR(best(world("taxi")), 7.93, 0.005);
}

// What epsilon = 0.1 costs along the cliff's edge, and on the windy grid.
TEST(DynamicProgramming, EpsilonGreedyPolicies) {
  const TabularModel cliff = world("cliff_walking");
  const Table edge = epsilon_greedy_policy(cliff, optimal_action_values(cliff, 1), 0.1);
  EXPECT_NEAR(start_value(cliff, policy_values(cliff, edge, 1)), -50.80, 0.005);
}

// Example 5.4 of Sutton and Barto: the dealer shows a two, the player has a usable ace and 13 in
// all, and sticks on 20 and 21 alone.
TEST(DynamicProgramming, BlackjackExample) {
  const TabularModel game = world("blackjack", "sab = true");
  Table policy;
  for (std::int64_t state = 0; state < game.states; ++state) {
    const bool stick = state >= 704 || state / 22 >= 20;
    policy.insert(policy.end(), {stick ? 1.0 : 0.0, stick ? 0.0 : 1.0});
  }
  const Table values = policy_values(game, policy, 1);
  EXPECT_NEAR(values[(11 * 13 + 2) * 2 + 1], -0.277204, 5e-7);
}

// State i of n is worth 2 i / (n + 1) - 1 between ends that earn -1 and 1.
TEST(DynamicProgramming, RandomWalk) {
  const TabularModel walk = world("random_walk");
  const Table values = policy_values(walk, Table(21, 1.0), 1);
  const Table backed = mean_of(walk, backed_up(walk, values, 1), Table(21, 1.0));
  for (std::size_t state = 1; state <= 19; ++state) {
    EXPECT_NEAR(values[state], static_cast<double>(state) / 10 - 1, 1e-13);
    EXPECT_NEAR(backed[state], values[state], 1e-13) << "a fixed point of its own backup";
  }
}

TEST(DynamicProgramming, TiesShareAndRefusals) {
  TabularModel model = world("random_walk", "states = 1");
  model.states = 2;
  model.actions = 3;
  const Table q = {1, 5, 5, 2, 1, 0};
  EXPECT_EQ(greedy_policy(model, q), (Table{0, 0.5, 0.5, 1, 0, 0}));
  EXPECT_EQ(best_of(model, q), (Table{5, 2}));
  // Two states that lead to each other for ever.
  model.actions = 1;
  model.ways = {{{1, 1, 1.0, false}}, {{1, 0, 0.0, false}}};
  EXPECT_NE(testing::error_of([&] {
              policy_values(model, {1, 1}, 1);
            }).find("never ends"),
            std::string::npos);
  const Table discounted = policy_values(model, {1, 1}, 0.5);  // V0 = 1 + V1/2, V1 = V0/2
  EXPECT_NEAR(discounted[0], 4.0 / 3, 1e-15);
  EXPECT_NEAR(discounted[1], 2.0 / 3, 1e-15);
  EXPECT_NE(testing::error_of([] { world("cartpole"); }).find("counted"), std::string::npos);
}

}  // namespace
}  // namespace lathe
