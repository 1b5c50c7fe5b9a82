// Layer norm and RMS norm with a fused residual addition, forward and backward.
#pragma once

#include <lathe/tensor/dtype.h>

#include <cstddef>

namespace lathe::kernels {

// Row by row, over [rows, width] tensors of `dtype` without gaps:
//   sum = x + residual (rounded to dtype; when residual is given, otherwise sum = x)
//   layer norm: y = (sum - mean) rstd weight + bias, rstd = 1 / sqrt(variance + epsilon)
//   RMS norm:   y = sum rstd weight + bias,          rstd = 1 / sqrt(mean of squares + epsilon)
// Ba, Kiros and Hinton, arXiv:1607.06450; Zhang and Sennrich, arXiv:1910.07467.
struct NormForward {
  DType dtype = DType::f32;
  std::size_t rows = 0;
  std::size_t width = 0;
  bool rms = false;
  float epsilon = 1e-5f;
  const void* x = nullptr;
  const void* residual = nullptr;  // optional
  void* sum = nullptr;             // needed with residual; may be x or residual
  const float* weight = nullptr;   // [width], optional: 1
  const float* bias = nullptr;     // [width], optional: 0
  void* y = nullptr;
  float* mean = nullptr;  // [rows], optional; not written by RMS norm
  float* rstd = nullptr;  // [rows], optional
};

// With g = dy weight and h = (sum - mean) rstd (RMS: sum rstd):
//   layer norm: dx = rstd (g - mean(g) - h mean(g h)),  RMS norm: dx = rstd (g - h mean(g h))
// to which the gradient that reaches `sum` from elsewhere is added. dweight += sum over rows of dy
// h and dbias += sum over rows of dy, in blocks of 64 rows whose sums are added in order.
struct NormBackward {
  DType dtype = DType::f32;
  std::size_t rows = 0;
  std::size_t width = 0;
  bool rms = false;
  const void* dy = nullptr;
  const void* sum = nullptr;      // what was normalised
  const float* weight = nullptr;  // optional
  const float* mean = nullptr;    // not read by RMS norm
  const float* rstd = nullptr;
  const void* dsum = nullptr;  // gradient of sum from elsewhere, optional; may be dx
  void* dx = nullptr;          // optional: parameters only; may be dy
  bool add = false;            // dx += instead of dx =
  float* dweight = nullptr;    // [width], optional, added to
  float* dbias = nullptr;      // [width], optional, added to
};

void norm_forward(const NormForward& arguments);
void norm_backward(const NormBackward& arguments);

}  // namespace lathe::kernels
