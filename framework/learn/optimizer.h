// Optimizers and learning-rate schedules.
#pragma once

#include <lathe/config/keys.h>
#include <lathe/tensor/tensor.h>

#include <cstdint>

namespace lathe {

// One update of a flat window in which every parameter has the same decay.
struct OptimizerStep {
  Tensor parameter, gradient, first, second, shadow;  // [P]; moments as many as moments() says
  double gradient_scale = 1;  // multiplies the gradient: 1 / weight, and clipping
  double rate_factor = 1;     // from the schedule; multiplies the optimizer's rate
  bool decay = false;
  std::int64_t step = 1;  // from 1
};

class Optimizer {
 public:
  static constexpr const char* kind = "optimizer";
  static constexpr int interface_version = 1;

  virtual ~Optimizer();
  virtual int moments() const = 0;  // 0, 1 or 2 buffers of the parameters' size
  virtual double rate() const = 0;  // the peak learning rate
  virtual void step(Backend& backend, const OptimizerStep& step) const = 0;
};

class Schedule {
 public:
  static constexpr const char* kind = "schedule";
  static constexpr int interface_version = 1;

  virtual ~Schedule();
  // What the learning rate is multiplied by at step 0 ... total - 1.
  virtual double factor(std::int64_t step, std::int64_t total) const = 0;
};

}  // namespace lathe
