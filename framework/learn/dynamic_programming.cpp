#include <lathe/learn/dynamic_programming.h>

#include <lathe/base/error.h>

#include <algorithm>
#include <cmath>
#include <span>

namespace lathe {
namespace {
std::size_t index(std::int64_t value) { return static_cast<std::size_t>(value); }

std::span<const double> row_of(const TabularModel& model, const Table& table, std::size_t state) {
  const std::size_t width = index(model.actions);
  return std::span(table).subspan(state * width, width);
}
}  // namespace

TabularModel::TabularModel(const Environment& environment) {
  const Space seen = environment.observations();
  const Space chosen = environment.actions();
  if (seen.kind != Space::Kind::discrete || chosen.kind != Space::Kind::discrete) {
    fail("dynamic programming needs an environment with states and choices that can be counted");
  }
  states = seen.size;
  actions = chosen.size;
  beginnings = environment.beginnings();
  for (std::int64_t state = 0; state < states; ++state) {
    for (std::int64_t action = 0; action < actions; ++action) {
      ways.push_back(environment.transitions(static_cast<std::int32_t>(state),
                                             static_cast<std::int32_t>(action)));
    }
  }
  const bool empty = std::all_of(ways.begin(), ways.end(), [](const auto& w) { return w.empty(); });
  if (empty || beginnings.empty()) {
    fail("dynamic programming needs the model of the environment, which this one does not tell: ",
         "choose a tabular one such as cliff_walking or frozen_lake, or an objective that learns ",
         "from experience");
  }
}

Table backed_up(const TabularModel& model, const Table& values, double discount) {
  Table result;
  for (const std::vector<Transition>& ways : model.ways) {
    double sum = 0;
    for (const Transition& way : ways) {
      const double next = way.terminated ? 0 : values[index(way.next)];
      sum += way.probability * (way.reward + discount * next);
    }
    result.push_back(sum);
  }
  return result;
}

Table best_of(const TabularModel& model, const Table& action_values) {
  Table values;
  for (std::size_t state = 0; state < index(model.states); ++state) {
    const auto row = row_of(model, action_values, state);
    values.push_back(*std::max_element(row.begin(), row.end()));
  }
  return values;
}

Table mean_of(const TabularModel& model, const Table& action_values, const Table& policy) {
  Table values;
  for (std::size_t state = 0; state < index(model.states); ++state) {
    const auto row = row_of(model, action_values, state);
    const auto chances = row_of(model, policy, state);
    double sum = 0;
    for (std::size_t a = 0; a < row.size(); ++a) sum += chances[a] * row[a];
    values.push_back(sum);
  }
  return values;
}

Table epsilon_greedy_policy(const TabularModel& model, const Table& action_values, double epsilon) {
  Table policy;
  for (std::size_t state = 0; state < index(model.states); ++state) {
    const auto row = row_of(model, action_values, state);
    const double most = *std::max_element(row.begin(), row.end());
    const auto ties = static_cast<double>(std::count(row.begin(), row.end(), most));
    for (const double value : row) {
      policy.push_back(epsilon / static_cast<double>(row.size()) +
                       (value == most ? (1 - epsilon) / ties : 0));
    }
  }
  return policy;
}

Table greedy_policy(const TabularModel& model, const Table& action_values) {
  return epsilon_greedy_policy(model, action_values, 0);
}

namespace {
// x with matrix x = right, by elimination with the largest pivot of each column; `right` becomes x.
void solve(std::vector<double>& matrix, Table& right) {
  const std::size_t n = right.size();
  const auto at = [&](std::size_t row, std::size_t column) -> double& {
    return matrix[row * n + column];
  };
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t row = k + 1; row < n; ++row) {
      if (std::abs(at(row, k)) > std::abs(at(pivot, k))) pivot = row;
    }
    if (std::abs(at(pivot, k)) < 1e-13) {
      fail(
          "the policy never ends its episodes, so that its undiscounted value does not exist: set ",
          "a discount below 1");
    }
    for (std::size_t column = k; column < n && pivot != k; ++column) {
      std::swap(at(k, column), at(pivot, column));
    }
    std::swap(right[k], right[pivot]);
    for (std::size_t row = k + 1; row < n; ++row) {
      const double factor = at(row, k) / at(k, k);
      if (factor == 0) continue;
      for (std::size_t column = k; column < n; ++column) at(row, column) -= factor * at(k, column);
      right[row] -= factor * right[k];
    }
  }
  for (std::size_t k = n; k-- > 0;) {
    for (std::size_t column = k + 1; column < n; ++column) {
      right[k] -= at(k, column) * right[column];
    }
    right[k] /= at(k, k);
  }
}
}  // namespace

Table policy_values(const TabularModel& model, const Table& policy, double discount) {
  const std::size_t states = index(model.states);
  const std::size_t actions = index(model.actions);
  std::vector<double> matrix(states * states);
  Table values(states);
  for (std::size_t state = 0; state < states; ++state) {
    matrix[state * states + state] = 1;
    for (std::size_t a = 0; a < actions; ++a) {
      const double chance = policy[state * actions + a];
      if (chance == 0) continue;
      for (const Transition& way : model.ways[state * actions + a]) {
        values[state] += chance * way.probability * way.reward;
        if (way.terminated) continue;
        matrix[state * states + index(way.next)] -= chance * way.probability * discount;
      }
    }
  }
  solve(matrix, values);
  return values;
}

Table optimal_action_values(const TabularModel& model, double discount, std::int64_t horizon,
                            double tolerance) {
  constexpr std::int64_t most = 1000000;
  Table values(index(model.states));
  for (std::int64_t sweep = 1;; ++sweep) {
    Table action_values = backed_up(model, values, discount);
    Table next = best_of(model, action_values);
    double change = 0;
    for (std::size_t s = 0; s < next.size(); ++s) {
      change = std::max(change, std::abs(next[s] - values[s]));
    }
    if (horizon > 0 ? sweep == horizon : change <= tolerance) return action_values;
    if (sweep == most) {
      fail("value iteration still changes by ", change, " after ", most,
           " sweeps: set a discount below 1, or a horizon");
    }
    values = std::move(next);
  }
}

double start_value(const TabularModel& model, const Table& values) {
  double sum = 0;
  for (const Transition& first : model.beginnings) {
    sum += first.probability * values[index(first.next)];
  }
  return sum;
}

}  // namespace lathe
