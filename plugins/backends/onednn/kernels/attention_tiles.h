// The parts that the forward and backward attention kernels share: packed tiles, the
// register-blocked product, visibility of keys as bits, and the dropout mask.
#pragma once

#include "attention.h"
#include "attention_scratch.h"
#include "vector.h"

namespace lathe::kernels::LATHE_ISA {

using Index = std::int64_t;
using Bits = std::uint64_t;  // one bit for each key of a block

constexpr Index vector_width = static_cast<Index>(lanes);
constexpr Index key_block = 64;
constexpr Index tile_rows = 6;
// 6 rows by this many vectors of accumulators fill the registers.
#ifdef __AVX512F__
constexpr int tile_vectors = 4;
#else
constexpr int tile_vectors = 1;
#endif

LATHE_INLINE Index smaller(Index a, Index b) { return a < b ? a : b; }
LATHE_INLINE Index larger(Index a, Index b) { return a < b ? b : a; }
LATHE_INLINE Index round_up(Index n, Index to) { return (n + to - 1) / to * to; }

LATHE_INLINE Bits low_bits(Index count) {
  return count >= key_block ? ~Bits{0} : (Bits{1} << count) - 1;
}
LATHE_INLINE Index first_bit(Bits bits) { return __builtin_ctzll(bits); }
LATHE_INLINE Index end_bit(Bits bits) { return bits == 0 ? 0 : 64 - __builtin_clzll(bits); }
// Length of the run of ones that starts at `first`.
LATHE_INLINE Index run_length(Bits bits, Index first) {
  const Bits zeros = ~(bits >> first);
  return zeros == 0 ? 64 : __builtin_ctzll(zeros);
}

// The 16 bits of `bits` that belong to vector v, as a mask of lanes.
LATHE_INLINE vmask lane_mask(Bits bits, Index v) {
  const auto sixteen = static_cast<std::uint32_t>(bits >> (vector_width * v)) & 0xffffu;
#ifdef __AVX512F__
  return {static_cast<__mmask16>(sixteen)};
#else
  const __m256i low = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i high = _mm256_slli_epi32(low, 8);
  const __m256i all = _mm256_set1_epi32(static_cast<int>(sixteen));
  return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(all, low), low)),
          _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(all, high), high))};
#endif
}

// Rows of bf16 are multiplied two values at a time where the processor can: a float then holds the
// bits of a pair, and a sum takes both products, which are exact, in f32.
#ifdef __AVX512BF16__
template <class T>
inline constexpr bool in_pairs = sizeof(T) == 2;
LATHE_INLINE vfloat fma_pairs(vfloat a, vfloat b, vfloat c) {
  const auto left = reinterpret_cast<__m512bh>(a.all);
  return {_mm512_dpbf16_ps(c.all, left, reinterpret_cast<__m512bh>(b.all))};
}
#else
template <class T>
inline constexpr bool in_pairs = false;
vfloat fma_pairs(vfloat a, vfloat b, vfloat c);  // never called
#endif

// c[m][n] = (add ? c[m][n] : 0) + sum over k of a(m,k) b[k][n], each element one chain of fused
// multiply-adds over ascending k, so that the shape of the tile leaves no trace in the bits.
// a(m,k) is a[m * a_stride + k], or a[k * a_stride + m] when `across`. With `pairs`, k counts
// pairs, strides count floats, and what is written is scaled.
struct Product {
  const float* a;
  Index a_stride;
  const float* b;
  Index b_stride;
  float* c;
  Index c_stride;
  Index depth;
  float scale = 1.0f;  // of pairs alone
};

