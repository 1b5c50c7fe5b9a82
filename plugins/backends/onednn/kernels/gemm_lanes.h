// Vectors of the matrix product: 16 lanes with AVX-512, 8 with AVX2. Included by gemm_kernel.cpp
// alone, once per instruction set.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace lathe::kernels::LATHE_ISA::matrix {

#if defined(__AVX512F__)

using Vector = __m512;
constexpr int lane_count = 16;
constexpr int max_rows = 14;  // 28 of the 32 registers hold sums

static inline __mmask16 first(int lanes) { return static_cast<__mmask16>((1u << lanes) - 1u); }
static inline Vector zero_vector() { return _mm512_setzero_ps(); }
static inline Vector load_vector(const float* at) { return _mm512_loadu_ps(at); }
static inline Vector load_vector(const float* at, int lanes) {
  return _mm512_maskz_loadu_ps(first(lanes), at);
}
static inline void store_vector(float* at, Vector value) { _mm512_storeu_ps(at, value); }
static inline void stream_vector(float* at, Vector value) { _mm512_stream_ps(at, value); }
static inline void store_vector(float* at, Vector value, int lanes) {
  _mm512_mask_storeu_ps(at, first(lanes), value);
}
static inline Vector multiply_add(float a, Vector b, Vector c) {
  return _mm512_fmadd_ps(_mm512_set1_ps(a), b, c);
}
// Half a vector, which takes half of the time where the processor works by 256 bits.
using Half = __m256;
static inline void load_into(Vector& to, const float* at) { to = load_vector(at); }
static inline void load_into(Half& to, const float* at) { to = _mm256_loadu_ps(at); }
static inline void store_vector(float* at, Half value) { _mm256_storeu_ps(at, value); }
static inline void stream_vector(float* at, Half value) { _mm256_stream_ps(at, value); }
static inline Half multiply_add(float a, Half b, Half c) {
  return _mm256_fmadd_ps(_mm512_castps512_ps256(_mm512_set1_ps(a)), b, c);
}
static inline Vector load_wide(const std::uint16_t* at, int lanes) {
  const __m256i half = lanes == 16 ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at))
                                   : _mm256_maskz_loadu_epi16(first(lanes), at);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

#if defined(__AVX512BF16__)
// a: two bf16 in the bits of a float.
static inline Vector multiply_add_pairs(float a, Vector b, Vector c) {
  return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(_mm512_set1_ps(a)),
                          reinterpret_cast<__m512bh>(b));
}
// 16 pairs that are contiguous in memory, of `elements` bf16 (the rest reads as 0).
static inline Vector load_pairs(const std::uint16_t* at, int elements) {
  if (elements >= 32) return _mm512_loadu_ps(at);
  const auto mask = static_cast<__mmask32>((1u << elements) - 1u);
  return _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(mask, at));
}
// 16 pairs made of one element from each of two lines; `high` may be null (zeros).
static inline Vector load_pairs(const std::uint16_t* low, const std::uint16_t* high, int lanes) {
  const __m512i even = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first(lanes), low));
  if (high == nullptr) return _mm512_castsi512_ps(even);
  const __m512i odd = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first(lanes), high));
  return _mm512_castsi512_ps(_mm512_or_si512(even, _mm512_slli_epi32(odd, 16)));
}
#endif

static inline Vector unpack_low_pairs(Vector a, Vector b) {
  return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}
static inline Vector unpack_high_pairs(Vector a, Vector b) {
  return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}

