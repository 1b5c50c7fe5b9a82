// What the kernels of attention compute at each place, as plain functions of integers and floats:
// the same code runs in a kernel and in a CPU test.
#pragma once

#include <device/block.h>

#include <cmath>
#include <cstddef>
#include <cstdint>

// Of the loop that follows: arrays that it indexes live in registers only when it is unrolled; and
// a long body that need not be fast stays one body.
#ifdef __CUDACC__
#define LATHE_UNROLL _Pragma("unroll")
#define LATHE_LOOP _Pragma("unroll 1")
#else
#define LATHE_UNROLL
#define LATHE_LOOP
#endif

namespace lathe::cuda {

// ---- Fragments of mma.sync.m16n8k16 (PTX ISA, "Matrix Fragments for mma.m16n8k16"): which element
// of a tile the i-th value of a lane is.

struct FragmentPlace {
  int row, column;
  friend constexpr bool operator==(const FragmentPlace&, const FragmentPlace&) = default;
};

// A, 16 x 16: eight values a lane, two to a register.
LATHE_HOST_DEVICE constexpr FragmentPlace place_in_a(int lane, int i) {
  return {lane / 4 + 8 * (i / 2 % 2), lane % 4 * 2 + i % 2 + 8 * (i / 4)};
}
// B, 16 x 8 (row: the inner dimension): four values a lane, two to a register.
LATHE_HOST_DEVICE constexpr FragmentPlace place_in_b(int lane, int i) {
  return {lane % 4 * 2 + i % 2 + 8 * (i / 2), lane / 4};
}
// C, 16 x 8 in f32: four values a lane.
LATHE_HOST_DEVICE constexpr FragmentPlace place_in_c(int lane, int i) {
  return {lane / 4 + 8 * (i / 2), lane % 4 * 2 + i % 2};
}
// ldmatrix of four 8 x 8 matrices: lane l gives the address of row l % 8 of matrix l / 8 and gets
// of each matrix the values at these two places (value 0 and 1 of its register).
LATHE_HOST_DEVICE constexpr FragmentPlace place_in_matrix(int lane, int i, bool transposed) {
  return transposed ? FragmentPlace{lane % 4 * 2 + i, lane / 4}
                    : FragmentPlace{lane / 4, lane % 4 * 2 + i};
}

// ---- Softmax over a row that comes piece by piece (Milakov and Gimelshein, 2018). `sum` is of
// exp(x - most) and `weighted` of (x - most) exp(x - most). Nothing seen: most = -infinity, sum =
// 0.
struct Softmax {
  float most = -INFINITY;
  float sum = 0;
  float weighted = 0;

  // Some values at once, so that what was summed before follows a new maximum only once.
  template <std::size_t count>
  LATHE_HOST_DEVICE void add(const float (&x)[count]) {
    float high = most;
    for (const float value : x) high = value > high ? value : high;
    if (high == -INFINITY) return;
    if (high > most) {
      const float shrink = expf(most - high);
      weighted = sum == 0 ? 0 : shrink * (weighted + (most - high) * sum);
      sum *= shrink;
      most = high;
    }
    for (const float value : x) {
      if (value == -INFINITY) continue;
      const float power = expf(value - most);
      sum += power;
      weighted += (value - most) * power;
    }
  }
  LATHE_HOST_DEVICE float log_sum() const { return most + logf(sum); }
  // -sum p log p of the softmax
  LATHE_HOST_DEVICE float entropy() const { return logf(sum) - weighted / sum; }
};

LATHE_HOST_DEVICE Softmax merged(const Softmax& a, const Softmax& b) {
  if (a.sum == 0) return b;
  if (b.sum == 0) return a;
  Softmax whole;
  whole.most = a.most > b.most ? a.most : b.most;
  const float left = expf(a.most - whole.most), right = expf(b.most - whole.most);
  whole.sum = a.sum * left + b.sum * right;
  whole.weighted = left * (a.weighted + (a.most - whole.most) * a.sum) +
                   right * (b.weighted + (b.most - whole.most) * b.sum);
  return whole;
}

// ---- Which keys a query sees. Query t of a row with `offset` keys before it sees the keys 0 to
// offset + t when causal, of the S that there are.

struct Span {
  std::int64_t begin, end;
  friend constexpr bool operator==(const Span&, const Span&) = default;
};

// Blocks of `keys` keys that any of the queries [first, last] sees.
LATHE_HOST_DEVICE Span key_blocks(std::int64_t last, std::int64_t S, std::int64_t offset,
                                  bool causal, std::int64_t keys) {
  const std::int64_t seen = causal && offset + last + 1 < S ? offset + last + 1 : S;
  return {0, seen <= 0 ? 0 : (seen + keys - 1) / keys};
}
// Blocks of `queries` queries of which any sees a key from `first` on.
LATHE_HOST_DEVICE Span query_blocks(std::int64_t first, std::int64_t T, std::int64_t offset,
                                    bool causal, std::int64_t queries) {
  const std::int64_t end = (T + queries - 1) / queries;
  if (!causal || first <= offset) return {0, end};
  if (first - offset >= T) return {end, end};
  return {(first - offset) / queries, end};
}
// Whether every query from `query` on sees every key up to `last_key`: no mask is needed there.
LATHE_HOST_DEVICE bool sees_all(std::int64_t query, std::int64_t last_key, std::int64_t S,
                                std::int64_t offset, bool causal) {
  return last_key < S && (!causal || last_key <= offset + query);
}

// The key head that query head h of H reads, of G.
LATHE_HOST_DEVICE constexpr std::int64_t key_head(std::int64_t h, std::int64_t H, std::int64_t G) {
  return h / (H / G);
}

// Queries run longest first: with a causal mask the last blocks see the most keys, and a device
// that begins with them ends evenly.
LATHE_HOST_DEVICE constexpr std::int64_t longest_first(std::int64_t block, std::int64_t blocks) {
  return blocks - 1 - block;
}

}  // namespace lathe::cuda
