#include <lathe/learn/action_values.h>

#include <lathe/base/error.h>
#include <lathe/learn/exploring.h>
#include <lathe/learn/logits.h>

#include <algorithm>
#include <cmath>

namespace lathe {
namespace {
double falling(double first, double last, std::int64_t steps, std::int64_t taken) {
  if (steps == 0 || taken >= steps) return last;
  return first + (last - first) * static_cast<double>(taken) / static_cast<double>(steps);
}

Tensor wide(const Parameters& parameters, const Shape& shape, const std::vector<double>& values) {
  if (parameters.precision() == Precision::f64) {
    return Tensor::of<double>(parameters.backend(), shape, values);
  }
  const std::vector<float> rounded(values.begin(), values.end());
  return Tensor::of<float>(parameters.backend(), shape, rounded);
}

Tensor wide(const Parameters& parameters, const Shape& shape, const std::vector<float>& values) {
  if (parameters.precision() != Precision::f64) {
    return Tensor::of<float>(parameters.backend(), shape, values);
  }
  const std::vector<double> exact(values.begin(), values.end());
  return Tensor::of<double>(parameters.backend(), shape, exact);
}

ActionValues of_input(const Model& model, const ModelInput& input) {
  const NoGradient silent;
  const Tensor values = model.logits(model.hidden(input));
  return {values.values(), values.size(-1)};
}
}  // namespace

ActingRule ExploringKeys::exploring(std::int64_t taken) const {
  ActingRule rule;
  if (explore == "boltzmann") {
    rule.kind = ActingRule::Kind::sample;
    rule.temperature = falling(temperature_first, temperature, temperature_steps, taken);
  } else {
    rule.kind = ActingRule::Kind::epsilon_greedy;
    rule.epsilon = falling(epsilon_first, epsilon, epsilon_steps, taken);
  }
  return rule;
}

std::span<const double> ActionValues::row(std::int64_t place) const {
  return std::span(all).subspan(static_cast<std::size_t>(place * actions),
                                static_cast<std::size_t>(actions));
}

ActionValues action_values(const Model& model, const Parameters& parameters, const Batch& batch) {
  return of_input(model, DeviceBatch(batch, parameters).input);
}

ActionValues open_action_values(const Model& model, const Parameters& parameters,
                                const Batch& batch) {
  const Experience& lived = batch.experience;
  const auto count = static_cast<std::int64_t>(lived.open_places.size());
  if (count == 0) return {{}, 1};
  ModelInput input;
  input.places.rows = count;
  input.places.length = 1;
  if (lived.width > 0) {
    input.observations = wide(parameters, {count, lived.width}, lived.open_observations);
  } else {
    input.tokens = Tensor::of<std::int32_t>(parameters.backend(), {count}, lived.open_states);
  }
  return of_input(model, input);
}

void demand_experience(const Batch& batch, const char* objective) {
  if (!batch.experience.rewards.empty()) return;
  fail("objective '", objective,
       "' learns from what a policy lives through: add [environment] and ",
       "[feed] use = \"rollouts\" or \"replay\"");
}

void demand_choices(const Batch& batch, const char* objective) {
  demand_experience(batch, objective);
  if (batch.experience.moves.empty()) return;
  fail("objective '", objective,
       "' compares the values of all actions, but the actions of this environment are numbers: "
       "choose ppo, a3c, reinforce, or q_learning with backup = \"soft\"");
}

double largest(std::span<const double> values) {
  return *std::max_element(values.begin(), values.end());
}

std::int64_t first_largest(std::span<const double> values) {
  return std::max_element(values.begin(), values.end()) - values.begin();
}

double expected_value(std::span<const double> values, const ActingRule& rule) {
  const double most = largest(values);
  if (rule.kind == ActingRule::Kind::sample) {
    double total = 0;
    double sum = 0;
    for (const double value : values) {
      const double weight = std::exp((value - most) / rule.temperature);
      total += weight;
      sum += weight * value;
    }
    return sum / total;
  }
  // However many tie for the greedy share, each of them is worth `most`.
  const double epsilon = rule.kind == ActingRule::Kind::greedy ? 0 : rule.epsilon;
  double sum = 0;
  for (const double value : values) sum += value;
  return epsilon * sum / static_cast<double>(values.size()) + (1 - epsilon) * most;
}

std::vector<double> lambda_returns(const Batch& batch, std::span<const double> successors,
                                   double lambda) {
  const Experience& lived = batch.experience;
  std::vector<double> returns(successors.size());
  std::size_t open = lived.open_places.size();
  for (auto n = static_cast<std::int64_t>(returns.size()) - 1; n >= 0; --n) {
    const auto place = static_cast<std::size_t>(n);
    while (open > 0 && lived.open_places[open - 1] > n) --open;
    const bool is_open = open > 0 && lived.open_places[open - 1] == n;
    const bool ended = lived.terminated[place] != 0 || lived.truncated[place] != 0;
    const bool goes_on = !is_open && !ended && (n + 1) % batch.length != 0;
    const double next = goes_on ? (1 - lambda) * successors[place] + lambda * returns[place + 1]
                                : successors[place];
    returns[place] = static_cast<double>(lived.rewards[place]) +
                     static_cast<double>(lived.discounts[place]) * next;
  }
  return returns;
}

namespace {
// What each place counts for, and the sum of the places' own weights: the loss is divided by that,
// so that the replay's correction makes steps shorter.
std::vector<double> place_weights(const Batch& batch) {
  std::vector<double> weights(batch.weights.begin(), batch.weights.end());
  const std::vector<float>& rows = batch.experience.replay_weights;
  for (std::size_t n = 0; n < weights.size() && !rows.empty(); ++n) {
    weights[n] *= static_cast<double>(rows[n / static_cast<std::size_t>(batch.length)]);
  }
  return weights;
}

// The square, or twice Huber's function: m (2 |d| - m) with m = min(|d|, k).
Tensor twice(const Tensor& difference, const DifferenceShape& shape) {
  if (!shape.huber) return square(difference);
  const Tensor distance = abs(difference);
  const Tensor near = clamp(distance, 0, shape.huber_width);
  return multiply(near, subtract(scale(distance, 2), near));
}
}  // namespace

Loss difference_loss(const Batch& batch, const ObjectivePass& pass, const DifferenceShape& shape) {
  DeviceBatch device(batch, *pass.parameters);
  device.input.pass = pass.options;
  const std::int64_t places = batch.rows * batch.length;
  const Tensor returns = wide(*pass.parameters, {places}, batch.experience.returns);
  const Tensor values =
      chosen(pass.model->logits(pass.model->hidden(device.input)), device.targets);
  return difference_loss(batch, pass, shape, values, returns);
}

Loss difference_loss(const Batch& batch, const ObjectivePass& pass, const DifferenceShape& shape,
                     const Tensor& values, const Tensor& returns) {
  const std::int64_t places = batch.rows * batch.length;
  const Tensor difference = subtract(returns, values);
  std::vector<double> halves = place_weights(batch);
  for (double& weight : halves) weight *= 0.5;
  const Tensor half_weights = wide(*pass.parameters, {places}, halves);
  double total = 0;
  for (const float weight : batch.weights) total += static_cast<double>(weight);

  Loss loss{sum(multiply(half_weights, twice(difference, shape))), total};
  Metric error{"td_error", 0, total};
  Metric value{"action_value", 0, total};
  const std::vector<double> differences = difference.values();
  const std::vector<double> known = values.values();
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    double sum = 0;
    double weight = 0;
    for (std::int64_t n = row * batch.length; n < (row + 1) * batch.length; ++n) {
      const auto place = static_cast<std::size_t>(n);
      const auto own = static_cast<double>(batch.weights[place]);
      sum += own * std::abs(differences[place]);
      weight += own;
      value.sum += own * known[place];
    }
    error.sum += sum;
    loss.priorities.push_back(static_cast<float>(weight > 0 ? sum / weight : 0));
  }
  loss.metrics = {error, value};
  return loss;
}

}  // namespace lathe
