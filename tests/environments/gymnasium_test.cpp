// The same dynamics as Gymnasium's, over trajectories and tables that
// tests/oracles/record_gymnasium.py recorded.
#include <lathe/base/file.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "support.h"

namespace lathe {
namespace {
using nlohmann::json;
using testing::Opened;

json recorded(const std::string& name) {
  return json::parse(read_file(std::string(LATHE_FIXTURES "/gymnasium/") + name));
}

// Puts the state of row 0 where the recording began.
void put_state(Environment& environment, const std::vector<std::string>& names,
               const std::vector<double>& values) {
  State now, changed;
  environment.save(now);
  for (const auto& [name, item] : now.items()) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      changed.put_bytes(name, item.type, item.bytes);
    } else {
      changed.put(name, std::vector{values[static_cast<std::size_t>(found - names.begin())]});
    }
  }
  environment.load(changed);
}

void follows(const std::string& name, const std::vector<std::string>& names) {
  static const json all = recorded("trajectories.json");
  for (const json& episode : all.at(name)) {
    Opened one(name, "");
    one.reset();
    put_state(*one.is, names, episode.at("start"));
    const std::vector<double> actions = episode.at("actions"), rewards = episode.at("rewards");
    const std::vector<double> seen = episode.at("seen");
    const std::vector<int> ends = episode.at("ends");
    const std::size_t width = one.now.numbers.size();
    for (std::size_t i = 0; i < actions.size(); ++i) {
      if (one.actions.choices.empty()) {
        one.actions.numbers[0] = static_cast<float>(actions[i]);
      } else {
        one.actions.choices[0] = static_cast<std::int32_t>(actions[i]);
      }
      one.step();
      for (std::size_t k = 0; k < width; ++k) {
        ASSERT_NEAR(one.now.numbers[k], seen[i * width + k], 1e-6)
            << name << " step " << i << " number " << k;
      }
      ASSERT_NEAR(one.outcomes.rewards[0], rewards[i], 1e-6) << name << " step " << i;
      ASSERT_EQ(one.outcomes.terminated[0], ends[i]) << name << " step " << i;
      ASSERT_EQ(one.outcomes.truncated[0], 0);
    }
  }
}

TEST(Gymnasium, CartPole) { follows("cartpole", {"position", "velocity", "angle", "spin"}); }
TEST(Gymnasium, MountainCar) { follows("mountain_car", {"position", "velocity"}); }
TEST(Gymnasium, Pendulum) { follows("pendulum", {"angle", "spin"}); }
TEST(Gymnasium, Acrobot) { follows("acrobot", {"angle1", "angle2", "spin1", "spin2"}); }

void equals_table(const std::string& name) {
  static const json all = recorded("tables.json");
  for (const json& table : all.at(name)) {
    const auto environment = testing::made(name, table.at("options"));
    const std::vector<double> probabilities = table.at("probabilities");
    std::vector<std::int32_t> states;
    if (table.contains("states")) {
      states = table.at("states").get<std::vector<std::int32_t>>();
    } else {
      for (std::int32_t s = 0; s < environment->observations().size; ++s) states.push_back(s);
    }
    const auto actions = static_cast<std::int32_t>(environment->actions().size);
    ASSERT_EQ(table.at("counts").size(), states.size() * static_cast<std::size_t>(actions));
    std::size_t place = 0, at = 0;
    for (const std::int32_t state : states) {
      for (std::int32_t action = 0; action < actions; ++action, ++place) {
        const std::vector<Transition> ways = environment->transitions(state, action);
        ASSERT_EQ(ways.size(), table.at("counts")[place].get<std::size_t>());
        for (const Transition& way : ways) {
          SCOPED_TRACE(cat(name, " state ", state, " action ", action));
          ASSERT_EQ(way.probability, probabilities[table.at("p")[at].get<std::size_t>()]);
          ASSERT_EQ(way.next, table.at("next")[at].get<int>());
          ASSERT_EQ(way.reward, table.at("rewards")[at].get<int>());
          ASSERT_EQ(way.terminated, table.at("ends")[at].get<int>() == 1);
          ++at;
        }
      }
    }
    EXPECT_EQ(at, table.at("next").size());
    const std::vector<std::int32_t> starts = table.at("starts");
    const std::vector<Transition> beginnings = environment->beginnings();
    ASSERT_EQ(beginnings.size(), starts.size());
    for (std::size_t i = 0; i < starts.size(); ++i) {
      EXPECT_EQ(beginnings[i].next, starts[i]);
      EXPECT_DOUBLE_EQ(beginnings[i].probability, 1.0 / static_cast<double>(starts.size()));
    }
  }
}

