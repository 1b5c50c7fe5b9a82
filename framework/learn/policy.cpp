#include <lathe/learn/policy.h>

#include <lathe/base/error.h>

#include <cmath>

namespace lathe {
namespace {
std::size_t index(std::int64_t value) { return static_cast<std::size_t>(value); }

ModelInput input_of(const Batch& batch, const ObjectivePass& pass) {
  ModelInput input = DeviceBatch(batch, *pass.parameters).input;
  input.pass = {};
  return input;
}

// Mean and biased variance over places with weight.
struct Moments {
  double mean = 0;
  double variance = 0;
  double count = 0;
};
Moments moments_of(std::span<const double> values, std::span<const float> weights) {
  Moments moments;
  for (std::size_t n = 0; n < values.size(); ++n) {
    if (weights[n] == 0) continue;
    moments.mean += values[n];
    moments.count += 1;
  }
  if (moments.count == 0) return moments;
  moments.mean /= moments.count;
  for (std::size_t n = 0; n < values.size(); ++n) {
    if (weights[n] == 0) continue;
    const double difference = values[n] - moments.mean;
    moments.variance += difference * difference;
  }
  moments.variance /= moments.count;
  return moments;
}
}  // namespace

Tensor places_tensor(const ObjectivePass& pass, const std::vector<float>& values) {
  const auto& backend = pass.parameters->backend();
  const auto count = static_cast<std::int64_t>(values.size());
  if (pass.parameters->precision() != Precision::f64) {
    return Tensor::of<float>(backend, {count}, values);
  }
  const std::vector<double> exact(values.begin(), values.end());
  return Tensor::of<double>(backend, {count}, exact);
}

Tensor places_tensor(const ObjectivePass& pass, const std::vector<double>& values) {
  const auto count = static_cast<std::int64_t>(values.size());
  if (pass.parameters->precision() == Precision::f64) {
    return Tensor::of<double>(pass.parameters->backend(), {count}, values);
  }
  return Tensor::of<float>(pass.parameters->backend(), {count},
                           std::vector<float>(values.begin(), values.end()));
}

PolicyPass policy_pass(const Batch& batch, const ObjectivePass& pass, double temperature,
                       bool values) {
  const DeviceBatch device(batch, *pass.parameters);
  ModelInput input = device.input;
  input.pass = {};
  const Model& model = *pass.model;
  const Tensor hidden = model.hidden(input);
  PolicyPass result;
  HeadTokens scores;
  if (batch.experience.moves.empty()) {
    scores = model.score(hidden, device.targets, temperature);
  } else {
    const std::int64_t places = batch.rows * batch.length;
    const auto width = static_cast<std::int64_t>(batch.experience.moves.size()) / places;
    const Tensor moves = places_tensor(pass, batch.experience.moves);
    scores = model.score_moves(hidden, moves.reshape({places, width}));
  }
  result.log_probability = scores.log_probability;
  result.entropy = scores.entropy;
  if (values) result.values = model.values(input, hidden);
  return result;
}

std::vector<double> open_values(const Batch& batch, const ObjectivePass& pass) {
  const Experience& lived = batch.experience;
  const auto count = static_cast<std::int64_t>(lived.open_places.size());
  if (count == 0) return {};
  Batch seen;
  seen.rows = count;
  seen.length = 1;
  seen.experience.width = lived.width;
  seen.experience.observations = lived.open_observations;
  seen.tokens = lived.open_states;
  seen.weights.assign(index(count), 1.0F);
  const NoGradient silent;
  const ModelInput input = input_of(seen, pass);
  return pass.model->values(input, pass.model->hidden(input)).values();
}

void generalised_advantages(Batch& batch, std::span<const double> after, double lambda,
                            std::span<const double> rewards) {
  Experience& lived = batch.experience;
  const std::size_t count = index(batch.rows * batch.length);
  if (lived.values.size() != count || after.size() != lived.open_places.size()) {
    fail("advantages need a value for each of ", count, " places and for each of ",
         lived.open_places.size(), " open ends; there are ", lived.values.size(), " and ",
         after.size());
  }
  lived.advantages.assign(count, 0.0);
  lived.returns.assign(count, 0.0F);
  auto open = static_cast<std::ptrdiff_t>(after.size()) - 1;
  for (std::int64_t row = batch.rows - 1; row >= 0; --row) {
    double next_value = 0;  // of the place to the right
    double running = 0;     // its advantage
    for (std::int64_t t = batch.length - 1; t >= 0; --t) {
      const std::size_t n = index(row * batch.length + t);
      const double value = lived.values[n];
      const bool is_open = open >= 0 && index(lived.open_places[index(open)]) == n;
      if (is_open) next_value = after[index(open--)];
      if (is_open || lived.terminated[n] != 0 || lived.truncated[n] != 0) running = 0;
      if (batch.weights[n] != 0) {
        const auto discount = static_cast<double>(lived.discounts[n]);
        const double reward = rewards.empty() ? static_cast<double>(lived.rewards[n]) : rewards[n];
        const double delta = reward + discount * next_value - value;
        running = delta + discount * lambda * running;
        lived.advantages[n] = running;
        lived.returns[n] = static_cast<float>(running + value);
      }
      next_value = value;
    }
  }
}

void whiten(std::vector<double>& values, std::span<const float> weights, bool shift) {
  const Moments moments = moments_of(values, weights);
  if (moments.count == 0) return;
  const double factor = 1 / std::sqrt(moments.variance + 1e-8);
  for (std::size_t n = 0; n < values.size(); ++n) {
    if (weights[n] == 0) continue;
    const double centred = (values[n] - moments.mean) * factor;
    values[n] = shift ? centred : centred + moments.mean;
  }
}

std::vector<double> log_probabilities_under(const ModelCopy& other, const Batch& batch,
                                            const ObjectivePass& pass, double temperature) {
  ObjectivePass theirs = pass;
  theirs.model = other.model.get();
  theirs.parameters = &other.parameters;
  const NoGradient silent;
  return policy_pass(batch, theirs, temperature, false).log_probability.values();
}

Tensor kl_estimate(const Tensor& log_probability, const Tensor& reference,
                   const std::string& estimator) {
  const Tensor d = subtract(reference, log_probability);
  if (estimator == "k1") return negate(d);
  if (estimator == "k2") return scale(square(d), 0.5);
  return subtract(shift(exp(d), -1), d);
}

void demand_same_beginning(double kl, std::string_view objective) {
  if (kl == 0) return;
  fail("objective '", objective, "': before the first update the KL from the reference is ", kl,
       " and not exactly 0, so the reference is not the model that the run began with");
}

std::vector<float> pair_weights(const Batch& batch) {
  std::vector<float> counted(index(batch.rows / 2));
  for (std::size_t n = 0; n < batch.weights.size(); ++n) {
    if (batch.weights[n] != 0) counted[n / index(2 * batch.length)] = 1;
  }
  return counted;
}

double explained_variance(const Batch& batch) {
  const Experience& lived = batch.experience;
  const std::vector<double> returns(lived.returns.begin(), lived.returns.end());
  std::vector<double> left(returns.size());
  for (std::size_t n = 0; n < left.size(); ++n) left[n] = returns[n] - lived.values[n];
  const double whole = moments_of(returns, batch.weights).variance;
  return whole > 0 ? 1 - moments_of(left, batch.weights).variance / whole : 0;
}

}  // namespace lathe
