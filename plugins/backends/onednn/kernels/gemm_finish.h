// The end of a matrix product: sums plus bias, activation and residual, converted into C. Included
// by gemm_kernel.cpp alone, once per instruction set.
#pragma once

#include <cstdint>
#include <type_traits>

#include "gemm.h"
#include "loops.h"

namespace lathe::kernels::LATHE_ISA::matrix {

// Where a tile of sums ends up: rows x columns elements of C from (row, column) on.
struct Place {
  std::int64_t row, column;
  int rows, columns;
};

// The end of sixteen columns of C, or `count` of them, from (row, column) on. Bias and the last
// steps of a row differ from row to row only in where they lie.
template <Activation activation, class Result, class Count>
class Ending {
 public:
  __attribute__((always_inline))
  Ending(const Gemm& product, std::int64_t row, std::int64_t column, Count count)
      : c_(static_cast<Result*>(product.c) + row * product.c_row + column),
        before_(product.before == nullptr
                    ? nullptr
                    : static_cast<Result*>(product.before) + row * product.c_row + column),
        residual_(product.residual == nullptr ? nullptr
                                              : static_cast<const Result*>(product.residual) +
                                                    row * product.residual_row + column),
        c_row_(product.c_row),
        residual_row_(product.residual_row),
        biased_(product.bias != nullptr),
        bias_(biased_ ? load(product.bias + column, count) : broadcast(0.0f)),
        count_(count) {}

  // The sums of a row, counted from the first.
  __attribute__((always_inline)) void operator()(std::int64_t row, vfloat value) const {
    if (biased_) value = value + bias_;
    if (before_ != nullptr) store(before_ + row * c_row_, value, count_);
    if constexpr (activation != Activation::none) {
      if constexpr (sizeof(Result) == 2) value = widen(narrow(value));
      value = activate<activation>(value);
    }
    if (residual_ != nullptr) value = value + load(residual_ + row * residual_row_, count_);
    store(c_ + row * c_row_, value, count_);
  }

 private:
  Result* c_;
  Result* before_;
  const Result* residual_;
  std::int64_t c_row_, residual_row_;
  bool biased_;
  vfloat bias_;
  [[no_unique_address]] Count count_;
};

template <Activation activation, class Result>
static void finish_as(const Gemm& product, const Place& place, const float* sums,
                      std::int64_t sums_row) {
  each_vector(0, static_cast<std::size_t>(place.columns), [&](std::size_t j, auto count) {
    const Ending<activation, Result, decltype(count)> end(
        product, place.row, place.column + static_cast<std::int64_t>(j), count);
    for (int r = 0; r < place.rows; ++r) end(r, load(sums + r * sums_row + j, count));
  });
}

// Calls body with the activation as a constant.
template <class Body>
static inline void with_activation(Activation activation, const Body& body) {
  using std::integral_constant;
  switch (activation) {
    case Activation::none:
      return body(integral_constant<Activation, Activation::none>());
    case Activation::gelu_tanh:
      return body(integral_constant<Activation, Activation::gelu_tanh>());
    case Activation::gelu_erf:
      return body(integral_constant<Activation, Activation::gelu_erf>());
    case Activation::relu:
      return body(integral_constant<Activation, Activation::relu>());
    case Activation::silu:
      return body(integral_constant<Activation, Activation::silu>());
  }
}

static void finish(const Gemm& product, const Place& place, const float* sums,
                   std::int64_t sums_row) {
  with_activation(product.activation, [&](auto activation) {
    if (product.c_type == DType::bf16) {
      finish_as<activation.value, bf16>(product, place, sums, sums_row);
    } else {
      finish_as<activation.value, float>(product, place, sums, sums_row);
    }
  });
}

// The elements of C at `place` as f32, the start of the chains with `add`.
static void read_result(const Gemm& product, const Place& place, float* sums,
                        std::int64_t sums_row) {
  for (int r = 0; r < place.rows; ++r) {
    const std::int64_t at = (place.row + r) * product.c_row + place.column;
    for (int j = 0; j < place.columns; j += static_cast<int>(lanes)) {
      const auto count = static_cast<std::size_t>(place.columns - j < static_cast<int>(lanes)
                                                      ? place.columns - j
                                                      : static_cast<int>(lanes));
      store(sums + r * sums_row + j,
            product.c_type == DType::bf16
                ? load(static_cast<const bf16*>(product.c) + at + j, count)
                : load(static_cast<const float*>(product.c) + at + j, count));
    }
  }
}

}  // namespace lathe::kernels::LATHE_ISA::matrix
