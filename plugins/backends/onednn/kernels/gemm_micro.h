// The innermost kernel of the matrix product: a tile of at most max_rows x panel_columns sums kept
// in registers. Included by gemm_kernel.cpp alone, once per instruction set.
#pragma once

#include <cstdint>

#include "gemm_lanes.h"
#include "gemm_pack.h"

namespace lathe::kernels::LATHE_ISA::matrix {

// Where the units of A and B lie: those of unit k begin at a + k a_step and b + k b_step.
struct Panels {
  const float* a;
  std::int64_t a_step;
  const float* b;
  std::int64_t b_step;
};

// to[r][c] = from[r][c] + sum over units of a[unit][r] * b[unit][c], each sum one chain in the
// order of the units; a null `from` is zeros. `from` and `to` may be the same.
// On the way it fetches what the following tiles will want: `next`, a tile of C, and a stretch of
// `next_a`, `next_a_step` bytes for each unit.
struct Tile {
  const float* from;
  std::int64_t from_row;
  float* to;
  std::int64_t to_row;
  const char* next;
  std::int64_t next_row;  // in bytes
  const char* next_a;
  std::int64_t next_a_step;
  bool stream;  // `to` is written past the caches: whole lines, so nothing of it is fetched
};

template <class Kind, int rows>
static void micro(std::int64_t units, const Panels& panels, const Tile& tile) {
  const float *a = panels.a, *b = panels.b;
  const std::int64_t a_step = panels.a_step, b_step = panels.b_step;
  Vector left[rows], right[rows];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    left[r] = tile.from ? load_vector(tile.from + r * tile.from_row) : zero_vector();
    right[r] = tile.from ? load_vector(tile.from + r * tile.from_row + lane_count) : zero_vector();
  }
  const auto step = [&]() __attribute__((always_inline)) {
    const Vector b_left = load_vector(b), b_right = load_vector(b + lane_count);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      left[r] = Kind::multiply(a[r], b_left, left[r]);
      right[r] = Kind::multiply(a[r], b_right, right[r]);
    }
    a += a_step;
    b += b_step;
  };
  const char *next = tile.next, *next_a = tile.next_a;
  const std::int64_t next_row = tile.next_row, next_a_step = tile.next_a_step;
  const std::int64_t fetching = units < rows ? units : rows;
  for (std::int64_t unit = 0; unit < fetching; ++unit) {
    _mm_prefetch(next, _MM_HINT_T0);
    _mm_prefetch(next + panel_columns * sizeof(float) - 1, _MM_HINT_T0);
    next += next_row;
    step();
  }
  for (std::int64_t unit = fetching; unit < units; ++unit) {
    _mm_prefetch(next_a, _MM_HINT_T1);
    next_a += next_a_step;
    step();
  }
  if (tile.stream) {
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      stream_vector(tile.to + r * tile.to_row, left[r]);
      stream_vector(tile.to + r * tile.to_row + lane_count, right[r]);
    }
    return;
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    store_vector(tile.to + r * tile.to_row, left[r]);
    store_vector(tile.to + r * tile.to_row + lane_count, right[r]);
  }
}

template <class Kind>
using Micro = void (*)(std::int64_t, const Panels&, const Tile&);

// The kernel for a number of rows, 1 .. max_rows.
template <class Kind>
static Micro<Kind> micro_for(int rows) {
#if defined(__AVX512F__)
  static constexpr Micro<Kind> table[] = {
      micro<Kind, 1>,  micro<Kind, 2>,  micro<Kind, 3>,  micro<Kind, 4>, micro<Kind, 5>,
      micro<Kind, 6>,  micro<Kind, 7>,  micro<Kind, 8>,  micro<Kind, 9>, micro<Kind, 10>,
      micro<Kind, 11>, micro<Kind, 12>, micro<Kind, 13>, micro<Kind, 14>};
#else
  static constexpr Micro<Kind> table[] = {micro<Kind, 1>, micro<Kind, 2>, micro<Kind, 3>,
                                          micro<Kind, 4>, micro<Kind, 5>, micro<Kind, 6>};
#endif
  return table[rows - 1];
}

}  // namespace lathe::kernels::LATHE_ISA::matrix