TEST(Gymnasium, CliffWalking) { equals_table("cliff_walking"); }
TEST(Gymnasium, FrozenLake) { equals_table("frozen_lake"); }
TEST(Gymnasium, Taxi) { equals_table("taxi"); }

// Bounds of where episodes begin, and what is cut off when.
TEST(Gymnasium, ControlTasksBeginAndAreCutOffAsThere) {
  struct Case {
    const char* name;
    std::size_t number;  // of the observation
    double low, high;    // of its first value
    int limit;
    int action;  // that does not end the episode itself
  };
  for (const Case& task :
       {Case{"cartpole", 0, -0.05, 0.05, 500, -1}, Case{"mountain_car", 0, -0.6, -0.4, 200, 1},
        Case{"acrobot", 4, -0.1, 0.1, 500, 1}}) {
    Opened many(task.name, "", 2000);
    many.reset();
    const std::size_t width = many.now.numbers.size() / 2000;
    double least = 1e9, most = -1e9, sum = 0;
    for (std::size_t r = 0; r < 2000; ++r) {
      const double value = static_cast<double>(many.now.numbers[r * width + task.number]);
      least = std::min(least, value);
      most = std::max(most, value);
      sum += value;
    }
    const double range = task.high - task.low;
    EXPECT_GE(least, task.low - 1e-7) << task.name;
    EXPECT_LE(most, task.high + 1e-7) << task.name;
    EXPECT_LT(least, task.low + 0.01 * range) << task.name;
    EXPECT_GT(most, task.high - 0.01 * range) << task.name;
    // Five standard deviations of a mean of 2000 uniform numbers.
    EXPECT_NEAR(sum / 2000, (task.low + task.high) / 2, 5 * range / std::sqrt(12.0 * 2000));
    Opened one(task.name, "");
    one.reset();
    for (int step = 1; step <= task.limit; ++step) {
      const std::vector<float>& seen = one.now.numbers;
      const bool balances = task.action < 0;  // the pole, by its angle and angular velocity
      one.step(balances ? (seen[2] + seen[3] < 0 ? 0 : 1) : task.action);
      ASSERT_EQ(one.outcomes.terminated[0], 0) << task.name << " step " << step;
      ASSERT_EQ(one.outcomes.truncated[0], step == task.limit) << task.name << " step " << step;
    }
  }
}

// Semi-implicit Euler, by hand from rest: v = .02 v', then x = .02 v.
TEST(Gymnasium, CartPoleSemiImplicit) {
  Opened one("cartpole", "integrator = 'semi-implicit'\nsutton_barto_reward = true");
  one.reset();
  put_state(*one.is, {"position", "velocity", "angle", "spin"}, {0, 0, 0, 0});
  EXPECT_EQ(one.step(1), 0.0f);
  const double spin_rate = -(10.0 / 1.1) / (0.5 * (4.0 / 3.0 - 0.1 / 1.1));
  const double rate = 10.0 / 1.1 - 0.05 * spin_rate / 1.1;
  EXPECT_FLOAT_EQ(one.now.numbers[1], static_cast<float>(0.02 * rate));
  EXPECT_FLOAT_EQ(one.now.numbers[0], static_cast<float>(0.02 * 0.02 * rate));
  EXPECT_FLOAT_EQ(one.now.numbers[3], static_cast<float>(0.02 * spin_rate));
  EXPECT_FLOAT_EQ(one.now.numbers[2], static_cast<float>(0.02 * 0.02 * spin_rate));
  while (one.outcomes.terminated[0] == 0) one.step(1);
  EXPECT_EQ(one.outcomes.rewards[0], -1.0f);
}

}  // namespace
}  // namespace lathe
