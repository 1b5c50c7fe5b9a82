// The innermost kernel of the matrix product: a tile of at most max_rows x panel_columns sums kept
// in registers. Included by gemm_kernel.cpp alone, once per instruction set.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "gemm_lanes.h"
#include "gemm_pack.h"

namespace lathe::kernels::LATHE_ISA::matrix {

// Where the units of A and B lie: those of unit k begin at a + k a_step and b + k b_step. Rows of A
// that lie apart have each their units one after the other: unit k of row r lies at a + r a_row +
// k.
struct Panels {
  const float* a;
  std::int64_t a_step;
  const float* b;
  std::int64_t b_step;
  bool apart = false;
  std::int64_t a_row = 1;
  bool narrow = false;  // nobody wants the last quarter of the columns
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

template <class Kind, int rows, bool apart, class Right>
static void micro(std::int64_t units, const Panels& panels, const Tile& tile) {
  const float *a = panels.a, *b = panels.b;
  const std::int64_t a_step = apart ? 1 : panels.a_step, b_step = panels.b_step;
  const std::int64_t a_row = apart ? panels.a_row : 1;
  Vector left[rows];
  Right right[rows];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    left[r] = Vector{};
    right[r] = Right{};
    if (tile.from == nullptr) continue;
    load_into(left[r], tile.from + r * tile.from_row);
    load_into(right[r], tile.from + r * tile.from_row + lane_count);
  }
  const auto step = [&]() __attribute__((always_inline)) {
    const Vector b_left = load_vector(b);
    Right b_right;
    load_into(b_right, b + lane_count);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      left[r] = Kind::multiply(a[r * a_row], b_left, left[r]);
      right[r] = Kind::multiply(a[r * a_row], b_right, right[r]);
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

template <class Kind, bool apart, class Right, int... rows>
static Micro<Kind> micro_of(int count, std::integer_sequence<int, rows...>) {
  static constexpr Micro<Kind> table[] = {micro<Kind, rows + 1, apart, Right>...};
  return table[count - 1];
}

// The kernel for a number of rows, 1 .. max_rows. Single alone has rows apart and narrow panels.
template <class Kind>
static Micro<Kind> micro_for(int rows, [[maybe_unused]] const Panels& panels) {
  constexpr auto all = std::make_integer_sequence<int, max_rows>();
  if constexpr (std::is_same_v<Kind, Single>) {
    if (panels.apart && panels.narrow) return micro_of<Kind, true, Half>(rows, all);
    if (panels.apart) return micro_of<Kind, true, Vector>(rows, all);
    if (panels.narrow) return micro_of<Kind, false, Half>(rows, all);
  }
  return micro_of<Kind, false, Vector>(rows, all);
}

}  // namespace lathe::kernels::LATHE_ISA::matrix
