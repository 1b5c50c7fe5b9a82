// Products of few rows, the matrix of decoding: columns of B that lie along k are read where they
// lie, 16 at a time, and turned in registers, so that memory is the limit. Included by
// gemm_kernel.cpp alone, once per instruction set.
#pragma once

#include <cstdint>

#include "gemm_finish.h"
#include "gemm_lanes.h"
#include "gemm_pack.h"

namespace lathe::kernels::LATHE_ISA::matrix {

constexpr std::int64_t direct_columns = 16;  // of B at a time: one vector of sums for each row of A

#if defined(__AVX512F__)

constexpr int direct_rows = 8;              // of A, at most
constexpr std::int64_t fetch_bytes = 1536;  // how far ahead of its use a line is fetched

template <class Kind>
constexpr bool reads_directly = sizeof(typename Kind::Element) * Kind::elements_per_unit == 4;

// Sixteen units (64 bytes) of the lines from `at` on: unit u of line i in lane i of units[u]; lines
// beyond `count` repeat the last. Each cache line is read once and whole: rows of a weight often
// fall into a few sets of the L1, which would not keep them.
template <class Load>
static inline __attribute__((always_inline)) void load_units(const char* at, std::int64_t step,
                                                             int count, Vector (&units)[16],
                                                             const Load& load) {
  if (count == 16) {
#pragma GCC unroll 16
    for (int line = 0; line < 16; ++line) units[line] = load(at + line * step);
  } else {
#pragma GCC unroll 16
    for (int line = 0; line < 16; ++line) {
      units[line] = load(at + (line < count ? line : count - 1) * step);
    }
  }
  transpose(units);
}

// C[0 .. rows)[column .. column + 16), or up to the last column, each element one chain over all of
// k. `a` and `b` have a k_step of 1. Sixteen lines at a time and no more: they lie together in
// memory, and the processor fetches few streams faster than many. Lines are fetched into the L2,
// since the few buffers for misses of the L1 are needed by the loads.
template <class Kind, int rows>
static void multiply_direct(const Gemm& product, const Operand<Kind>& a, const Operand<Kind>& b,
                            std::int64_t column) {
  constexpr std::int64_t unit_bytes = 4, block_bytes = 64;
  constexpr auto element_bytes = static_cast<std::int64_t>(sizeof(typename Kind::Element));
  using Element = typename Kind::Element;
  const std::int64_t remaining = product.n - column;
  const int columns = static_cast<int>(remaining < direct_columns ? remaining : direct_columns);
  const Place place{0, column, rows, columns};
  alignas(64) float sums[rows * direct_columns];
  Vector total[rows];
  if (product.add) read_result(product, place, sums, direct_columns);
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    total[r] = product.add ? load_vector(sums + r * direct_columns) : zero_vector();
  }
  const auto add_unit = [&](Vector unit, const char* a_at, std::int64_t a_step)
      __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      float value;
      __builtin_memcpy(&value, a_at + r * a_step, sizeof(value));
      total[r] = Kind::multiply(value, unit, total[r]);
    }
  };
  const char* a_at = reinterpret_cast<const char*>(a.at);
  const char* b_at = reinterpret_cast<const char*>(b.element(column, 0));
  const std::int64_t a_step = a.line_step * element_bytes, b_step = b.line_step * element_bytes;
  const std::int64_t bytes = product.k * element_bytes;
  std::int64_t at = 0;
  for (; at + block_bytes <= bytes; at += block_bytes) {
    // Beyond the end of a line, the lines of the next columns begin.
    std::int64_t ahead = at + fetch_bytes;
    if (ahead >= bytes) ahead += direct_columns * b_step - bytes;
#pragma GCC unroll 16
    for (int line = 0; line < 16; ++line) {
      _mm_prefetch(b_at + line * b_step + ahead, _MM_HINT_T1);
    }
    Vector units[16];
    load_units(b_at + at, b_step, columns, units,
               [](const char* line) { return load_vector(reinterpret_cast<const float*>(line)); });
#pragma GCC unroll 16
    for (int u = 0; u < 16; ++u) add_unit(units[u], a_at + at + u * unit_bytes, a_step);
  }
  if (at < bytes) {  // the last units, the very last perhaps half full
    const std::int64_t left = (bytes - at) / element_bytes;
    const auto rest = [left](const char* line) {
      return Kind::along(reinterpret_cast<const Element*>(line), left);
    };
    alignas(64) char a_rest[rows * block_bytes];
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      store_vector(reinterpret_cast<float*>(a_rest + r * block_bytes),
                   rest(a_at + r * a_step + at));
    }
    Vector units[16];
    load_units(b_at + at, b_step, columns, units, rest);
#pragma GCC unroll 16
    for (int u = 0; u < 16; ++u) {
      if (at + u * unit_bytes < bytes) add_unit(units[u], a_rest + u * unit_bytes, block_bytes);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) store_vector(sums + r * direct_columns, total[r]);
  finish(product, place, sums, direct_columns);
}

template <class Kind>
using Direct = void (*)(const Gemm&, const Operand<Kind>&, const Operand<Kind>&, std::int64_t);

// The kernel for a number of rows, 1 .. direct_rows.
template <class Kind>
static Direct<Kind> direct_for(std::int64_t rows) {
  static constexpr Direct<Kind> table[] = {multiply_direct<Kind, 1>, multiply_direct<Kind, 2>,
                                           multiply_direct<Kind, 3>, multiply_direct<Kind, 4>,
                                           multiply_direct<Kind, 5>, multiply_direct<Kind, 6>,
                                           multiply_direct<Kind, 7>, multiply_direct<Kind, 8>};
  return table[rows - 1];
}

#endif

}  // namespace lathe::kernels::LATHE_ISA::matrix
