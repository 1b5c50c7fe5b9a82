// An environment as a plugin of this build, opened, with its arrays; and dynamic programming.
#pragma once

#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/learn/environment.h>
#include <lathe/plugin/registry.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lathe::testing {

inline std::unique_ptr<Environment> made(const std::string& name, const std::string& options = "") {
  static Registry registry({.user_folders = false, .library_folder = LATHE_PLUGINS});
  return registry.create<Environment>(name, parse_toml(options, "environment_test"));
}

struct Opened {
  explicit Opened(std::unique_ptr<Environment> environment, std::int64_t count = 1,
                  std::uint64_t seed = 1, Split split = Split::train)
      : is(std::move(environment)), rows(count) {
    EnvironmentContext context;
    context.rows = rows;
    context.seed = seed;
    context.split = split;
    is->open(context);
    now = empty_observations(is->observations(), rows);
    outcomes = empty_outcomes(rows);
    const Space space = is->actions();
    const auto size = static_cast<std::size_t>(rows);
    if (space.kind == Space::Kind::box) {
      actions.numbers.resize(size * static_cast<std::size_t>(space.size));
    } else {
      actions.choices.resize(size);
    }
  }
  Opened(const std::string& name, const std::string& options, std::int64_t count = 1,
         std::uint64_t seed = 1, Split split = Split::train)
      : Opened(made(name, options), count, seed, split) {}

  void reset(std::uint64_t episode = 0) {
    for (std::int64_t row = 0; row < rows; ++row) {
      is->reset(row, episode + static_cast<std::uint64_t>(row), now);
    }
  }
  void step() { is->step(actions, now, outcomes); }
  // Of one row with discrete actions; the reward.
  float step(std::int32_t action) {
    actions.choices[0] = action;
    step();
    return outcomes.rewards[0];
  }

  std::unique_ptr<Environment> is;
  std::int64_t rows;
  Observations now;
  Actions actions;
  Outcomes outcomes;
};

// The table of an environment, for exact answers.
struct Table {
  explicit Table(const Environment& environment)
      : states(static_cast<std::int32_t>(environment.observations().size)),
        actions(static_cast<std::int32_t>(environment.actions().size)),
        beginnings(environment.beginnings()) {
    for (std::int32_t s = 0; s < states; ++s) {
      for (std::int32_t a = 0; a < actions; ++a) ways.push_back(environment.transitions(s, a));
    }
  }

  double worth(std::int32_t state, std::int32_t action, const std::vector<double>& values) const {
    double sum = 0;
    for (const Transition& way : ways[static_cast<std::size_t>(state * actions + action)]) {
      const double rest = way.terminated ? 0 : values[static_cast<std::size_t>(way.next)];
      sum += way.probability * (way.reward + rest);
    }
    return sum;
  }
  // The best undiscounted return with so many steps left, at the beginning.
  double best(int steps) const { return mean_at_start(best_values(steps)); }
  // Values of a policy that gives each action's probability.
  std::vector<double> values_of(
      int steps, const std::function<double(std::int32_t, std::int32_t)>& policy) const {
    return iterated(steps, [&](std::int32_t s, const std::vector<double>& values) {
      double sum = 0;
      for (std::int32_t a = 0; a < actions; ++a) {
        const double chance = policy(s, a);
        if (chance > 0) sum += chance * worth(s, a, values);
      }
      return sum;
    });
  }
  std::vector<double> best_values(int steps) const {
    return iterated(steps, [&](std::int32_t s, const std::vector<double>& values) {
      double found = worth(s, 0, values);
      for (std::int32_t a = 1; a < actions; ++a) found = std::max(found, worth(s, a, values));
      return found;
    });
  }
  double mean_at_start(const std::vector<double>& values) const {
    double sum = 0;
    for (const Transition& start : beginnings) {
      sum += start.probability * values[static_cast<std::size_t>(start.next)];
    }
    return sum;
  }

  std::int32_t states, actions;
  std::vector<Transition> beginnings;
  std::vector<std::vector<Transition>> ways;  // [states, actions]

 private:
  template <class Backup>
  std::vector<double> iterated(int steps, const Backup& backup) const {
    std::vector<double> values(static_cast<std::size_t>(states), 0.0);
    for (int step = 0; step < steps; ++step) {
      std::vector<double> next(values.size());
      for (std::int32_t s = 0; s < states; ++s)
        next[static_cast<std::size_t>(s)] = backup(s, values);
      values = std::move(next);
    }
    return values;
  }
};

}  // namespace lathe::testing
