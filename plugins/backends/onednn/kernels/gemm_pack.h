// Packing for the matrix product: panels of A ([k][rows]) and of B ([k][panel_columns]) in 4-byte
// units, a unit being one f32, or the pair k, k+1 of bf16. Rows of A and columns of B are both
// "lines" here. Included by gemm_kernel.cpp alone, once per instruction set.
#pragma once

#include <cstdint>

#include "gemm_lanes.h"

namespace lathe::kernels::LATHE_ISA::matrix {

// How a kind of operand becomes units. along(): one line, units that follow each other in k.
// across(): one unit of each of several lines that follow each other in memory; `elements` counts
// what is left of k.
struct Single {
  using Element = float;
  static constexpr int elements_per_unit = 1;
  static inline Vector along(const float* at, std::int64_t elements) {
    return elements >= lane_count ? load_vector(at) : load_vector(at, static_cast<int>(elements));
  }
  static inline Vector across(const float* at, std::int64_t, std::int64_t, int lanes) {
    return load_vector(at, lanes);
  }
  template <class Lanes>  // Vector or Half
  static inline Lanes multiply(float a, Lanes b, Lanes c) {
    return multiply_add(a, b, c);
  }
};

struct Widened {
  using Element = std::uint16_t;
  static constexpr int elements_per_unit = 1;
  static inline Vector along(const std::uint16_t* at, std::int64_t elements) {
    return load_wide(at, elements >= lane_count ? lane_count : static_cast<int>(elements));
  }
  static inline Vector across(const std::uint16_t* at, std::int64_t, std::int64_t, int lanes) {
    return load_wide(at, lanes);
  }
  static inline Vector multiply(float a, Vector b, Vector c) { return multiply_add(a, b, c); }
};

#if defined(__AVX512BF16__)
struct Paired {
  using Element = std::uint16_t;
  static constexpr int elements_per_unit = 2;
  static inline Vector along(const std::uint16_t* at, std::int64_t elements) {
    return load_pairs(at, elements >= 32 ? 32 : static_cast<int>(elements));
  }
  static inline Vector across(const std::uint16_t* at, std::int64_t k_step, std::int64_t elements,
                              int lanes) {
    return load_pairs(at, elements > 1 ? at + k_step : nullptr, lanes);
  }
  static inline Vector multiply(float a, Vector b, Vector c) { return multiply_add_pairs(a, b, c); }
};
#endif

// A line-by-k view of an operand; one of the two steps is 1.
template <class Kind>
struct Operand {
  const typename Kind::Element* at;
  std::int64_t line_step, k_step;
  const typename Kind::Element* element(std::int64_t line, std::int64_t k) const {
    return at + line * line_step + k * k_step;
  }
};

// How far ahead of the transposition a line is fetched, in bytes.
constexpr int fetch_ahead = 512;

// `lines` <= lane_count lines, contiguous in k, to out[unit * width + line].
// Only the lanes below `keep` are written.
template <class Kind>
static inline void pack_along(const Operand<Kind>& from, int lines, std::int64_t elements,
                              float* out, std::int64_t width, int keep) {
  constexpr std::int64_t block = lane_count * Kind::elements_per_unit;
  for (std::int64_t k = 0; k < elements; k += block) {
    Vector values[lane_count];
    if (k + block <= elements) {
#pragma GCC unroll 16
      for (int line = 0; line < lane_count; ++line) {
        if (line >= lines) {
          values[line] = zero_vector();
          continue;
        }
        const auto* at = from.at + line * from.line_step + k;
        _mm_prefetch(reinterpret_cast<const char*>(at) + fetch_ahead, _MM_HINT_T0);
        values[line] = Kind::along(at, block);
      }
    } else {
#pragma GCC unroll 16
      for (int line = 0; line < lane_count; ++line) {
        values[line] = line < lines ? Kind::along(from.at + line * from.line_step + k, elements - k)
                                    : zero_vector();
      }
    }
    transpose(values);
    const std::int64_t units =
        (elements - k + Kind::elements_per_unit - 1) / Kind::elements_per_unit;
    if (units >= lane_count && keep == lane_count) {
#pragma GCC unroll 16
      for (int unit = 0; unit < lane_count; ++unit) store_vector(out + unit * width, values[unit]);
    } else {
#pragma GCC unroll 16
      for (int unit = 0; unit < lane_count; ++unit) {
        if (unit < units) store_vector(out + unit * width, values[unit], keep);
      }
    }
    out += lane_count * width;
  }
}

// The same for lines that are neighbours in memory.
template <class Kind>
static inline void pack_across(const Operand<Kind>& from, int lines, std::int64_t elements,
                               float* out, std::int64_t width, int keep) {
  const auto* at = from.at;
  const std::int64_t step = from.k_step * Kind::elements_per_unit;
  for (std::int64_t k = 0; k < elements; k += Kind::elements_per_unit) {
    _mm_prefetch(reinterpret_cast<const char*>(at + 8 * step), _MM_HINT_T0);
    const Vector value = Kind::across(at, from.k_step, elements - k, lines);
    if (keep == lane_count) {
      store_vector(out, value);
    } else {
      store_vector(out, value, keep);
    }
    at += step;
    out += width;
  }
}

template <class Kind>
static void pack(const Operand<Kind>& from, int lines, std::int64_t elements, float* out,
                 std::int64_t width, int keep) {
  if (from.k_step == 1) {
    pack_along<Kind>(from, lines, elements, out, width, keep);
  } else {
    pack_across<Kind>(from, lines, elements, out, width, keep);
  }
}

// Rows [row, row + rows) of A over [k, k + elements): out[unit * rows + r].
template <class Kind>
static void pack_rows(const Operand<Kind>& a, std::int64_t row, int rows, std::int64_t k,
                      std::int64_t elements, float* out) {
  const Operand<Kind> from{a.element(row, k), a.line_step, a.k_step};
  pack<Kind>(from, rows, elements, out, rows, rows);
}

// Columns [column, column + columns) of B over [k, k + elements): out[unit * panel_columns + c],
// zeros beyond `columns`.
template <class Kind>
static void pack_columns(const Operand<Kind>& b, std::int64_t column, int columns, std::int64_t k,
                         std::int64_t elements, float* out) {
  for (int part = 0; part < panel_columns; part += lane_count) {
    const int lines = columns - part < lane_count ? columns - part : lane_count;
    if (lines > 0) {
      const Operand<Kind> from{b.element(column + part, k), b.line_step, b.k_step};
      pack<Kind>(from, lines, elements, out + part, panel_columns, lane_count);
    } else {
      const std::int64_t units = (elements + Kind::elements_per_unit - 1) / Kind::elements_per_unit;
      for (std::int64_t unit = 0; unit < units; ++unit) {
        store_vector(out + part + unit * panel_columns, zero_vector());
      }
    }
  }
}

}  // namespace lathe::kernels::LATHE_ISA::matrix
