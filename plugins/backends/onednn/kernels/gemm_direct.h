// Products of few rows, the matrix of decoding: columns of B that lie along k are read where they
// lie, 16 at a time, and turned in registers, so that memory is the limit. Included by
// gemm_kernel.cpp alone, once per instruction set.
#pragma once

#include <cstdint>

#include "gemm_finish.h"
#include "gemm_lanes.h"
#include "gemm_pack.h"

namespace lathe::kernels::LATHE_ISA::matrix {

#if defined(__AVX512F__)

constexpr int direct_rows = 8;              // of A, at most
constexpr std::int64_t fetch_bytes = 1024;  // how far ahead of its use a line is fetched

// Groups of 16 columns at a time: enough chains to hide the latency of a multiply-add.
constexpr int direct_groups(int rows) { return rows <= 4 ? 4 : 2; }

template <class Kind>
constexpr bool reads_directly = sizeof(typename Kind::Element) * Kind::elements_per_unit == 4;

// Sixteen units (64 bytes) of 16 lines that are `step` bytes apart: unit u of line i in lane i of
// units[u]. Each cache line is read once and whole: rows of a weight often fall into a few sets of
// the L1, which would not keep them.
static inline void load_units(const char* at, std::int64_t step, Vector (&units)[16]) {
#pragma GCC unroll 16
  for (int line = 0; line < 16; ++line) {
    units[line] = load_vector(reinterpret_cast<const float*>(at + line * step));
  }
  transpose(units);
}

// C[0 .. rows)[column .. column + 16 groups), each element one chain over all of k. `a` and `b`
// have a k_step of 1.
template <class Kind, int rows, int groups>
static void multiply_direct(const Gemm& product, const Operand<Kind>& a, const Operand<Kind>& b,
                            std::int64_t column) {
  constexpr int width = 16 * groups;
  constexpr std::int64_t unit_bytes = 4, block_bytes = 64;
  constexpr auto element_bytes = static_cast<std::int64_t>(sizeof(typename Kind::Element));
  const Place place{0, column, rows, width};
  alignas(64) float sums[rows * width];
  Vector total[groups][rows];
  if (product.add) read_result(product, place, sums, width);
#pragma GCC unroll 4
  for (int g = 0; g < groups; ++g) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      total[g][r] = product.add ? load_vector(sums + r * width + 16 * g) : zero_vector();
    }
  }
  const auto add_unit = [&](int g, Vector unit, const char* a_at, std::int64_t a_step)
      __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      float value;
      __builtin_memcpy(&value, a_at + r * a_step, sizeof(value));
      total[g][r] = Kind::multiply(value, unit, total[g][r]);
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
    if (ahead >= bytes) ahead += width * b_step - bytes;
#pragma GCC unroll 4
    for (int g = 0; g < groups; ++g) {
      const char* lines = b_at + 16 * g * b_step;
#pragma GCC unroll 16
      for (int line = 0; line < 16; ++line) {
        _mm_prefetch(lines + line * b_step + ahead, _MM_HINT_T1);
      }
      Vector units[16];
      load_units(lines + at, b_step, units);
#pragma GCC unroll 16
      for (int u = 0; u < 16; ++u) add_unit(g, units[u], a_at + at + u * unit_bytes, a_step);
    }
  }
  if (at < bytes) {  // the last units, the very last perhaps half full
    alignas(64) char a_rest[rows * block_bytes] = {}, b_rest[width * block_bytes] = {};
    const auto size = static_cast<std::size_t>(bytes - at);
    for (int r = 0; r < rows; ++r) {
      __builtin_memcpy(a_rest + r * block_bytes, a_at + r * a_step + at, size);
    }
    for (int i = 0; i < width; ++i) {
      __builtin_memcpy(b_rest + i * block_bytes, b_at + i * b_step + at, size);
    }
#pragma GCC unroll 4
    for (int g = 0; g < groups; ++g) {
      Vector units[16];
      load_units(b_rest + 16 * g * block_bytes, block_bytes, units);
#pragma GCC unroll 16
      for (int u = 0; u < 16; ++u) {
        if (at + u * unit_bytes < bytes)
          add_unit(g, units[u], a_rest + u * unit_bytes, block_bytes);
      }
    }
  }
#pragma GCC unroll 4
  for (int g = 0; g < groups; ++g) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) store_vector(sums + r * width + 16 * g, total[g][r]);
  }
  finish(product, place, sums, width);
}

template <class Kind>
using Direct = void (*)(const Gemm&, const Operand<Kind>&, const Operand<Kind>&, std::int64_t);

// The kernel for a number of rows, 1 .. direct_rows.
template <class Kind>
static Direct<Kind> direct_for(std::int64_t rows) {
  static constexpr Direct<Kind> table[] = {
      multiply_direct<Kind, 1, direct_groups(1)>, multiply_direct<Kind, 2, direct_groups(2)>,
      multiply_direct<Kind, 3, direct_groups(3)>, multiply_direct<Kind, 4, direct_groups(4)>,
      multiply_direct<Kind, 5, direct_groups(5)>, multiply_direct<Kind, 6, direct_groups(6)>,
      multiply_direct<Kind, 7, direct_groups(7)>, multiply_direct<Kind, 8, direct_groups(8)>};
  return table[rows - 1];
}

#endif

}  // namespace lathe::kernels::LATHE_ISA::matrix
