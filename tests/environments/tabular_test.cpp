// Exact answers by dynamic programming, and that tables happen with their probabilities.
#include <cmath>
#include <map>

#include "support.h"

namespace lathe {
namespace {
using testing::made;
using testing::Opened;
using testing::Table;

double best(const std::string& name, const std::string& options, int steps) {
  return Table(*made(name, options)).best(steps);
}

TEST(Tabular, CliffWalkingsBestPathEarnsMinus13) { EXPECT_EQ(best("cliff_walking", "", 100), -13); }

// The reference answers of exploration: the policy that is best without it, with epsilon .1.
TEST(Tabular, CliffWalkingAlongTheEdgeWhileExploring) {
  const Table table(*made("cliff_walking"));
  const std::vector<double> values = table.best_values(100);
  const auto policy = [&](std::int32_t s, std::int32_t a) {
    int ties = 0;
    bool greedy = false;
    double most = -1e9;
    for (std::int32_t b = 0; b < 4; ++b) most = std::max(most, table.worth(s, b, values));
    for (std::int32_t b = 0; b < 4; ++b) {
      const bool ties_here = table.worth(s, b, values) > most - 1e-9;
      ties += ties_here ? 1 : 0;
      if (b == a) greedy = ties_here;
    }
    return 0.025 + (greedy ? 0.9 / ties : 0);
  };
  EXPECT_NEAR(table.mean_at_start(table.values_of(3000, policy)), -50.80, 0.01);
}

TEST(Tabular, WindyGridworldTakes15StepsAndAKing7) {
  EXPECT_EQ(best("windy_gridworld", "", 100), -15);
  EXPECT_EQ(best("windy_gridworld", "moves = 'king'", 100), -7);
  EXPECT_EQ(best("windy_gridworld", "moves = 'nine'", 100), -7);
}

// Wind comes from the column that is left: the book's remark on the cell right of the goal.
TEST(Tabular, WindBlowsWhereTheStepBegins) {
  const auto windy = made("windy_gridworld");
  const Transition above = windy->transitions(38, 3)[0];  // left from (3, 8)
  EXPECT_EQ(above.next, 27);                              // (2, 7), above the goal (3, 7)
  EXPECT_FALSE(above.terminated);
  EXPECT_TRUE(windy->transitions(48, 3)[0].terminated);
  EXPECT_EQ(windy->transitions(6, 0)[0].next, 6);  // pushed against the upper edge
  const auto gusty = made("windy_gridworld", "stochastic = true");
  const std::vector<Transition> ways = gusty->transitions(66, 1);  // right from (6, 6), wind 2
  ASSERT_EQ(ways.size(), 3u);
  EXPECT_EQ(ways[0].next, 57);
  EXPECT_EQ(ways[1].next, 47);
  EXPECT_EQ(ways[2].next, 37);
  EXPECT_TRUE(ways[2].terminated);
  EXPECT_EQ(gusty->transitions(30, 1).size(), 1u);  // no wind, nothing to vary
}

TEST(Tabular, FrozenLakesBestReturns) {
  EXPECT_NEAR(best("frozen_lake", "", 100), 0.744190, 5e-7);
  EXPECT_NEAR(best("frozen_lake", "map = '8x8'", 200), 0.913220, 5e-7);
  EXPECT_NEAR(best("frozen_lake", "", 5000), 14.0 / 17, 1e-9);
  EXPECT_EQ(best("frozen_lake", "rows = ['SFG']\nslippery = false", 2), 1);
  EXPECT_EQ(best("frozen_lake", "rows = ['SFG']\nslippery = false", 1), 0);
}

TEST(Tabular, FrozenLakeNamesBadMaps) {
  const auto error = [](const std::string& options) {
    try {
      made("frozen_lake", options);
    } catch (const Error& caught) {
      return std::string(caught.what());
    }
    return std::string("no error");
  };
  EXPECT_NE(error("rows = ['SFG', 'FX']").find("'FX' in rows: all rows need the length"),
            std::string::npos);
  EXPECT_NE(error("rows = ['FFG']").find("have no S"), std::string::npos);
}

TEST(Tabular, TaxisBestMeanReturn) { EXPECT_NEAR(best("taxi", "", 200), 7.93, 0.005); }

TEST(Tabular, RandomWalksTrueValues) {
  const auto values_of = [](const std::string& options) {
    return Table(*made("random_walk", options)).values_of(20000, [](auto, auto) { return 1.0; });
  };
  const std::vector<double> nineteen = values_of("");
  ASSERT_EQ(nineteen.size(), 21u);
  for (std::size_t i = 1; i <= 19; ++i) {
    EXPECT_NEAR(nineteen[i], static_cast<double>(i) / 10 - 1, 1e-9);
  }
  const std::vector<double> five = values_of("states = 5\nleft = 0.0");
  for (std::size_t i = 1; i <= 5; ++i) EXPECT_NEAR(five[i], static_cast<double>(i) / 6, 1e-9);
  EXPECT_EQ(made("random_walk")->beginnings()[0].next, 10);
}

// Each way on is taken as often as its probability says, in each state and action.
void happens_as_the_table_says(const std::string& name, const std::string& options) {
  constexpr std::int64_t rows = 4000;
  Opened many(name, options, rows);
  const std::int64_t actions = many.is->actions().size;
  many.reset();
  std::map<std::int32_t, double> starts;
  for (const std::int32_t state : many.now.states) starts[state] += 1.0 / rows;
  double sum = 0;
  for (const Transition& start : many.is->beginnings()) {
    const double p = start.probability;
    sum += p;
    EXPECT_NEAR(starts[start.next], p, 5 * std::sqrt(p * (1 - p) / rows) + 1e-9) << name;
  }
  EXPECT_NEAR(sum, 1, 1e-12);
  std::map<std::pair<std::int32_t, std::int32_t>, int> visits;
  std::map<std::tuple<std::int32_t, std::int32_t, std::int32_t, double, bool>, int> seen;
  for (int step = 0; step < 30; ++step) {
    const std::vector<std::int32_t> before = many.now.states;
    for (std::size_t r = 0; r < rows; ++r) {
      many.actions.choices[r] = static_cast<std::int32_t>((r + static_cast<std::size_t>(step)) %
                                                          static_cast<std::size_t>(actions));
    }
    many.step();
    for (std::size_t r = 0; r < rows; ++r) {
      ++visits[{before[r], many.actions.choices[r]}];
      ++seen[{before[r], many.actions.choices[r], many.now.states[r],
              static_cast<double>(many.outcomes.rewards[r]), many.outcomes.terminated[r] == 1}];
      if (many.outcomes.terminated[r] == 1 || many.outcomes.truncated[r] == 1) {
        many.is->reset(static_cast<std::int64_t>(r),
                       r + rows * (static_cast<std::size_t>(step) + 1), many.now);
      }
    }
  }
  int total = 0;
  for (const auto& [from, count] : visits) {
    std::map<std::tuple<std::int32_t, double, bool>, double> expected;
    for (const Transition& way : many.is->transitions(from.first, from.second)) {
      expected[{way.next, way.reward, way.terminated}] += way.probability;
    }
    for (const auto& [to, p] : expected) {
      const auto& [next, reward, terminated] = to;
      const int found = seen[{from.first, from.second, next, reward, terminated}];
      total += found;
      EXPECT_NEAR(found, p * count, 5 * std::sqrt(p * (1 - p) * count) + (p < 1 ? 3 : 0))
          << name << " state " << from.first << " action " << from.second << " to " << next;
    }
  }
  EXPECT_EQ(total, rows * 30);  // nothing else happened
}

TEST(Tabular, TablesHappen) {
  happens_as_the_table_says("frozen_lake", "");
  happens_as_the_table_says("cliff_walking", "slippery = true");
  happens_as_the_table_says("windy_gridworld", "stochastic = true");
  happens_as_the_table_says("random_walk", "states = 5");
  happens_as_the_table_says("blackjack", "sab = true");
  happens_as_the_table_says("taxi", "rainy = true");
}

// Sutton & Barto, Example 5.4: the dealer shows a deuce, the player has 13 with a usable ace, and
// sticks on 20 and 21 alone.
TEST(Blackjack, TheBooksState) {
  for (const char* options : {"", "sab = true", "natural = true"}) {
    const Table table(*made("blackjack", options));
    const auto policy = [](std::int32_t state, std::int32_t action) {
      const bool sticks = state >= 704 || state / 22 >= 20;
      return sticks == (action == 0) ? 1.0 : 0.0;
    };
    const std::vector<double> values = table.values_of(30, policy);
    EXPECT_NEAR(values[(13 * 11 + 2) * 2 + 1], -0.277204, 5e-7) << options;
  }
}

// The same as an environment of its own, in which no choice matters.
TEST(Blackjack, AGivenPolicyFromAGivenHand) {
  const std::string options = "sab = true\nstick_from = 20\n";
  EXPECT_NEAR(best("blackjack", options + "deal = [13, 2, 1]", 30), -0.277204, 5e-7);
  // Whatever is chosen, he sticks on 20 and draws on 19.
  const auto game = made("blackjack", options + "deal = [20, 6, 0]");
  ASSERT_EQ(game->beginnings().size(), 1u);
  EXPECT_EQ(game->beginnings()[0].next, (20 * 11 + 6) * 2);
  for (const std::int32_t action : {0, 1}) {
    EXPECT_TRUE(game->transitions((20 * 11 + 6) * 2, action).front().terminated);
    EXPECT_FALSE(game->transitions((19 * 11 + 6) * 2, action).front().terminated);
  }
  try {
    made("blackjack", "deal = [11, 2, 1]");
    FAIL() << "eleven with a usable ace is no hand";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("deal = [11, 2, 1] is no hand"), std::string::npos)
        << error.what();
  }
}

TEST(Blackjack, TheBestPlay) {
  EXPECT_NEAR(best("blackjack", "sab = true", 30), -0.04311, 5e-6);
  EXPECT_NEAR(best("blackjack", "", 30), -0.04656, 5e-6);
}

// An ace and a ten: 8/169 of hands. Against a dealer's 5 no natural of his is possible.
TEST(Blackjack, NaturalsPayByTheRules) {
  const auto prize = [](const std::string& options, std::int32_t state) {
    double sum = 0;
    for (const Transition& way : made("blackjack", options)->transitions(state, 0)) {
      sum += way.probability * way.reward;
    }
    return sum;
  };
  EXPECT_EQ(prize("sab = true", 704 + 5), 1);
  EXPECT_DOUBLE_EQ(prize("sab = true", 704 + 1), 9.0 / 13);
  EXPECT_DOUBLE_EQ(prize("sab = true", 704 + 10), 12.0 / 13);
  const double plain = prize("", (21 * 11 + 5) * 2 + 1);
  EXPECT_DOUBLE_EQ(prize("natural = true", 704 + 5), 1.5 * plain);
  EXPECT_LT(plain, 1);
  double naturals = 0;
  for (const Transition& start : made("blackjack", "sab = true")->beginnings()) {
    if (start.next >= 704) naturals += start.probability;
  }
  EXPECT_NEAR(naturals, 8.0 / 169, 1e-12);
  EXPECT_EQ(made("blackjack")->observations().size, 704);
  EXPECT_EQ(made("blackjack", "natural = true")->observations().size, 715);
}

}  // namespace
}  // namespace lathe
