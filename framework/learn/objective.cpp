#include <lathe/learn/objective.h>

namespace lathe {

Objective::~Objective() = default;
bool Objective::wants_values() const { return false; }
void Objective::open(const ObjectiveContext&) {}
ActingRule Objective::acting(std::int64_t) const { return {}; }
ActingRule Objective::playing() const { return {.kind = ActingRule::Kind::greedy}; }
double Objective::discount() const { return 1; }
void Objective::save(State&) const {}
void Objective::load(const State&) {}

void Objective::prepare(Batch&, const ObjectivePass&) {}

Loss Objective::evaluate(const Batch& batch, const ObjectivePass& pass) {
  if (!batch.experience.rewards.empty()) return {};
  return loss(batch, pass);
}

namespace {
// In the dtype of statistics.
Tensor wide(const Parameters& parameters, const Shape& shape, const std::vector<float>& values) {
  if (parameters.precision() != Precision::f64) {
    return Tensor::of<float>(parameters.backend(), shape, values);
  }
  const std::vector<double> exact(values.begin(), values.end());
  return Tensor::of<double>(parameters.backend(), shape, exact);
}
}  // namespace

DeviceBatch::DeviceBatch(const Batch& batch, const Parameters& parameters) {
  const auto& backend = parameters.backend();
  const std::int64_t places = batch.rows * batch.length;
  const std::int64_t width = batch.experience.width;
  input.places.rows = batch.rows;
  input.places.length = batch.length;
  if (width > 0) {
    input.observations = wide(parameters, {places, width}, batch.experience.observations);
  } else {
    input.tokens = Tensor::of<std::int32_t>(backend, {places}, batch.tokens);
  }
  if (!batch.positions.empty()) {
    input.places.positions = Tensor::of<std::int32_t>(backend, {places}, batch.positions);
  }
  if (!batch.segments.empty()) {
    input.places.segments =
        Tensor::of<std::int32_t>(backend, {batch.rows, batch.length}, batch.segments);
  }
  if (!batch.targets.empty()) {
    targets = Tensor::of<std::int32_t>(backend, {places}, batch.targets);
  }
  for (const float value : batch.weights) weight += static_cast<double>(value);
  weights = wide(parameters, {places}, batch.weights);
}

}  // namespace lathe
