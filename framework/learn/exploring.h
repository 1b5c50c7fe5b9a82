// The options by which agents that learn action values explore.
#pragma once

#include <lathe/config/keys.h>
#include <lathe/learn/acting.h>

#include <cstdint>
#include <string>

namespace lathe {

// To be inherited by the options of an objective.
struct ExploringKeys : Keys {
  using Keys::Keys;

  std::string explore = key("explore", "epsilon_greedy",
                            "a random action with probability epsilon, else the best; or drawn "
                            "from softmax(Q / temperature)",
                            one_of({"epsilon_greedy", "boltzmann"}));
  double epsilon = key("epsilon", 0.1, "epsilon_greedy: at last", between(0, 1));
  double epsilon_first = key("epsilon_first", 1.0, "epsilon_greedy: at first", between(0, 1));
  std::int64_t epsilon_steps =
      key("epsilon_steps", 0,
          "epsilon_greedy: actions over which epsilon falls in a straight line; 0: `epsilon` from "
          "the beginning",
          at_least(0));
  double temperature = key("temperature", 1.0, "boltzmann: at last", above(0));
  double temperature_first = key("temperature_first", 1.0, "boltzmann: at first", above(0));
  std::int64_t temperature_steps =
      key("temperature_steps", 0,
          "boltzmann: actions over which the temperature falls; 0: `temperature` from the "
          "beginning",
          at_least(0));

  // After so many actions.
  ActingRule exploring(std::int64_t taken) const;
};

}  // namespace lathe