template <int rows, int vectors, bool across, bool add, bool pairs>
static inline __attribute__((always_inline)) void multiply_tile(const Product& p, Index m0,
                                                                Index n0) {
  const Index a_row = across ? 1 : p.a_stride;
  const Index a_step = across ? p.a_stride : 1;
  const float* a = p.a + m0 * a_row;
  const float* b = p.b + n0;
  float* c = p.c + m0 * p.c_stride + n0;
  vfloat sum[rows][vectors];
#pragma GCC unroll 8
  for (int m = 0; m < rows; ++m) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
      sum[m][v] = add ? load(c + m * p.c_stride + v * vector_width) : broadcast(0.0f);
    }
  }
  for (Index k = 0; k < p.depth; ++k) {
    vfloat row[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) row[v] = load(b + v * vector_width);
#pragma GCC unroll 8
    for (int m = 0; m < rows; ++m) {
      const vfloat x = broadcast(a[m * a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        if constexpr (pairs) {
          sum[m][v] = fma_pairs(x, row[v], sum[m][v]);
        } else {
          sum[m][v] = fma(x, row[v], sum[m][v]);
        }
      }
    }
    a += a_step;
    b += p.b_stride;
  }
#pragma GCC unroll 8
  for (int m = 0; m < rows; ++m) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
      const vfloat x = pairs ? sum[m][v] * broadcast(p.scale) : sum[m][v];
      store(c + m * p.c_stride + v * vector_width, x);
    }
  }
}

// At most tile_rows rows from m0 on, at most tile_vectors vectors from column n0 on.
template <int vectors, bool across, bool add, bool pairs>
static __attribute__((noinline)) void multiply_rows(const Product& p, Index m0, Index rows,
                                                    Index n0) {
  switch (rows) {
    case 6:
      return multiply_tile<6, vectors, across, add, pairs>(p, m0, n0);
    case 5:
      return multiply_tile<5, vectors, across, add, pairs>(p, m0, n0);
    case 4:
      return multiply_tile<4, vectors, across, add, pairs>(p, m0, n0);
    case 3:
      return multiply_tile<3, vectors, across, add, pairs>(p, m0, n0);
    case 2:
      return multiply_tile<2, vectors, across, add, pairs>(p, m0, n0);
    default:
      return multiply_tile<1, vectors, across, add, pairs>(p, m0, n0);
  }
}

// The rows m0 to m0 + rows (at most tile_rows) of `columns` (a multiple of 16) columns.
template <bool across, bool add, bool pairs = false>
static inline void multiply(const Product& p, Index m0, Index rows, Index columns) {
  Index n0 = 0;
  for (; n0 + tile_vectors * vector_width <= columns; n0 += tile_vectors * vector_width) {
    multiply_rows<tile_vectors, across, add, pairs>(p, m0, rows, n0);
  }
#ifdef __AVX512F__
  switch ((columns - n0) / vector_width) {
    case 3:
      return multiply_rows<3, across, add, pairs>(p, m0, rows, n0);
    case 2:
      return multiply_rows<2, across, add, pairs>(p, m0, rows, n0);
    case 1:
      return multiply_rows<1, across, add, pairs>(p, m0, rows, n0);
    default:
      return;
  }
#endif
}

template <class T>
static inline T* element(const AttentionOperand& x, Index b, Index time, Index head) {
  return static_cast<T*>(x.data) + b * x.batch + time * x.time + head * x.head;
}

LATHE_INLINE void fill_zero(float* to, Index count) {
  __builtin_memset(to, 0, static_cast<std::size_t>(count) * sizeof(float));
}

// `width` values times `scale` as f32, followed by zeros up to a multiple of 16.
template <class T>
static inline void load_row(float* to, const T* from, Index width, float scale) {
  const vfloat factor = broadcast(scale);
  Index d = 0;
  for (; d + vector_width <= width; d += vector_width) store(to + d, load(from + d) * factor);
  if (d < width) store(to + d, load(from + d, static_cast<std::size_t>(width - d)) * factor);
}

// `width` bf16 as pairs, followed by zeros up to a multiple of 16 values.
LATHE_INLINE void copy_row(float* to, const bf16* from, Index width) {
  constexpr std::size_t step = lanes * sizeof(bf16);
  Index d = 0;
  for (; d + vector_width <= width; d += vector_width, to += vector_width / 2) {
    __builtin_memcpy(to, static_cast<const void*>(from + d), step);
  }
  if (d == width) return;
  __builtin_memset(to, 0, step);
  __builtin_memcpy(to, static_cast<const void*>(from + d),
                   static_cast<std::size_t>(width - d) * sizeof(bf16));
}

// Rows of a packed projection lie kilobytes apart, where the processor does not see the next one
// coming.
template <class T>
static inline void prefetch_row(const T* row, Index width) {
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));
  for (Index d = 0; d < width; d += line) __builtin_prefetch(row + d);
}
constexpr Index prefetch_distance = 8;

