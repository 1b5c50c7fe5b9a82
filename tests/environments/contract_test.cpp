// What every environment promises: episodes are functions of (seed, split, episode), whatever the
// other rows do; rows can rest; an episode goes on from its saved state; limits cut off.
#include <cmath>

#include "support.h"

namespace lathe {
namespace {
using testing::Opened;

struct Case {
  std::string name, options;
  std::string shown;  // part of the picture at the beginning of episode 0
};

std::ostream& operator<<(std::ostream& out, const Case& task) { return out << task.name; }

class Contract : public ::testing::TestWithParam<Case> {};

// What a row saw and got.
struct Life {
  std::vector<float> numbers;
  std::vector<std::int32_t> states;
  std::vector<float> rewards;
  std::vector<int> ends;
  bool operator==(const Life& other) const = default;
};

void note(const Opened& opened, std::int64_t row, Life& life) {
  const auto r = static_cast<std::size_t>(row);
  const std::size_t width = opened.now.numbers.size() / static_cast<std::size_t>(opened.rows);
  for (std::size_t k = 0; k < width; ++k) life.numbers.push_back(opened.now.numbers[r * width + k]);
  if (!opened.now.states.empty()) life.states.push_back(opened.now.states[r]);
}

// An action that depends on (episode, step) alone; never the last of a dialogue, which closes it.
void choose(Opened& opened, std::int64_t row, std::uint64_t episode, int step) {
  const Space space = opened.is->actions();
  const RandomStream draws(99, "actions", episode);
  const auto r = static_cast<std::size_t>(row);
  if (space.kind == Space::Kind::box) {
    opened.actions.numbers[r] = 4 * draws.uniform(static_cast<std::uint64_t>(step)) - 2;
    return;
  }
  opened.actions.choices[r] = static_cast<std::int32_t>(
      draws.below(static_cast<std::uint64_t>(space.size), static_cast<std::uint64_t>(step)));
}

// The lives of `count` episodes, played `rows` at a time, each for at most 25 steps.
std::vector<Life> lives(const Case& task, std::int64_t rows, std::int64_t count,
                        std::uint64_t seed = 1, Split split = Split::train) {
  std::vector<Life> all(static_cast<std::size_t>(count));
  Opened opened(task.name, task.options, rows, seed, split);
  for (std::int64_t first = 0; first < count; first += rows) {
    std::vector<bool> ended(static_cast<std::size_t>(rows), false);
    for (std::int64_t row = 0; row < rows; ++row) {
      opened.is->reset(row, static_cast<std::uint64_t>(first + row), opened.now);
      note(opened, row, all[static_cast<std::size_t>(first + row)]);
    }
    for (int step = 0; step < 25; ++step) {
      for (std::int64_t row = 0; row < rows; ++row) {
        const auto r = static_cast<std::size_t>(row);
        choose(opened, row, static_cast<std::uint64_t>(first + row), step);
        if (ended[r] && !opened.actions.choices.empty()) opened.actions.choices[r] = -1;
      }
      const Observations seen = opened.now;
      const Outcomes got = opened.outcomes;
      opened.step();
      for (std::int64_t row = 0; row < rows; ++row) {
        const auto r = static_cast<std::size_t>(row);
        if (ended[r]) {  // it rests, and keeps what it had
          EXPECT_EQ(opened.outcomes.rewards[r], got.rewards[r]);
          EXPECT_EQ(opened.outcomes.terminated[r], got.terminated[r]);
          if (!seen.states.empty()) {
            EXPECT_EQ(opened.now.states[r], seen.states[r]);
          }
          continue;
        }
        Life& life = all[static_cast<std::size_t>(first + row)];
        note(opened, row, life);
        life.rewards.push_back(opened.outcomes.rewards[r]);
        const bool terminated = opened.outcomes.terminated[r] == 1;
        const bool truncated = opened.outcomes.truncated[r] == 1;
        EXPECT_FALSE(terminated && truncated);
        life.ends.push_back(terminated ? 2 : truncated ? 1 : 0);
        ended[r] = terminated || truncated;
      }
    }
  }
  return all;
}

TEST_P(Contract, RowsAreEpisodesOfTheirOwn) {
  const std::vector<Life> single = lives(GetParam(), 1, 12);
  const std::vector<Life> wide = lives(GetParam(), 6, 12);
  for (std::size_t i = 0; i < 12; ++i) EXPECT_TRUE(single[i] == wide[i]) << "episode " << i;
}

TEST_P(Contract, SeedAndSplitGiveOtherEpisodes) {
  const bool random = GetParam().options.find("slippery = false") == std::string::npos &&
                      GetParam().shown != "certain";
  const std::vector<Life> one = lives(GetParam(), 4, 24);
  EXPECT_TRUE(one == lives(GetParam(), 4, 24));
  EXPECT_EQ(one == lives(GetParam(), 4, 24, 2), !random);
  EXPECT_EQ(one == lives(GetParam(), 4, 24, 1, Split::validation), !random);
}

TEST_P(Contract, GoesOnFromItsSavedState) {
  Opened whole(GetParam().name, GetParam().options, 3, 5);
  whole.reset(7);
  const auto act = [](Opened& opened, int step) {
    for (std::int64_t row = 0; row < 3; ++row) {
      choose(opened, row, static_cast<std::uint64_t>(row), step);
    }
    opened.step();
    for (std::int64_t row = 0; row < 3; ++row) {
      const auto r = static_cast<std::size_t>(row);
      if (opened.outcomes.terminated[r] == 1 || opened.outcomes.truncated[r] == 1) {
        opened.is->reset(row, static_cast<std::uint64_t>(100 + step), opened.now);
      }
    }
  };
  for (int step = 0; step < 4; ++step) act(whole, step);
  State state;
  whole.is->save(state);
  Opened part(GetParam().name, GetParam().options, 3, 5);
  part.is->load(state);
  EXPECT_EQ(part.is->render(1), whole.is->render(1));
  part.now = whole.now;
  for (int step = 4; step < 30; ++step) {
    act(whole, step);
    act(part, step);
    ASSERT_EQ(part.now.numbers, whole.now.numbers) << step;
    ASSERT_EQ(part.now.states, whole.now.states) << step;
    ASSERT_EQ(part.outcomes.rewards, whole.outcomes.rewards) << step;
    ASSERT_EQ(part.outcomes.terminated, whole.outcomes.terminated) << step;
    ASSERT_EQ(part.outcomes.truncated, whole.outcomes.truncated) << step;
  }
  State again, other;
  part.is->save(again);
  whole.is->save(other);
  ASSERT_EQ(again.items().size(), other.items().size());
  for (const auto& [name, item] : other.items())
    EXPECT_EQ(again.items().at(name).bytes, item.bytes);
  Opened wider(GetParam().name, GetParam().options, 4, 5);
  EXPECT_THROW(wider.is->load(state), Error);
}

TEST_P(Contract, ObservationsLieInTheirSpace) {
  Opened opened(GetParam().name, GetParam().options);
  const Space space = opened.is->observations();
  for (const Life& life : lives(GetParam(), 2, 4)) {
    for (const std::int32_t state : life.states) {
      EXPECT_GE(state, 0);
      EXPECT_LT(state, space.size);
    }
    for (std::size_t i = 0; i < life.numbers.size(); ++i) {
      const std::size_t k = i % static_cast<std::size_t>(space.size);
      EXPECT_GE(life.numbers[i], space.low[k]) << "number " << k;
      EXPECT_LE(life.numbers[i], space.high[k]) << "number " << k;
    }
  }
}

TEST_P(Contract, NamesActionsThatDoNotExist) {
  Opened opened(GetParam().name, GetParam().options);
  if (opened.actions.choices.empty()) GTEST_SKIP() << "its actions are numbers";
  opened.reset();
  opened.actions.choices[0] = static_cast<std::int32_t>(opened.is->actions().size);
  try {
    opened.step();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              cat("environment ", GetParam().name, ": action ", opened.actions.choices[0],
                  " in row 0 where 0 ... ", opened.actions.choices[0] - 1,
                  " exist (-1 lets a row rest)"));
  }
}

TEST_P(Contract, Draws) {
  Opened opened(GetParam().name, GetParam().options);
  opened.reset();
  const std::string picture = opened.is->render(0);
  EXPECT_FALSE(picture.empty());
  EXPECT_EQ(picture.back(), '\n');
  if (GetParam().shown != "certain") {
    EXPECT_NE(picture.find(GetParam().shown), std::string::npos) << picture;
  }
}

// Each environment whose options have a limit keeps it.
TEST_P(Contract, LimitCutsOff) {
  if (GetParam().name.starts_with("probe")) GTEST_SKIP() << "its episodes have one or two steps";
  Opened opened(GetParam().name, GetParam().options + "\nlimit = 1");
  opened.reset();
  choose(opened, 0, 3, 1);
  if (!opened.actions.choices.empty()) opened.actions.choices[0] = 0;
  opened.step();
  EXPECT_EQ(opened.outcomes.terminated[0] + opened.outcomes.truncated[0], 1);
  if (GetParam().name != "blackjack") {
    EXPECT_EQ(opened.outcomes.truncated[0], 1);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Contract,
    ::testing::Values(
        Case{"cliff_walking", "", "certain"},
        Case{"cliff_walking", "slippery = true", "@CCCCCCCCCCG"},
        Case{"windy_gridworld", "", "certain"},
        Case{"windy_gridworld", "stochastic = true", "@......G.."},
        Case{"frozen_lake", "", "@FFF\nFHFH\nFFFH\nHFFG\n"}, Case{"taxi", "", "passenger at "},
        Case{"taxi", "rainy = true", "passenger at "}, Case{"blackjack", "", "the dealer shows"},
        Case{"blackjack", "natural = true", "the dealer shows"},
        Case{"random_walk", "states = 5", "|..@..|"}, Case{"cartpole", "", "####"},
        Case{"acrobot", "", "#"}, Case{"acrobot", "noise = 0.5\ndynamics = 'nips'", "#"},
        Case{"mountain_car", "", "P"}, Case{"pendulum", "", "o"},
        Case{"probe_constant", "", "certain"}, Case{"probe_observation", "", "sees "},
        Case{"probe_discount", "table = true", "certain"}, Case{"probe_action", "", "certain"},
        Case{"probe_both", "table = true", "sees "}, Case{"dialogue", "", "turn 0: hello"}),
    [](const auto& task) { return task.param.name + "_" + std::to_string(task.index); });

TEST(Probes, AreTablesOnDemand) {
  const auto best = [](const char* name) {
    return testing::Table(*testing::made(name, "table = true")).best(2);
  };
  EXPECT_EQ(best("probe_constant"), 1);
  EXPECT_EQ(best("probe_observation"), 0);  // 1 and -1, equally likely
  EXPECT_EQ(best("probe_discount"), 1);
  EXPECT_EQ(best("probe_action"), 1);
  EXPECT_EQ(best("probe_both"), 1);
  EXPECT_TRUE(testing::made("probe_both")->transitions(0, 0).empty());
}

TEST(Probes, GiveWhatTheirManualSays) {
  Opened constant("probe_constant", "");
  constant.reset();
  EXPECT_EQ(constant.now.numbers[0], 0);
  EXPECT_EQ(constant.step(0), 1);
  EXPECT_EQ(constant.outcomes.terminated[0], 1);

  Opened discount("probe_discount", "");
  discount.reset();
  EXPECT_EQ(discount.now.numbers[0], 0);
  EXPECT_EQ(discount.step(0), 0);
  EXPECT_EQ(discount.outcomes.terminated[0], 0);
  EXPECT_EQ(discount.now.numbers[0], 1);
  EXPECT_EQ(discount.step(0), 1);
  EXPECT_EQ(discount.outcomes.terminated[0], 1);

  Opened action("probe_action", "");
  action.reset();
  EXPECT_EQ(action.step(0), -1);
  action.reset(1);
  EXPECT_EQ(action.step(1), 1);

  int positive = 0;
  for (std::uint64_t episode = 0; episode < 200; ++episode) {
    Opened observation("probe_observation", "");
    observation.reset(episode);
    const float seen = observation.now.numbers[0];
    EXPECT_EQ(std::abs(seen), 1);
    positive += seen > 0 ? 1 : 0;
    EXPECT_EQ(observation.step(0), seen);
    Opened both("probe_both", "");
    both.reset(episode);
    const float sign = both.now.numbers[0];
    EXPECT_EQ(both.step(1), sign);
    both.reset(episode);
    EXPECT_EQ(both.step(0), -sign);
  }
  EXPECT_NEAR(positive, 100, 36);  // five standard deviations
}

}  // namespace
}  // namespace lathe
