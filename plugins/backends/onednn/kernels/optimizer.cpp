#include "optimizer.h"

#include <lathe/base/error.h>

#include <cmath>

#include "dispatch.h"
#include "optimizer_kernel.h"

namespace lathe::kernels {

LATHE_DECLARE_KERNEL(adamw, AdamWTask)
LATHE_DECLARE_KERNEL(sgd, SgdTask)
LATHE_DECLARE_KERNEL(lion, LionTask)
LATHE_DECLARE_KERNEL(moving_average, MovingAverageTask)

void adamw(const AdamW& a) {
  if (a.step < 1) fail("AdamW: step ", a.step, "; steps count from 1");
  const double step = static_cast<double>(a.step);
  const AdamWTask task{
      .buffers = a.buffers,
      .first = a.first,
      .second = a.second,
      .one_minus_beta1 = static_cast<float>(1 - a.beta1),
      .beta2 = static_cast<float>(a.beta2),
      .one_minus_beta2 = static_cast<float>(1 - a.beta2),
      .shrink = static_cast<float>(1 - a.rate * a.decay),
      .step_size = static_cast<float>(a.rate / (1 - std::pow(a.beta1, step))),
      .second_scale = static_cast<float>(1 / std::sqrt(1 - std::pow(a.beta2, step))),
      .epsilon = static_cast<float>(a.epsilon),
  };
  LATHE_CALL_KERNEL(adamw, task)
}

void sgd(const Sgd& a) {
  if (a.momentum != 0 && a.velocity == nullptr) fail("SGD: momentum needs a velocity buffer");
  if (a.momentum == 0 && a.nesterov) fail("SGD: nesterov needs momentum above 0");
  const SgdTask task{
      .buffers = a.buffers,
      .velocity = a.momentum != 0 ? a.velocity : nullptr,
      .rate = static_cast<float>(a.rate),
      .momentum = static_cast<float>(a.momentum),
      .decay = static_cast<float>(a.decay),
      .nesterov = a.nesterov,
  };
  LATHE_CALL_KERNEL(sgd, task)
}

void lion(const Lion& a) {
  const LionTask task{
      .buffers = a.buffers,
      .first = a.first,
      .rate = static_cast<float>(a.rate),
      .beta1 = static_cast<float>(a.beta1),
      .one_minus_beta1 = static_cast<float>(1 - a.beta1),
      .beta2 = static_cast<float>(a.beta2),
      .one_minus_beta2 = static_cast<float>(1 - a.beta2),
      .shrink = static_cast<float>(1 - a.rate * a.decay),
  };
  LATHE_CALL_KERNEL(lion, task)
}

void moving_average(const MovingAverage& a) {
  const MovingAverageTask task{a.count, a.average, a.parameter, static_cast<float>(1 - a.keep)};
  LATHE_CALL_KERNEL(moving_average, task)
}

}  // namespace lathe::kernels