// The rows `first` to `first + count` of one head of k or v, as f32 [key_block, padded width]; the
// rows after them, up to a multiple of 16, are zero.
template <class T>
static inline void load_block(float* to, const AttentionOperand& x, Index b, Index head,
                              Index first, Index count, Index width) {
  const Index padded = round_up(width, vector_width);
  for (Index j = 0; j < count; ++j) {
    const Index soon = smaller(j + prefetch_distance, count - 1);
    prefetch_row(element<T>(x, b, first + soon, head), width);
    load_row(to + j * padded, element<T>(x, b, first + j, head), width, 1.0f);
  }
  fill_zero(to + count * padded, (round_up(count, vector_width) - count) * padded);
}

LATHE_INLINE void transpose_eight(float* to, Index to_stride, const float* from,
                                  Index from_stride) {
  __m256 r[8], t[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(from + i * from_stride);
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(to + i * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}

// [rows, width] to [width, key_block], the width a multiple of 8; rows are taken up to a multiple
// of 16.
LATHE_INLINE void transpose_block(float* to, const float* from, Index from_stride, Index rows,
                                  Index width) {
  for (Index j = 0; j < round_up(rows, vector_width); j += 8) {
    for (Index d = 0; d < width; d += 8) {
      transpose_eight(to + d * key_block + j, key_block, from + j * from_stride + d, from_stride);
    }
  }
}

// Rows of q, k or v as products along their width take them: f32, or pairs of bf16 as they are.
template <class T>
LATHE_INLINE Index packed(Index padded) {
  return in_pairs<T> ? padded / 2 : padded;
}

// The rows `first` to `first + count` of one head of k or v, transposed to [packed width,
// key_block]; `rows`, [key_block, packed width], is room to work in.
template <class T>
static inline void load_across(float* to, float* rows, const AttentionOperand& x, Index b,
                               Index head, Index first, Index count, Index width) {
  const Index size = packed<T>(round_up(width, vector_width));
  if constexpr (in_pairs<T>) {
    for (Index j = 0; j < count; ++j) {
      const Index soon = smaller(j + prefetch_distance, count - 1);
      prefetch_row(element<T>(x, b, first + soon, head), width);
      copy_row(rows + j * size, element<T>(x, b, first + j, head), width);
    }
    fill_zero(rows + count * size, (round_up(count, vector_width) - count) * size);
  } else {
    load_block<T>(rows, x, b, head, first, count, width);
  }
  transpose_block(to, rows, size, count, size);
}

// Rows of one key head: its queries in order of time, at each time the heads that share it.
struct Row {
  Index time, head;
};
LATHE_INLINE Row row_at(const Attention& a, Index key_head, Index row) {
  const Index group = a.heads / a.key_heads;
  return {row / group, key_head * group + row % group};
}

// One more than the last key that a query at time t may see by its position.
LATHE_INLINE Index key_end(const Attention& a, Index b, Index t) {
  if (!a.causal) return a.keys;
  return smaller(a.keys, (a.offset == nullptr ? 0 : a.offset[b]) + t + 1);
}

// Which of the keys first to first + 64 the query at time t sees.
LATHE_INLINE Bits visible(const Attention& a, Index b, Index t, Index first) {
  const Index count = key_end(a, b, t) - first;
  if (count <= 0) return 0;
  const Bits bits = low_bits(count);
  if (a.query_segment == nullptr) return bits;
  const std::int32_t id = a.query_segment[b * a.queries + t];
  if (id < 0) return 0;
  const std::int32_t* ids = a.key_segment + b * a.keys + first;
  const Index seen = smaller(count, key_block);
  Bits same = 0;
  Index j = 0;
  for (; j + 8 <= seen; j += 8) {
    const __m256i eight = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(ids + j));
    const __m256i equal_ids = _mm256_cmpeq_epi32(eight, _mm256_set1_epi32(id));
    const int byte = _mm256_movemask_ps(_mm256_castsi256_ps(equal_ids));
    same |= static_cast<Bits>(static_cast<unsigned>(byte)) << j;
  }
  for (; j < seen; ++j) same |= Bits{ids[j] == id} << j;
  return same;
}

// Fills bits[0..rows) for the rows from `row` on and returns their union.
LATHE_INLINE Bits visible_rows(const Attention& a, Index b, Index key_head, Index row, Index rows,
                               Index first, Bits* bits) {
  Bits any = 0;
  Index last_time = -1;
  Bits last = 0;
  for (Index i = 0; i < rows; ++i) {
    const Index t = row_at(a, key_head, row + i).time;
    if (t != last_time) last = visible(a, b, t, first);
    last_time = t;
    bits[i] = last;
    any |= last;
  }
  return any;
}

// Four blocks of Philox4x32-10 (lathe/base/random.h) from `block` on: sixteen words in order.
LATHE_INLINE void philox_words(const RandomStream& random, std::uint64_t block,
                               std::uint32_t* words) {
  struct {
    std::uint32_t key[2];
    std::uint64_t step;
  } raw;
  static_assert(sizeof(raw) == sizeof(random));
  __builtin_memcpy(&raw, &random, sizeof(raw));
  const __m256i low = _mm256_set1_epi64x(0xffffffff);
  const __m256i index = _mm256_add_epi64(_mm256_set1_epi64x(static_cast<long long>(block)),
                                         _mm256_setr_epi64x(0, 1, 2, 3));
  __m256i c0 = _mm256_and_si256(index, low);
  __m256i c1 = _mm256_srli_epi64(index, 32);
  __m256i c2 = _mm256_set1_epi64x(static_cast<long long>(raw.step & 0xffffffffu));
  __m256i c3 = _mm256_set1_epi64x(static_cast<long long>(raw.step >> 32));
  std::uint32_t k0 = raw.key[0], k1 = raw.key[1];
  for (int round = 0; round < 10; ++round) {
    const __m256i x = _mm256_mul_epu32(c0, _mm256_set1_epi64x(0xD2511F53));
    const __m256i y = _mm256_mul_epu32(c2, _mm256_set1_epi64x(0xCD9E8D57));
    c0 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(y, 32), c1), _mm256_set1_epi64x(k0));
    c1 = _mm256_and_si256(y, low);
    c2 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(x, 32), c3), _mm256_set1_epi64x(k1));
    c3 = _mm256_and_si256(x, low);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  // Each 64-bit lane holds one block: (c0,c1) and (c2,c3) side by side, then lanes in order.
  const __m256i front = _mm256_or_si256(c0, _mm256_slli_epi64(c1, 32));
  const __m256i back = _mm256_or_si256(c2, _mm256_slli_epi64(c3, 32));
  const __m256i even = _mm256_unpacklo_epi64(front, back);  // blocks 0 and 2
  const __m256i odd = _mm256_unpackhi_epi64(front, back);   // blocks 1 and 3
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(words),
                      _mm256_permute2x128_si256(even, odd, 0x20));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(words + 8),
                      _mm256_permute2x128_si256(even, odd, 0x31));
}

