// Elementary functions of the ops, in f32: one number in, one number out.
#pragma once

#include <device/block.h>
#include <lathe/tensor/backend.h>

#include <cmath>

namespace lathe::cuda {

LATHE_DEVICE float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) (Hendrycks and Gimpel, 2016)
LATHE_DEVICE float gelu_tanh(float x) {
  const float inner = 0.7978845608f * (x + 0.044715f * x * x * x);
  return 0.5f * x * (1.0f + tanhf(inner));
}
LATHE_DEVICE float gelu_tanh_slope(float x) {
  const float t = tanhf(0.7978845608f * (x + 0.044715f * x * x * x));
  return 0.5f * (1.0f + t) +
         0.5f * x * (1.0f - t * t) * 0.7978845608f * (1.0f + 3.0f * 0.044715f * x * x);
}

// Standard normal distribution function; erfc keeps the left tail's digits.
LATHE_DEVICE float normal_below(float x) { return 0.5f * erfcf(-x * 0.7071067812f); }

LATHE_DEVICE float activate(Activation activation, float x) {
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
LATHE_DEVICE float slope(Activation activation, float x) {
  switch (activation) {
    case Activation::none:
      return 1;
    case Activation::gelu_tanh:
      return gelu_tanh_slope(x);
    case Activation::gelu_erf:
      return normal_below(x) + x * 0.3989422804f * expf(-0.5f * x * x);
    case Activation::relu:
      return x > 0 ? 1 : 0;
    case Activation::silu:
      return sigmoid(x) * (1.0f + x * (1.0f - sigmoid(x)));
  }
  return 1;
}

LATHE_DEVICE float apply(Unary op, float x) {
  switch (op) {
    case Unary::negate:
      return -x;
    case Unary::exp:
      return expf(x);
    case Unary::log:
      return logf(x);
    case Unary::sqrt:
      return sqrtf(x);
    case Unary::rsqrt:
      return 1.0f / sqrtf(x);
    case Unary::square:
      return x * x;
    case Unary::tanh:
      return tanhf(x);
    case Unary::sigmoid:
      return sigmoid(x);
    case Unary::relu:
      return activate(Activation::relu, x);
    case Unary::abs:
      return fabsf(x);
    case Unary::gelu_tanh:
      return gelu_tanh(x);
    case Unary::gelu_erf:
      return activate(Activation::gelu_erf, x);
    case Unary::silu:
      return activate(Activation::silu, x);
  }
  return x;
}

// A NaN on either side stays a NaN.
LATHE_DEVICE float larger(float a, float b) { return a > b || a != a ? a : b; }

LATHE_DEVICE float apply(Binary op, float a, float b) {
  switch (op) {
    case Binary::add:
      return a + b;
    case Binary::subtract:
      return a - b;
    case Binary::multiply:
      return a * b;
    case Binary::divide:
      return a / b;
    case Binary::maximum:
      return larger(a, b);
    case Binary::minimum:
      return a < b || a != a ? a : b;
    case Binary::power:
      return powf(a, b);
    case Binary::less:
      return a < b ? 1 : 0;
    case Binary::equal:
      return a == b ? 1 : 0;
  }
  return a;
}

}  // namespace lathe::cuda
