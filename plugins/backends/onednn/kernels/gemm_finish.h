// The end of a matrix product: sums plus bias, activation and residual, converted into C. Included
// by gemm_kernel.cpp alone, once per instruction set.
#pragma once

#include <cstdint>

#include "gemm.h"
#include "loops.h"

namespace lathe::kernels::LATHE_ISA::matrix {

// Where a tile of sums ends up: rows x columns elements of C from (row, column) on.
struct Place {
  std::int64_t row, column;
  int rows, columns;
};

// Sixteen columns of a tile from column j on, or `count` of them. Bias and the last steps of a row
// differ from row to row only in where they lie.
template <Activation activation, class Result, class Count>
static inline __attribute__((always_inline)) void finish_columns(const Gemm& product,
                                                                 const Place& place,
                                                                 const float* sums,
                                                                 std::int64_t sums_row, int j,
                                                                 Count count) {
  const std::int64_t at = place.row * product.c_row + place.column + j;
  Result* c = static_cast<Result*>(product.c) + at;
  Result* before = product.before ? static_cast<Result*>(product.before) + at : nullptr;
  const Result* residual = product.residual
                               ? static_cast<const Result*>(product.residual) +
                                     place.row * product.residual_row + place.column + j
                               : nullptr;
  const vfloat bias = product.bias ? load(product.bias + place.column + j, count) : broadcast(0.0f);
  for (int r = 0; r < place.rows; ++r) {
    vfloat value = load(sums + r * sums_row + j, count);
    if (product.bias) value = value + bias;
    if (before) store(before + r * product.c_row, value, count);
    if constexpr (activation != Activation::none) {
      if constexpr (sizeof(Result) == 2) value = widen(narrow(value));
      value = activate<activation>(value);
    }
    if (residual) value = value + load(residual + r * product.residual_row, count);
    store(c + r * product.c_row, value, count);
  }
}

template <Activation activation, class Result>
static void finish_as(const Gemm& product, const Place& place, const float* sums,
                      std::int64_t sums_row) {
  each_vector(0, static_cast<std::size_t>(place.columns), [&](std::size_t j, auto count) {
    finish_columns<activation, Result>(product, place, sums, sums_row, static_cast<int>(j), count);
  });
}

template <class Result>
static void finish_into(const Gemm& product, const Place& place, const float* sums,
                        std::int64_t sums_row) {
  switch (product.activation) {
    case Activation::none:
      return finish_as<Activation::none, Result>(product, place, sums, sums_row);
    case Activation::gelu_tanh:
      return finish_as<Activation::gelu_tanh, Result>(product, place, sums, sums_row);
    case Activation::gelu_erf:
      return finish_as<Activation::gelu_erf, Result>(product, place, sums, sums_row);
    case Activation::relu:
      return finish_as<Activation::relu, Result>(product, place, sums, sums_row);
    case Activation::silu:
      return finish_as<Activation::silu, Result>(product, place, sums, sums_row);
  }
}

static void finish(const Gemm& product, const Place& place, const float* sums,
                   std::int64_t sums_row) {
  if (product.c_type == DType::bf16) {
    finish_into<bf16>(product, place, sums, sums_row);
  } else {
    finish_into<float>(product, place, sums, sums_row);
  }
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
