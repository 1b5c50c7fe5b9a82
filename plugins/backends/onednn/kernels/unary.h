// Elementary functions element by element, within 3 units in the last place in f32.
#pragma once

#include <lathe/tensor/dtype.h>

#include <cstddef>
#include <cstdint>

namespace lathe::kernels {

enum class Unary : std::uint8_t { exp, log, tanh, erf, sigmoid, sqrt };

// y = f(x); y may be x.
struct UnaryForward {
  DType dtype = DType::f32;
  Unary function = Unary::exp;
  std::size_t count = 0;
  const void* x = nullptr;
  void* y = nullptr;
};

void unary(const UnaryForward& arguments);

}  // namespace lathe::kernels
