// Products that one thread does out of its caches, those of small networks: no shared work to hand
// out, and operands that already lie as the innermost kernel reads them are not packed. Included by
// gemm_kernel.cpp alone, once per instruction set.
#pragma once

#include <cstdint>
#include <type_traits>

#include "gemm_private.h"
#include "gemm_tile.h"

namespace lathe::kernels::LATHE_ISA::matrix {

constexpr std::int64_t small_depth = 512;    // units of k: a panel of B stays in the L2
constexpr std::int64_t small_a = 64 * 1024;  // units of A: so does all of it
constexpr std::int64_t direct_limit = 8;     // rows that gemm_direct.h takes

// Multiplications in the innermost kernel for C [m, n], with what edges waste, per unit of k. A
// tile of one or two rows waits for its own sums.
static inline std::int64_t tile_work(std::int64_t m, std::int64_t n) {
  const std::int64_t rest = m % max_rows;
  const std::int64_t rows = m - rest + (rest == 0 ? 0 : rest < 2 ? 2 : rest);
  return ceiling(n, panel_columns) * rows * 2;
}

// Whether C^T = B^T A^T wastes so much less that turning it pays: one of two columns of C fills
// panels of 32 badly. The chains, and so the bits, are the same.
static inline bool turns(const Gemm& product, std::int64_t units) {
  if (product.add) return false;
  const std::int64_t blocks = ceiling(product.m, lane_count) * ceiling(product.n, lane_count);
  const std::int64_t turning = 6 * lane_count * blocks;
  return tile_work(product.n, product.m) * units + turning <
         tile_work(product.m, product.n) * units;
}

static inline Gemm turned(const Gemm& product) {
  Gemm other;
  other.m = product.n;
  other.n = product.m;
  other.k = product.k;
  other.a = product.b;
  other.a_row = product.b_column;
  other.a_column = product.b_row;
  other.b = product.a;
  other.b_row = product.a_column;
  other.b_column = product.a_row;
  other.ab_type = product.ab_type;
  return other;
}

template <class Kind>
struct Small {
  const Gemm& product;
  const bool is_turned;
  const Gemm inner;  // what is computed: the product or the turned one
  const Shared<Kind> shared;
  const std::int64_t units;
  float *packed_a, *packed_b;
  static constexpr bool is_single = std::is_same_v<Kind, Single>;  // A is read where it lies
  const bool b_lies;  // the units of neighbouring columns lie beside each other: read there

  explicit Small(const Gemm& of)
      : product(of),
        is_turned(turns(of, ceiling(of.k, Kind::elements_per_unit))),
        inner(is_turned ? turned(of) : of),
        shared(inner),
        units(shared.units()),
        packed_a(gemm_scratch(
            static_cast<std::size_t>((inner.m * units + 15) / 16 * 16 + panel_columns * units))),
        packed_b(packed_a + (inner.m * units + 15) / 16 * 16),
        b_lies(is_single && shared.b_operand.line_step == 1 && shared.b_operand.k_step != 1) {}

  void run() const {
    for (std::int64_t column = 0; column < inner.n; column += panel_columns) {
      const int columns = static_cast<int>(smaller(panel_columns, inner.n - column));
      Panels panels{nullptr, 0, packed_b, panel_columns};
      panels.narrow = is_single && columns <= panel_columns * 3 / 4;
      if (b_lies && columns == panel_columns) {
        panels.b = unpacked(shared.b_operand, column);
        panels.b_step = shared.b_operand.k_step;
      } else {
        pack_columns<Kind>(shared.b_operand, column, columns, 0, inner.k, packed_b);
      }
      for (std::int64_t row = 0; row < inner.m; row += max_rows) {
        const int rows = static_cast<int>(smaller(max_rows, inner.m - row));
        if constexpr (is_single) {
          panels.a = unpacked(shared.a_operand, row);
          panels.a_step = shared.a_operand.k_step;
          panels.apart = shared.a_operand.k_step == 1;
          panels.a_row = shared.a_operand.line_step;
        } else {
          float* a = packed_a + row * units;
          panels.a = a;
          panels.a_step = rows;
          if (column == 0) pack_rows<Kind>(shared.a_operand, row, rows, 0, inner.k, a);
        }
        tile(Place{row, column, rows, columns}, panels);
      }
    }
  }

  static const float* unpacked(const Operand<Kind>& operand, std::int64_t line) {
    return reinterpret_cast<const float*>(operand.element(line, 0));
  }

  void tile(const Place& place, const Panels& panels) const {
    if (!is_turned) {
      multiply_tile<Kind>(product, place, true, true, units, panels, nullptr, 0, panels.a);
      return;
    }
    static_assert(max_rows <= lane_count);
    alignas(64) float sums[lane_count * panel_columns];
    const auto* near = reinterpret_cast<const char*>(sums);
    micro_for<Kind>(place.rows, panels)(
        units, panels, Tile{nullptr, 0, sums, panel_columns, near, 0, near, 0, false});
    for (int half = 0; half < place.columns; half += lane_count) {
      Vector values[lane_count];
#pragma GCC unroll 16
      for (int r = 0; r < lane_count; ++r) {
        values[r] = r < place.rows ? load_vector(sums + r * panel_columns + half) : zero_vector();
      }
      transpose(values);
      const int count = static_cast<int>(smaller(lane_count, place.columns - half));
      finish_turned(Place{place.column + half, place.row, count, place.rows}, values);
    }
  }

  // Rows of C that lie in a vector each.
  void finish_turned(const Place& place, const Vector (&values)[lane_count]) const {
#if defined(__AVX512F__)
    with_activation(product.activation, [&](auto activation) {
      if (product.c_type == DType::bf16) {
        finish_each<activation.value, bf16>(place, values);
      } else {
        finish_each<activation.value, float>(place, values);
      }
    });
#else
    alignas(64) float lines[lane_count * lane_count];
    for (int r = 0; r < place.rows; ++r) store_vector(lines + r * lane_count, values[r]);
    finish(product, place, lines, lane_count);
#endif
  }

#if defined(__AVX512F__)
  template <Activation activation, class Result>
  void finish_each(const Place& place, const Vector (&values)[lane_count]) const {
    const Ending<activation, Result, std::size_t> end(product, place.row, place.column,
                                                      static_cast<std::size_t>(place.columns));
#pragma GCC unroll 16
    for (int r = 0; r < lane_count; ++r) {
      if (r < place.rows) end(r, vfloat{values[r]});
    }
  }
#endif
};

// Whether a product is for Small: only one thread at hand, or through before several pay (70 us:
// they have to wake, and what one core has written comes slowly to another), with operands that
// caches hold and more rows than are best multiplied where the weights lie.
template <class Kind>
static bool fits_caches(const Gemm& product) {
  constexpr std::int64_t quick = std::int64_t{1} << 23;  // multiplications
  const std::int64_t units = ceiling(product.k, Kind::elements_per_unit);
  if (product.k == 0 || units > small_depth) return false;
  if (product.m * units > small_a || product.n * units > small_a) return false;
  if (product.m <= direct_limit && product.b_row == 1) return false;
  return product.m * product.n * product.k < quick || Shared<Kind>(product).threads == 1;
}

}  // namespace lathe::kernels::LATHE_ISA::matrix
