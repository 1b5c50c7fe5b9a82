// Optimizer steps and passes over flat buffers.
#include <limits>

#include "kernels/optimizer.h"

#include "kernels/elementwise.h"
#include "onednn.h"

namespace lathe {
namespace {
kernels::StepBuffers buffers_of(const OptimizerArguments& a) {
  kernels::StepBuffers buffers;
  buffers.count = static_cast<std::size_t>(a.parameter.count());
  buffers.parameter = a.parameter.as<float>();
  buffers.gradient = a.gradient.as<float>();
  buffers.shadow = a.shadow ? a.shadow.as<bf16>() : nullptr;
  buffers.gradient_scale = static_cast<float>(a.gradient_scale);
  return buffers;
}

float* floats(const View& view) { return view ? view.as<float>() : nullptr; }
}  // namespace

void OnednnBackend::adamw(const OptimizerArguments& a) {
  kernels::adamw({.buffers = buffers_of(a),
                  .first = floats(a.first),
                  .second = floats(a.second),
                  .rate = a.rate,
                  .beta1 = a.beta1,
                  .beta2 = a.beta2,
                  .epsilon = a.epsilon,
                  .decay = a.weight_decay,
                  .step = a.step});
}

void OnednnBackend::sgd(const OptimizerArguments& a) {
  if (a.step == 1 && a.first) fill(a.first, 0);  // what it held before is not read
  kernels::sgd({.buffers = buffers_of(a),
                .velocity = floats(a.first),
                .rate = a.rate,
                .momentum = a.beta1,
                .decay = a.weight_decay,
                .nesterov = a.nesterov});
}

void OnednnBackend::lion(const OptimizerArguments& a) {
  kernels::lion({.buffers = buffers_of(a),
                 .first = floats(a.first),
                 .rate = a.rate,
                 .beta1 = a.beta1,
                 .beta2 = a.beta2,
                 .decay = a.weight_decay});
}

double OnednnBackend::sum_of_squares(const View& x) {
  if (x.dtype != DType::f32 || !x.is_dense()) return Backend::sum_of_squares(x);
  const kernels::SquareSum result =
      kernels::sum_of_squares(x.as<float>(), static_cast<std::size_t>(x.count()));
  return result.finite ? result.sum : std::numeric_limits<double>::quiet_NaN();
}

// to += amount (from - to)
void OnednnBackend::interpolate(const View& from, double amount, const View& to) {
  if (from.dtype != DType::f32 || to.dtype != DType::f32 || !from.is_dense() || !to.is_dense()) {
    return Backend::interpolate(from, amount, to);
  }
  kernels::moving_average({.count = static_cast<std::size_t>(to.count()),
                           .average = to.as<float>(),
                           .parameter = from.as<float>(),
                           .keep = 1 - amount});
}

}  // namespace lathe
