// The coefficients of a step, computed once in double and rounded once.
#pragma once

#include "optimizer.h"

namespace lathe::kernels {

struct AdamWTask {
  StepBuffers buffers;
  float* first;
  float* second;
  float one_minus_beta1;
  float beta2;
  float one_minus_beta2;
  float shrink;        // 1 - rate decay
  float step_size;     // rate / (1 - beta1^step)
  float second_scale;  // 1 / sqrt(1 - beta2^step)
  float epsilon;
};

struct SgdTask {
  StepBuffers buffers;
  float* velocity;
  float rate;
  float momentum;
  float decay;
  bool nesterov;
};

struct LionTask {
  StepBuffers buffers;
  float* first;
  float rate;
  float beta1;
  float one_minus_beta1;
  float beta2;
  float one_minus_beta2;
  float shrink;
};

struct MovingAverageTask {
  std::size_t count;
  float* average;
  const float* parameter;
  float part;  // 1 - keep
};

}  // namespace lathe::kernels
