// Activation functions and their derivatives, in double.
#pragma once

#include <lathe/tensor/backend.h>

#include <cmath>
#include <numbers>

namespace lathe::reference {

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// Standard normal distribution function and density.
inline double normal_below(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }
inline double normal_density(double x) {
  return std::exp(-0.5 * x * x) / std::sqrt(2 * std::numbers::pi);
}

// 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) (Hendrycks and Gimpel, 2016)
inline double gelu_tanh(double x) {
  const double inner = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1 + std::tanh(inner));
}
inline double gelu_tanh_slope(double x) {
  const double scale = std::sqrt(2 / std::numbers::pi);
  const double t = std::tanh(scale * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * scale * (1 + 3 * 0.044715 * x * x);
}

inline double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::gelu_tanh:
      return gelu_tanh(x);
    case Activation::gelu_erf:
      return x * normal_below(x);
    case Activation::relu:
      return x <= 0 ? 0 : x;
    case Activation::silu:
      return x * sigmoid(x);
  }
  return x;
}

// d activate / dx; 0 at the kink of relu.
inline double slope(Activation activation, double x) {
  switch (activation) {
    case Activation::none:
      return 1;
    case Activation::gelu_tanh:
      return gelu_tanh_slope(x);
    case Activation::gelu_erf:
      return normal_below(x) + x * normal_density(x);
    case Activation::relu:
      return x > 0 ? 1 : 0;
    case Activation::silu:
      return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
  }
  return 1;
}

}  // namespace lathe::reference
