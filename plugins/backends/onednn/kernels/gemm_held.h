// Few rows times weights that were brought into panels before (acting step after step with the same
// weights): no packing and no turning, and so many sums at a time that none is waited for. Included
// by gemm_kernel.cpp alone, once per instruction set.
#pragma once

#include <cstdint>

#include "gemm_finish.h"
#include "gemm_lanes.h"
#include "gemm_pack.h"
#include "gemm_split.h"

namespace lathe::kernels::LATHE_ISA::matrix {

constexpr int held_sums = lane_count == 16 ? 24 : 10;  // vectors; the other registers hold operands

// Rows [row, row + rows) times `panels` panels of columns from `column` on, each sum one chain.
template <int rows, int panels>
static void multiply_held(const Gemm& product, const float* held, std::int64_t row,
                          std::int64_t column) {
  const auto* a = static_cast<const float*>(product.a) + row * product.a_row;
  const std::int64_t panel_step = product.k * panel_columns;
  const float* b = held + column * product.k;
  Vector sums[rows][2 * panels];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < 2 * panels; ++v) sums[r][v] = zero_vector();
  }
  for (std::int64_t k = 0; k < product.k; ++k) {
    Vector units[2 * panels];
#pragma GCC unroll 8
    for (int v = 0; v < 2 * panels; ++v) {
      units[v] = load_vector(b + v / 2 * panel_step + v % 2 * lane_count);
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const float value = a[r * product.a_row + k * product.a_column];
#pragma GCC unroll 8
      for (int v = 0; v < 2 * panels; ++v) sums[r][v] = multiply_add(value, units[v], sums[r][v]);
    }
    b += panel_columns;
  }
  alignas(64) float lines[rows * 2 * panels * lane_count];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < 2 * panels; ++v) {
      store_vector(lines + (r * 2 * panels + v) * lane_count, sums[r][v]);
    }
  }
  const std::int64_t columns = smaller(panels * panel_columns, product.n - column);
  finish(product, Place{row, column, rows, static_cast<int>(columns)}, lines,
         panels * panel_columns);
}

// All columns for some rows: as many panels at a time as have room for their sums.
template <int rows>
static void multiply_held(const Gemm& product, const float* held, std::int64_t row) {
  constexpr int most = held_sums / (2 * rows) < 4 ? held_sums / (2 * rows) : 4;
  static_assert(most >= 1);
  std::int64_t column = 0;
  const auto left = [&] { return ceiling(product.n - column, panel_columns); };
  for (; left() >= most; column += most * panel_columns) {
    multiply_held<rows, most>(product, held, row, column);
  }
  if constexpr (most > 3) {
    if (left() == 3) return multiply_held<rows, 3>(product, held, row, column);
  }
  if constexpr (most > 2) {
    if (left() == 2) return multiply_held<rows, 2>(product, held, row, column);
  }
  if constexpr (most > 1) {
    if (left() == 1) return multiply_held<rows, 1>(product, held, row, column);
  }
}

static void multiply_held(const Gemm& product, const float* held) {
  std::int64_t row = 0;
  for (; row + 4 <= product.m; row += 4) multiply_held<4>(product, held, row);
  for (; row + 2 <= product.m; row += 2) multiply_held<2>(product, held, row);
  if (row < product.m) multiply_held<1>(product, held, row);
}

// [panel][k][panel_columns]; zeros beyond the last column.
static void hold_columns(const Gemm& product, float* held) {
  const Operand<Single> b{static_cast<const float*>(product.b), product.b_column,
                          product.k == 1 ? 1 : product.b_row};
  for (std::int64_t column = 0; column < product.n; column += panel_columns) {
    pack_columns<Single>(b, column, static_cast<int>(smaller(panel_columns, product.n - column)), 0,
                         product.k, held + column * product.k);
  }
}

}  // namespace lathe::kernels::LATHE_ISA::matrix
