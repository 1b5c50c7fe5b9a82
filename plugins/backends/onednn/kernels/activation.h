// Activations on their own, forward and backward, and SwiGLU.
#pragma once

#include <lathe/tensor/dtype.h>

#include <cstddef>

#include "activation_kind.h"

namespace lathe::kernels {

// y = act(pre), over [rows, width] without gaps. y may be pre.
struct ActivationForward {
  DType dtype = DType::f32;
  Activation kind = Activation::none;
  std::size_t rows = 0;
  std::size_t width = 0;
  const void* pre = nullptr;
  void* y = nullptr;
};

// dpre = dy act'(pre); dbias += the sum of dpre (before rounding) over the rows, in blocks of 64
// rows whose sums are added in order. dpre may be dy or pre.
struct ActivationBackward {
  DType dtype = DType::f32;
  Activation kind = Activation::none;
  std::size_t rows = 0;
  std::size_t width = 0;
  const void* pre = nullptr;
  const void* dy = nullptr;
  void* dpre = nullptr;
  float* dbias = nullptr;  // [width], optional, added to
};

// y = silu(a) b with [a, b] = the halves of a row of pre: pre is [rows, 2 width], y [rows, width].
// Shazeer, arXiv:2002.05202.
struct SwigluForward {
  DType dtype = DType::f32;
  std::size_t rows = 0;
  std::size_t width = 0;
  const void* pre = nullptr;
  void* y = nullptr;
};

// da = dy b silu'(a), db = dy silu(a). dpre may be pre.
struct SwigluBackward {
  DType dtype = DType::f32;
  std::size_t rows = 0;
  std::size_t width = 0;
  const void* pre = nullptr;
  const void* dy = nullptr;
  void* dpre = nullptr;
};

void activation_forward(const ActivationForward& arguments);
void activation_backward(const ActivationBackward& arguments);
void swiglu_forward(const SwigluForward& arguments);
void swiglu_backward(const SwigluBackward& arguments);

}  // namespace lathe::kernels
