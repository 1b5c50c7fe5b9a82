// The activations that kernels know, on their own and in the epilogue of a matrix product.
#pragma once

#include <cstdint>

namespace lathe::kernels {

// gelu_tanh(x) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), gelu_erf(x) = x/2 (1 +
// erf(x/sqrt2)), silu(x) = x / (1 + exp(-x)).
enum class Activation : std::uint8_t { none, gelu_tanh, gelu_erf, relu, silu };

}  // namespace lathe::kernels