// Element j of lines[i] becomes element i of lines[j].
static inline void transpose(Vector (&lines)[16]) {
  Vector pairs[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 4) {
    const Vector low01 = _mm512_unpacklo_ps(lines[i], lines[i + 1]);
    const Vector high01 = _mm512_unpackhi_ps(lines[i], lines[i + 1]);
    const Vector low23 = _mm512_unpacklo_ps(lines[i + 2], lines[i + 3]);
    const Vector high23 = _mm512_unpackhi_ps(lines[i + 2], lines[i + 3]);
    pairs[i] = unpack_low_pairs(low01, low23);
    pairs[i + 1] = unpack_high_pairs(low01, low23);
    pairs[i + 2] = unpack_low_pairs(high01, high23);
    pairs[i + 3] = unpack_high_pairs(high01, high23);
  }
#pragma GCC unroll 16
  for (int j = 0; j < 4; ++j) {
    const Vector even_low = _mm512_shuffle_f32x4(pairs[j], pairs[j + 4], 0x88);
    const Vector odd_low = _mm512_shuffle_f32x4(pairs[j], pairs[j + 4], 0xdd);
    const Vector even_high = _mm512_shuffle_f32x4(pairs[j + 8], pairs[j + 12], 0x88);
    const Vector odd_high = _mm512_shuffle_f32x4(pairs[j + 8], pairs[j + 12], 0xdd);
    lines[j] = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
    lines[j + 8] = _mm512_shuffle_f32x4(even_low, even_high, 0xdd);
    lines[j + 4] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
    lines[j + 12] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd);
  }
}

#else

using Vector = __m256;
constexpr int lane_count = 8;
constexpr int max_rows = 6;  // 12 of the 16 registers hold sums

static inline __m256i first(int lanes) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline Vector zero_vector() { return _mm256_setzero_ps(); }
static inline Vector load_vector(const float* at) { return _mm256_loadu_ps(at); }
static inline Vector load_vector(const float* at, int lanes) {
  return lanes == 8 ? _mm256_loadu_ps(at) : _mm256_maskload_ps(at, first(lanes));
}
static inline void store_vector(float* at, Vector value) { _mm256_storeu_ps(at, value); }
static inline void stream_vector(float* at, Vector value) { _mm256_stream_ps(at, value); }
static inline void store_vector(float* at, Vector value, int lanes) {
  _mm256_maskstore_ps(at, first(lanes), value);
}
static inline Vector multiply_add(float a, Vector b, Vector c) {
  return _mm256_fmadd_ps(_mm256_set1_ps(a), b, c);
}
using Half = Vector;  // there is nothing to gain
static inline void load_into(Vector& to, const float* at) { to = load_vector(at); }
static inline Vector load_wide(const std::uint16_t* at, int lanes) {
  __m128i half;
  if (lanes == 8) {
    half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  } else {
    alignas(16) std::uint16_t copy[8] = {};
    for (int i = 0; i < lanes; ++i) copy[i] = at[i];
    half = _mm_load_si128(reinterpret_cast<const __m128i*>(copy));
  }
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

// Element j of lines[i] becomes element i of lines[j].
static inline void transpose(Vector (&lines)[8]) {
  Vector quads[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i += 4) {
    const Vector low01 = _mm256_unpacklo_ps(lines[i], lines[i + 1]);
    const Vector high01 = _mm256_unpackhi_ps(lines[i], lines[i + 1]);
    const Vector low23 = _mm256_unpacklo_ps(lines[i + 2], lines[i + 3]);
    const Vector high23 = _mm256_unpackhi_ps(lines[i + 2], lines[i + 3]);
    quads[i] = _mm256_shuffle_ps(low01, low23, 0x44);
    quads[i + 1] = _mm256_shuffle_ps(low01, low23, 0xee);
    quads[i + 2] = _mm256_shuffle_ps(high01, high23, 0x44);
    quads[i + 3] = _mm256_shuffle_ps(high01, high23, 0xee);
  }
#pragma GCC unroll 8
  for (int j = 0; j < 4; ++j) {
    lines[j] = _mm256_permute2f128_ps(quads[j], quads[j + 4], 0x20);
    lines[j + 4] = _mm256_permute2f128_ps(quads[j], quads[j + 4], 0x31);
  }
}

#endif

constexpr int panel_columns = 2 * lane_count;

}  // namespace lathe::kernels::LATHE_ISA::matrix
