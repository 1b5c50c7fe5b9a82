// Products that sum over few k, where writing C is the work: the first layer on an observation, the
// gradient of a head of two columns. Two vectors of columns of B stay in registers while all rows
// of A pass, and each row is finished where it was summed. Included by gemm_kernel.cpp alone, once
// per instruction set.
#pragma once

#include <cstdint>

#include "gemm_finish.h"
#include "gemm_pack.h"
#include "gemm_tile.h"

namespace lathe::kernels::LATHE_ISA::matrix {

#if defined(__AVX512F__)

constexpr std::int64_t thin_depth = 8;  // two vectors for each k take half of the registers

// Columns [column, column + 32), or as many as the counts say; each element one chain over k.
template <int k, Activation activation, class Count>
static void multiply_thin(const Gemm& product, const float* panel, std::int64_t column,
                          Count left_count, Count right_count) {
  const auto* a = static_cast<const float*>(product.a);
  const Ending<activation, float, Count> end_left(product, 0, column, left_count);
  const Ending<activation, float, Count> end_right(product, 0, column + lane_count, right_count);
  Vector left[k], right[k];
#pragma GCC unroll 8
  for (int u = 0; u < k; ++u) {
    left[u] = load_vector(panel + u * panel_columns);
    right[u] = load_vector(panel + u * panel_columns + lane_count);
  }
  for (std::int64_t row = 0; row < product.m; ++row) {
    Vector sum_left = zero_vector(), sum_right = zero_vector();
#pragma GCC unroll 8
    for (int u = 0; u < k; ++u) {
      const float value = a[row * product.a_row + u * product.a_column];
      sum_left = multiply_add(value, left[u], sum_left);
      sum_right = multiply_add(value, right[u], sum_right);
    }
    end_left(row, vfloat{sum_left});
    end_right(row, vfloat{sum_right});
  }
}

template <int k, Activation activation>
static void multiply_thin(const Gemm& product) {
  const Operand<Single> b{static_cast<const float*>(product.b), product.b_column,
                          k == 1 ? 1 : product.b_row};
  alignas(64) float panel[k * panel_columns];
  for (std::int64_t column = 0; column < product.n; column += panel_columns) {
    const std::int64_t columns = smaller(panel_columns, product.n - column);
    pack_columns<Single>(b, column, static_cast<int>(columns), 0, k, panel);
    if (columns == panel_columns) {
      multiply_thin<k, activation>(product, panel, column, whole{}, whole{});
    } else {
      const auto left = static_cast<std::size_t>(smaller(lane_count, columns));
      multiply_thin<k, activation>(product, panel, column, left,
                                   static_cast<std::size_t>(columns) - left);
    }
  }
}

template <Activation activation>
static void multiply_thin(const Gemm& product) {
  using Multiply = void (*)(const Gemm&);
  static constexpr Multiply table[] = {multiply_thin<1, activation>, multiply_thin<2, activation>,
                                       multiply_thin<3, activation>, multiply_thin<4, activation>,
                                       multiply_thin<5, activation>, multiply_thin<6, activation>,
                                       multiply_thin<7, activation>, multiply_thin<8, activation>};
  table[product.k - 1](product);
}

// Whether a product is of this kind: few k, more rows than are best multiplied where the weights
// lie, and less work than waking threads, or one thread. The other activations cost more than sums.
static bool is_thin(const Gemm& product) {
  constexpr std::int64_t too_small = 1 << 16;
  return product.k > 0 && product.k <= thin_depth && product.m > direct_rows && !product.add &&
         product.ab_type == DType::f32 && product.c_type == DType::f32 &&
         (product.activation == Activation::none || product.activation == Activation::relu) &&
         (product.m * product.n * product.k <= too_small || Shared<Single>(product).threads == 1);
}

static void multiply_thin(const Gemm& product) {
  if (product.activation == Activation::relu) {
    multiply_thin<Activation::relu>(product);
  } else {
    multiply_thin<Activation::none>(product);
  }
}

#else

static bool is_thin(const Gemm&) { return false; }
static void multiply_thin(const Gemm&) {}

#endif

}  // namespace lathe::kernels::LATHE_ISA::matrix
