// Rotary position embedding in Hugging Face's layout (the halves of a head rotate against each
// other).
#pragma once

#include <lathe/tensor/dtype.h>

#include <cstddef>
#include <cstdint>

namespace lathe::kernels {

// With angle_i = position base^(-2i / rotated), h = rotated / 2, for i in [0, h):
//   y_i     = x_i     cos(angle_i) - x_{i+h} sin(angle_i)
//   y_{i+h} = x_{i+h} cos(angle_i) + x_i     sin(angle_i)
// Columns [rotated, D) are copied. `inverse` rotates back: the gradient of x from that of y. x and
// y are [N, H, D] with strides in elements; y may be x with the same strides. Cosines and sines are
// computed in double, once for each (base, rotated). Su et al., arXiv:2104.09864, equation 34.
struct Rotary {
  DType dtype = DType::f32;
  std::size_t rows = 0;     // N
  std::size_t heads = 0;    // H
  std::size_t width = 0;    // D
  std::size_t rotated = 0;  // even, at most D; 0: D
  double base = 10000;
  bool inverse = false;
  const std::int32_t* position = nullptr;  // [N], not negative
  const void* x = nullptr;
  std::size_t x_row_stride = 0;
  std::size_t x_head_stride = 0;
  void* y = nullptr;
  std::size_t y_row_stride = 0;
  std::size_t y_head_stride = 0;
};

// Throws Error for an odd or too wide `rotated`, a base that is not positive, a negative position.
void rotary(const Rotary& arguments);

}  // namespace lathe::kernels
