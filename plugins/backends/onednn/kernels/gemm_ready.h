// Products of few rows with a B that lies in panels (pack_panels() in gemm.h): each thread reads
// one stretch of memory, which the processor fetches ahead by itself and faster than when it is
// told to. Included by gemm_kernel.cpp alone, once per instruction set.
#pragma once

#include <cstdint>
#include <type_traits>

#include "gemm_tile.h"

namespace lathe::kernels::LATHE_ISA::matrix {

template <class Kind>
struct Ready : Shared<Kind> {
  const float* packed_a;
  float* own_a = nullptr;  // null when A is used where it lies

  explicit Ready(const Gemm& of) : Shared<Kind>(of) {
    const bool lies = of.m == 1 && this->a_operand.k_step == 1 &&
                      of.k % Kind::elements_per_unit == 0 && !std::is_same_v<Kind, Widened>;
    if (!lies) own_a = gemm_scratch(static_cast<std::size_t>(of.m * this->units()));
    packed_a = lies ? static_cast<const float*>(of.a) : own_a;
  }

  int panel_rows(std::int64_t row) const {
    return static_cast<int>(smaller(max_rows, this->product.m - row));
  }

  void work() {
    const Gemm& of = this->product;
    const std::int64_t units = this->units();
    if (own_a) {
      const std::int64_t end = ceiling(of.m, max_rows);
      for (std::int64_t mine; (mine = this->next()) < end;) {
        const std::int64_t row = mine * max_rows;
        pack_rows<Kind>(this->a_operand, row, panel_rows(row), 0, of.k, own_a + row * units);
      }
      this->wait_for_all();
    }
    const std::int64_t panels = ceiling(of.n, panel_columns);
    const std::int64_t first = panels * this->thread() / this->threads;
    const std::int64_t last = panels * (this->thread() + 1) / this->threads;
    for (std::int64_t panel = first; panel < last; ++panel) {
      const std::int64_t column = panel * panel_columns;
      const int columns = static_cast<int>(smaller(panel_columns, of.n - column));
      for (std::int64_t row = 0; row < of.m; row += max_rows) {
        const int rows = panel_rows(row);
        multiply_tile<Kind>(
            of, Place{row, column, rows, columns}, true, true, units,
            Panels{packed_a + row * units, rows, of.b_panels + column * units, panel_columns},
            nullptr, 0, packed_a);
      }
    }
  }
};

constexpr int sums_at_once =
    lane_count == 16 ? 24 : 10;  // vectors; the other registers hold operands

// Rows [row, row + rows) times `panels` panels of columns from `column` on, each sum one chain.
template <int rows, int panels>
static void multiply_at_once(const Gemm& product, std::int64_t row, std::int64_t column) {
  const auto* a = static_cast<const float*>(product.a) + row * product.a_row;
  const std::int64_t panel_step = product.k * panel_columns;
  const float* b = product.b_panels + column * product.k;
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
static void multiply_at_once(const Gemm& product, std::int64_t row) {
  constexpr int most = sums_at_once / (2 * rows) < 4 ? sums_at_once / (2 * rows) : 4;
  static_assert(most >= 1);
  std::int64_t column = 0;
  const auto left = [&] { return ceiling(product.n - column, panel_columns); };
  for (; left() >= most; column += most * panel_columns) {
    multiply_at_once<rows, most>(product, row, column);
  }
  if constexpr (most > 3) {
    if (left() == 3) return multiply_at_once<rows, 3>(product, row, column);
  }
  if constexpr (most > 2) {
    if (left() == 2) return multiply_at_once<rows, 2>(product, row, column);
  }
  if constexpr (most > 1) {
    if (left() == 1) return multiply_at_once<rows, 1>(product, row, column);
  }
}

static void multiply_at_once(const Gemm& product) {
  std::int64_t row = 0;
  for (; row + 4 <= product.m; row += 4) multiply_at_once<4>(product, row);
  for (; row + 2 <= product.m; row += 2) multiply_at_once<2>(product, row);
  if (row < product.m) multiply_at_once<1>(product, row);
}

// Whether one thread does it, with a B that its L2 keeps.
static bool fits_registers(const Gemm& product) {
  constexpr std::int64_t most_rows = 8, most_values = std::int64_t{128} << 10;
  return product.m <= most_rows && product.n * product.k <= most_values && !product.add &&
         Shared<Single>(product).threads == 1;
}

template <class Kind>
static void pack_all_panels(const PanelPacking& packing) {
  const std::int64_t units = ceiling(packing.k, Kind::elements_per_unit);
  const Operand<Kind> b{static_cast<const typename Kind::Element*>(packing.b), packing.b_column,
                        packing.k == 1 ? 1 : packing.b_row};
  const bool large = packing.n * units > std::int64_t{64}
                                             << 10;  // else it costs less than waking threads
#pragma omp parallel for schedule(static) if (large)
  for (std::int64_t column = 0; column < packing.n; column += panel_columns) {
    pack_columns<Kind>(b, column, static_cast<int>(smaller(panel_columns, packing.n - column)), 0,
                       packing.k, packing.panels + column * units);
  }
}

}  // namespace lathe::kernels::LATHE_ISA::matrix
