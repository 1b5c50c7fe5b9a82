// Exact answers for tabular environments (Sutton and Barto, 2018, chapter 4): what learning is held
// against. All in double precision.
#pragma once

#include <lathe/learn/environment.h>

#include <cstdint>
#include <vector>

namespace lathe {

// All that can happen in an environment, read once.
struct TabularModel {
  std::int64_t states = 0;                    // S
  std::int64_t actions = 0;                   // A
  std::vector<std::vector<Transition>> ways;  // [S, A]
  std::vector<Transition> beginnings;         // first states and their probabilities

  // An Error when the environment is not tabular.
  explicit TabularModel(const Environment& environment);
};

using Table = std::vector<double>;  // [S], or [S, A] row by row

// Q(s, a) = sum over ways of p (r + discount V(s')), V = 0 after an end. [S, A] from V [S].
Table backed_up(const TabularModel& model, const Table& values, double discount);
// V(s) = max_a Q(s, a), and V(s) = sum_a p(a | s) Q(s, a).
Table best_of(const TabularModel& model, const Table& action_values);
Table mean_of(const TabularModel& model, const Table& action_values, const Table& policy);
// p(a | s): even over the actions whose value is the largest of their state.
Table greedy_policy(const TabularModel& model, const Table& action_values);
// Of each state, epsilon / A to every action and the rest to the greedy ones.
Table epsilon_greedy_policy(const TabularModel& model, const Table& action_values, double epsilon);

// V of a policy p [S, A], by solving V = r + discount P V. An Error when the policy never ends its
// episodes, so that no solution exists.
Table policy_values(const TabularModel& model, const Table& policy, double discount);
// Q of the best policy: value iteration from 0 until no value changes by more than `tolerance`, or
// for `horizon` sweeps: the best that can be had in so many steps. An Error after a million sweeps.
Table optimal_action_values(const TabularModel& model, double discount, std::int64_t horizon = 0,
                            double tolerance = 1e-13);
// sum over beginnings of p V(s).
double start_value(const TabularModel& model, const Table& values);

}  // namespace lathe
