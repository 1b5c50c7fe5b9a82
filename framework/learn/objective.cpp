#include <lathe/learn/objective.h>

namespace lathe {

Model::~Model() = default;
Objective::~Objective() = default;

void Objective::prepare(Batch&, const ObjectivePass&) {}

Loss Objective::evaluate(const Batch& batch, const ObjectivePass& pass) {
  return loss(batch, pass);
}

DeviceBatch::DeviceBatch(const Batch& batch, const Parameters& parameters) {
  const auto& backend = parameters.backend();
  const std::int64_t places = batch.rows * batch.length;
  input.tokens = Tensor::of<std::int32_t>(backend, {places}, batch.tokens);
  input.places.rows = batch.rows;
  input.places.length = batch.length;
  input.places.positions = Tensor::of<std::int32_t>(backend, {places}, batch.positions);
  if (!batch.segments.empty()) {
    input.places.segments =
        Tensor::of<std::int32_t>(backend, {batch.rows, batch.length}, batch.segments);
  }
  targets = Tensor::of<std::int32_t>(backend, {places}, batch.targets);
  for (const float value : batch.weights) weight += static_cast<double>(value);
  if (parameters.precision() == Precision::f64) {
    const std::vector<double> exact(batch.weights.begin(), batch.weights.end());
    weights = Tensor::of<double>(backend, {places}, exact);
  } else {
    weights = Tensor::of<float>(backend, {places}, batch.weights);
  }
}

}  // namespace lathe