// The factors of the `count` (a multiple of 16) weights from element `index` on: 0 where dropped,
// 1/(1-p) where kept.
LATHE_INLINE void dropout_factors(const Attention& a, std::uint64_t index, Index count,
                                  float* factors) {
  alignas(64) std::uint32_t words[key_block + vector_width];
  const auto skip = static_cast<Index>(index % 4);
  for (Index w = 0; w < count + skip; w += vector_width) {
    philox_words(a.random, index / 4 + static_cast<std::uint64_t>(w / 4), words + w);
  }
  const vfloat limit = broadcast(a.dropout);
  const vfloat kept = broadcast(1.0f / (1.0f - a.dropout));
  alignas(64) float uniform[key_block];
  for (Index i = 0; i < count; ++i) {
    uniform[i] = static_cast<float>(static_cast<std::int32_t>(words[i + skip] >> 8)) * 0x1p-24f;
  }
  for (Index i = 0; i < count; i += vector_width) {
    store(factors + i, select(less(load(uniform + i), limit), broadcast(0.0f), kept));
  }
}

LATHE_INLINE std::uint64_t element_index(const Attention& a, Index b, Row row, Index key) {
  return static_cast<std::uint64_t>(((b * a.heads + row.head) * a.queries + row.time) * a.keys +
                                    key);
}

}  // namespace lathe::kernels::LATHE_ISA
