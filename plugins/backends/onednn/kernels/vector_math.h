// Elementary functions and activations of sixteen f32 lanes; included by vector.h.
//
// exp, log, tanh, erf and sigmoid are within 3 units in the last place (tests/kernels/vector_test).
// The polynomials are weighted minimax fits on the reduced ranges named beside them.
#pragma once

#include "activation_kind.h"
#include "vector.h"

namespace lathe::kernels::LATHE_ISA {

// c0 + c1 x + ... by Horner's rule; recursive, since a loop over an array is not always unrolled.
template <class... Rest>
static inline __attribute__((always_inline)) vfloat polynomial(vfloat x, float c0, Rest... rest) {
  if constexpr (sizeof...(rest) == 0) {
    return broadcast(c0);
  } else {
    return fma(polynomial(x, rest...), x, broadcast(c0));
  }
}

// x 2^n for n in [-150, 128] (whole numbers), with one rounding where the result is subnormal.
LATHE_INLINE vfloat scale_by_power(vfloat x, vfloat n) {
#ifdef __AVX512F__
  return {_mm512_scalef_ps(x.all, n.all)};
#else
  const vint whole = to_int(n);
  const vint part = shift_right<1>(whole);
  const vint bias = broadcast_int(127);
  const vfloat first = as_float(shift_left<23>(part + bias));
  const vfloat second = as_float(shift_left<23>(whole - part + bias));
  return x * first * second;
#endif
}

// Overflows to infinity, underflows through the subnormal numbers to zero, keeps NaN.
LATHE_INLINE vfloat exp(vfloat x) {
  x = min(broadcast(89.0f), max(broadcast(-104.0f), x));
  const vfloat n = round(x * broadcast(1.44269504f));
  vfloat r = fma(n, broadcast(-0.693147182f), x);  // ln 2 in two parts
  r = fma(n, broadcast(1.90465430e-9f), r);
  // (e^r - 1 - r) / r^2 on |r| <= ln(2) / 2
  const vfloat tail =
      polynomial(r, 0.5f, 0.166665182f, 0.041666206f, 0.00836888794f, 0.00139504857f);
  return scale_by_power(fma(r * r, tail, r) + broadcast(1.0f), n);
}

// log 0 = -infinity; NaN below zero.
LATHE_INLINE vfloat log(vfloat x) {
  const vfloat zero = broadcast(0.0f);
  const vmask tiny = less(x, broadcast(1.17549435e-38f));
  const vfloat scaled = select(tiny, x * broadcast(8388608.0f), x);
  // x = m 2^e with m in [sqrt(1/2), sqrt(2))
  const vint exponent = shift_right<23>(as_int(scaled) - broadcast_int(0x3f3504f3));
  const vfloat m = as_float(as_int(scaled) - shift_left<23>(exponent));
  const vfloat e = to_float(exponent) - select(tiny, broadcast(23.0f), zero);
  const vfloat f = m - broadcast(1.0f);
  const vfloat square = f * f;
  // (log(1 + f) - f + f^2/2) / f^3
  vfloat y = polynomial(f, 0.333333105f, -0.249999866f, 0.200022265f, -0.16669251f, 0.142186582f,
                        -0.123843484f, 0.118729763f, -0.117898077f, 0.0691536814f);
  y = y * square * f;
  y = fma(e, broadcast(-1.90465430e-9f), y);
  y = fma(square, broadcast(-0.5f), y) + f;
  y = fma(e, broadcast(0.693147182f), y);
  const vfloat infinity = broadcast(__builtin_inff());
  y = select(less(x, zero), broadcast(__builtin_nanf("")), y);
  y = select(equal(x, zero), -infinity, y);
  y = select(equal(x, infinity), infinity, y);
  return select(is_nan(x), x, y);
}

LATHE_INLINE vfloat with_sign_of(vfloat magnitude, vfloat sign) {
  const vint top = as_int(broadcast(-0.0f));
  return as_float(as_int(magnitude) | (as_int(sign) & top));
}

LATHE_INLINE vfloat tanh(vfloat x) {
  const vfloat size = abs(x);
  const vfloat square = x * x;
  // (tanh(x)/x - 1) / x^2 in x^2 up to 0.4
  const vfloat near = polynomial(square, -0.333333313f, 0.133331954f, -0.0539453775f, 0.0216926057f,
                                 -0.00815627631f, 0.00212274259f);
  const vfloat one = broadcast(1.0f);
  const vfloat far = one - broadcast(2.0f) / (exp(size + size) + one);
  return select(less(size, broadcast(0.625f)), fma(near * square, x, x), with_sign_of(far, x));
}

LATHE_INLINE vfloat erf(vfloat x) {
  const vfloat size = abs(x);
  const vfloat square = x * x;
  // erf(x)/x - 1 in x^2 up to 1
  const vfloat near = polynomial(square, 0.128379167f, -0.37612626f, 0.112836003f, -0.0268544443f,
                                 0.00518953521f, -0.000802084105f, 7.8891193e-05f);
  // -log(1 - erf(x)) on [1, 4]; above, erf rounds to 1.
  const vfloat capped = min(broadcast(4.0f), size);
  const vfloat exponent =
      polynomial(capped, -0.000204347263f, 1.12966108f, 0.633039773f, 0.108638808f, -0.0253734048f,
                 0.00428230828f, -0.000463765609f, 2.53110265e-05f, -2.51053251e-07f);
  const vfloat far = broadcast(1.0f) - exp(-exponent);
  return select(less(size, broadcast(1.0f)), fma(near, x, x), with_sign_of(far, x));
}

// 1 / (1 + exp(-x))
LATHE_INLINE vfloat sigmoid(vfloat x) {
  const vfloat one = broadcast(1.0f);
  return one / (one + exp(-x));
}

// x sigmoid(x) and its derivative s + x s (1 - s).
LATHE_INLINE vfloat silu(vfloat x) { return x / (broadcast(1.0f) + exp(-x)); }
LATHE_INLINE vfloat silu_derivative(vfloat x) {
  const vfloat s = sigmoid(x);
  return fma(x * s, broadcast(1.0f) - s, s);
}

// x/2 (1 + tanh u) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3); the second form needs one
// exponential and no cancellation. Hendrycks and Gimpel, arXiv:1606.08415.
LATHE_INLINE vfloat gelu_tanh_twice_u(vfloat x, vfloat square) {
  constexpr float twice = 1.5957691216f;  // 2 sqrt(2/pi)
  return x * fma(square, broadcast(twice * 0.044715f), broadcast(twice));
}
LATHE_INLINE vfloat gelu_tanh(vfloat x) {
  return x / (broadcast(1.0f) + exp(-gelu_tanh_twice_u(x, x * x)));
}
LATHE_INLINE vfloat gelu_tanh_derivative(vfloat x) {
  constexpr float twice = 1.5957691216f;
  const vfloat square = x * x;
  const vfloat s = sigmoid(gelu_tanh_twice_u(x, square));
  const vfloat slope = fma(square, broadcast(3.0f * twice * 0.044715f), broadcast(twice));
  return fma(x * s * (broadcast(1.0f) - s), slope, s);
}

// x/2 (1 + erf(x/sqrt 2)); derivative Phi(x) + x phi(x).
LATHE_INLINE vfloat gelu_erf(vfloat x) {
  const vfloat half = broadcast(0.5f) * x;
  return fma(half, erf(x * broadcast(0.70710678f)), half);
}
LATHE_INLINE vfloat gelu_erf_derivative(vfloat x) {
  const vfloat half = broadcast(0.5f);
  const vfloat cumulative = fma(half, erf(x * broadcast(0.70710678f)), half);
  const vfloat density = broadcast(0.39894228f) * exp(-half * x * x);
  return fma(x, density, cumulative);
}

template <Activation kind>
static inline __attribute__((always_inline)) vfloat activate(vfloat x) {
  if constexpr (kind == Activation::gelu_tanh) return gelu_tanh(x);
  if constexpr (kind == Activation::gelu_erf) return gelu_erf(x);
  if constexpr (kind == Activation::relu) return max(broadcast(0.0f), x);  // keeps NaN
  if constexpr (kind == Activation::silu) return silu(x);
  return x;
}

template <Activation kind>
static inline __attribute__((always_inline)) vfloat activation_derivative(vfloat x) {
  const vfloat one = broadcast(1.0f);
  if constexpr (kind == Activation::gelu_tanh) return gelu_tanh_derivative(x);
  if constexpr (kind == Activation::gelu_erf) return gelu_erf_derivative(x);
  if constexpr (kind == Activation::relu) {
    return select(less(broadcast(0.0f), x), one, broadcast(0.0f));
  }
  if constexpr (kind == Activation::silu) return silu_derivative(x);
  return one;
}

}  // namespace lathe::kernels::LATHE_ISA
