// Optimizer steps over flat f32 buffers: one pass that reads the gradient, updates the state and
// the parameter, and on request writes the bf16 copy and clears the gradient.
#pragma once

#include <lathe/tensor/dtype.h>

#include <cstddef>
#include <cstdint>

namespace lathe::kernels {

// What every step has; g = gradient_scale gradient below.
struct StepBuffers {
  std::size_t count = 0;
  float* parameter = nullptr;
  float* gradient = nullptr;
  bf16* shadow = nullptr;      // optional: the new parameter rounded to bf16
  float gradient_scale = 1;    // 1 / weight, times the clipping factor
  bool zero_gradient = false;  // leave the gradient cleared for the next step
};

// Loshchilov and Hutter, arXiv:1711.05101, as PyTorch's AdamW:
//   m += (1 - beta1) (g - m),  v = beta2 v + (1 - beta2) g^2,  p *= 1 - rate decay,
//   p -= rate / (1 - beta1^step) m / (sqrt(v / (1 - beta2^step)) + epsilon),  step from 1.
struct AdamW {
  StepBuffers buffers = {};
  float* first = nullptr;   // m
  float* second = nullptr;  // v
  double rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double decay = 0;
  std::int64_t step = 1;
};

// PyTorch's SGD: g += decay p;  b = momentum b + g;  p -= rate (nesterov ? g + momentum b : b).
struct Sgd {
  StepBuffers buffers = {};
  float* velocity = nullptr;  // b, zero at the start; null when momentum is 0
  double rate = 1e-2;
  double momentum = 0;
  double decay = 0;
  bool nesterov = false;
};

// Chen et al., arXiv:2302.06675, algorithm 2: p -= rate (sign(beta1 m + (1 - beta1) g) + decay p),
// m = beta2 m + (1 - beta2) g. sign(0) = 0.
struct Lion {
  StepBuffers buffers = {};
  float* first = nullptr;  // m
  double rate = 1e-4;
  double beta1 = 0.9;
  double beta2 = 0.99;
  double decay = 0;
};

// average += (1 - keep) (parameter - average)
struct MovingAverage {
  std::size_t count = 0;
  float* average = nullptr;
  const float* parameter = nullptr;
  double keep = 0.999;
};

// Throws Error when step < 1.
void adamw(const AdamW& arguments);
// Throws Error when momentum is set without velocity, or nesterov without momentum.
void sgd(const Sgd& arguments);
void lion(const Lion& arguments);
void moving_average(const MovingAverage& arguments);

}  // namespace lathe::kernels
