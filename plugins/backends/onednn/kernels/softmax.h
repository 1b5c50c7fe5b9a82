// Softmax and log-softmax of rows, forward and backward.
#pragma once

#include <lathe/tensor/dtype.h>

#include <cstddef>

namespace lathe::kernels {

// y = exp(x - lse), or with `log` y = x - lse, lse = log sum exp of the row. Strides count elements
// from row to row. y may be x.
struct SoftmaxForward {
  DType dtype = DType::f32;
  bool log = false;
  std::size_t rows = 0;
  std::size_t width = 0;
  std::size_t x_stride = 0;
  std::size_t y_stride = 0;
  const void* x = nullptr;
  void* y = nullptr;
};

// From the output y: dx = y (dy - sum(dy y)), or with `log` dx = dy - exp(y) sum(dy). All without
// gaps between rows. dx may be dy.
struct SoftmaxBackward {
  DType dtype = DType::f32;
  bool log = false;
  std::size_t rows = 0;
  std::size_t width = 0;
  const void* y = nullptr;
  const void* dy = nullptr;
  void* dx = nullptr;
};

void softmax_forward(const SoftmaxForward& arguments);
void softmax_backward(const SoftmaxBackward& arguments);

}  // namespace lathe::kernels
