// Sixteen f32 lanes with the same order of operations at every instruction set, so that a kernel
// written once gives the same bits on AVX2 and AVX-512 wherever it fixes its own order.
//
// Compile each *_kernel.cpp with -DLATHE_ISA=avx2|avx512|avx512_bf16 and the matching -march.
// Everything here has internal linkage and is always inlined: a function that the linker could
// merge across instruction sets would crash older processors.
#pragma once

#ifndef LATHE_ISA
#error "kernel sources need -DLATHE_ISA=avx2, avx512 or avx512_bf16"
#endif

// GCC 12 takes the don't-care operand of its own AVX-512 intrinsics for a use of garbage.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include <immintrin.h>
#include <lathe/tensor/dtype.h>

#include <cstddef>
#include <cstdint>

#define LATHE_INLINE [[maybe_unused]] static inline __attribute__((always_inline))

namespace lathe::kernels::LATHE_ISA {

inline constexpr std::size_t lanes = 16;

#ifdef __AVX512F__

typedef float float_lanes __attribute__((vector_size(64)));

struct vfloat {
  float_lanes all;
};
struct vint {
  __m512i all;
};
struct vmask {
  __mmask16 all;
};

LATHE_INLINE vfloat broadcast(float x) { return {_mm512_set1_ps(x)}; }
LATHE_INLINE vint broadcast_int(std::int32_t x) { return {_mm512_set1_epi32(x)}; }

LATHE_INLINE vfloat load(const float* from) { return {_mm512_loadu_ps(from)}; }
LATHE_INLINE void store(float* to, vfloat x) { _mm512_storeu_ps(to, x.all); }
LATHE_INLINE void stream(float* to, vfloat x) { _mm512_stream_ps(to, x.all); }

LATHE_INLINE __mmask16 first_lanes(std::size_t count) {
  return static_cast<__mmask16>((1u << count) - 1u);
}
LATHE_INLINE vmask mask_first(std::size_t count) { return {first_lanes(count)}; }
// The first `count` (0 to 16) lanes; the others are zero and their memory is not touched.
LATHE_INLINE vfloat load(const float* from, std::size_t count) {
  return {_mm512_maskz_loadu_ps(first_lanes(count), from)};
}
LATHE_INLINE void store(float* to, vfloat x, std::size_t count) {
  _mm512_mask_storeu_ps(to, first_lanes(count), x.all);
}

LATHE_INLINE vfloat operator+(vfloat a, vfloat b) { return {a.all + b.all}; }
LATHE_INLINE vfloat operator-(vfloat a, vfloat b) { return {a.all - b.all}; }
LATHE_INLINE vfloat operator*(vfloat a, vfloat b) { return {a.all * b.all}; }
LATHE_INLINE vfloat operator/(vfloat a, vfloat b) { return {a.all / b.all}; }
LATHE_INLINE vfloat operator-(vfloat a) { return {-a.all}; }
LATHE_INLINE vfloat fma(vfloat a, vfloat b, vfloat c) {
  return {_mm512_fmadd_ps(a.all, b.all, c.all)};
}
// When a lane of either is NaN, the result is that of b.
LATHE_INLINE vfloat max(vfloat a, vfloat b) { return {_mm512_max_ps(a.all, b.all)}; }
LATHE_INLINE vfloat min(vfloat a, vfloat b) { return {_mm512_min_ps(a.all, b.all)}; }
LATHE_INLINE vfloat sqrt(vfloat x) { return {_mm512_sqrt_ps(x.all)}; }
LATHE_INLINE vfloat abs(vfloat x) { return {_mm512_abs_ps(x.all)}; }
LATHE_INLINE vfloat round(vfloat x) {
  return {_mm512_roundscale_ps(x.all, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}

LATHE_INLINE vmask less(vfloat a, vfloat b) {
  return {_mm512_cmp_ps_mask(a.all, b.all, _CMP_LT_OQ)};
}
LATHE_INLINE vmask equal(vfloat a, vfloat b) {
  return {_mm512_cmp_ps_mask(a.all, b.all, _CMP_EQ_OQ)};
}
LATHE_INLINE vmask is_nan(vfloat x) { return {_mm512_cmp_ps_mask(x.all, x.all, _CMP_UNORD_Q)}; }
LATHE_INLINE vfloat select(vmask mask, vfloat yes, vfloat no) {
  return {_mm512_mask_blend_ps(mask.all, no.all, yes.all)};
}
LATHE_INLINE bool any(vmask mask) { return mask.all != 0; }

LATHE_INLINE vint as_int(vfloat x) { return {_mm512_castps_si512(x.all)}; }
LATHE_INLINE vfloat as_float(vint x) { return {_mm512_castsi512_ps(x.all)}; }
LATHE_INLINE vint to_int(vfloat x) { return {_mm512_cvtps_epi32(x.all)}; }
LATHE_INLINE vfloat to_float(vint x) { return {_mm512_cvtepi32_ps(x.all)}; }
LATHE_INLINE vint operator+(vint a, vint b) { return {_mm512_add_epi32(a.all, b.all)}; }
LATHE_INLINE vint operator-(vint a, vint b) { return {_mm512_sub_epi32(a.all, b.all)}; }
LATHE_INLINE vint operator&(vint a, vint b) { return {_mm512_and_si512(a.all, b.all)}; }
LATHE_INLINE vint operator|(vint a, vint b) { return {_mm512_or_si512(a.all, b.all)}; }
template <int bits>
static inline __attribute__((always_inline)) vint shift_left(vint x) {
  return {_mm512_slli_epi32(x.all, bits)};
}
template <int bits>
static inline __attribute__((always_inline)) vint shift_right(vint x) {
  return {_mm512_srai_epi32(x.all, bits)};
}

LATHE_INLINE __m256 lower_half(vfloat x) { return _mm512_castps512_ps256(x.all); }
LATHE_INLINE __m256 upper_half(vfloat x) { return _mm512_extractf32x8_ps(x.all, 1); }

LATHE_INLINE vfloat widen(__m256i halves) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))};
}
// Integer rounding, not VCVTNEPS2BF16, which flushes subnormal numbers to zero.
LATHE_INLINE __m256i narrow(vfloat x) {
  const __m512i bits = _mm512_castps_si512(x.all);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
  rounded = _mm512_mask_or_epi32(rounded, is_nan(x).all, bits, _mm512_set1_epi32(0x400000));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}
LATHE_INLINE vfloat load(const bf16* from, std::size_t count) {
  return widen(_mm256_maskz_loadu_epi16(first_lanes(count), from));
}
LATHE_INLINE void store(bf16* to, vfloat x, std::size_t count) {
  _mm256_mask_storeu_epi16(to, first_lanes(count), narrow(x));
}

#else

struct vfloat {
  __m256 low, high;
};
struct vint {
  __m256i low, high;
};
struct vmask {
  __m256 low, high;
};

LATHE_INLINE vfloat broadcast(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
LATHE_INLINE vint broadcast_int(std::int32_t x) {
  return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
}

LATHE_INLINE vfloat load(const float* from) {
  return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}
LATHE_INLINE void store(float* to, vfloat x) {
  _mm256_storeu_ps(to, x.low);
  _mm256_storeu_ps(to + 8, x.high);
}
LATHE_INLINE void stream(float* to, vfloat x) {
  _mm256_stream_ps(to, x.low);
  _mm256_stream_ps(to + 8, x.high);
}

LATHE_INLINE vmask mask_first(std::size_t count) {
  const __m256i last = _mm256_set1_epi32(static_cast<int>(count));
  const __m256i low = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i high = _mm256_add_epi32(low, _mm256_set1_epi32(8));
  return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(last, low)),
          _mm256_castsi256_ps(_mm256_cmpgt_epi32(last, high))};
}
// The first `count` (0 to 16) lanes; the others are zero and their memory is not touched.
LATHE_INLINE vfloat load(const float* from, std::size_t count) {
  const vmask mask = mask_first(count);
  return {_mm256_maskload_ps(from, _mm256_castps_si256(mask.low)),
          _mm256_maskload_ps(from + 8, _mm256_castps_si256(mask.high))};
}
LATHE_INLINE void store(float* to, vfloat x, std::size_t count) {
  const vmask mask = mask_first(count);
  _mm256_maskstore_ps(to, _mm256_castps_si256(mask.low), x.low);
  _mm256_maskstore_ps(to + 8, _mm256_castps_si256(mask.high), x.high);
}

LATHE_INLINE vfloat operator+(vfloat a, vfloat b) { return {a.low + b.low, a.high + b.high}; }
LATHE_INLINE vfloat operator-(vfloat a, vfloat b) { return {a.low - b.low, a.high - b.high}; }
LATHE_INLINE vfloat operator*(vfloat a, vfloat b) { return {a.low * b.low, a.high * b.high}; }
LATHE_INLINE vfloat operator/(vfloat a, vfloat b) { return {a.low / b.low, a.high / b.high}; }
LATHE_INLINE vfloat operator-(vfloat a) { return {-a.low, -a.high}; }
LATHE_INLINE vfloat fma(vfloat a, vfloat b, vfloat c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
// When a lane of either is NaN, the result is that of b.
LATHE_INLINE vfloat max(vfloat a, vfloat b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
LATHE_INLINE vfloat min(vfloat a, vfloat b) {
  return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
LATHE_INLINE vfloat sqrt(vfloat x) { return {_mm256_sqrt_ps(x.low), _mm256_sqrt_ps(x.high)}; }
LATHE_INLINE vfloat abs(vfloat x) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, x.low), _mm256_andnot_ps(sign, x.high)};
}
LATHE_INLINE vfloat round(vfloat x) {
  return {_mm256_round_ps(x.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
          _mm256_round_ps(x.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}

LATHE_INLINE vmask less(vfloat a, vfloat b) {
  return {_mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ), _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ)};
}
LATHE_INLINE vmask equal(vfloat a, vfloat b) {
  return {_mm256_cmp_ps(a.low, b.low, _CMP_EQ_OQ), _mm256_cmp_ps(a.high, b.high, _CMP_EQ_OQ)};
}
LATHE_INLINE vmask is_nan(vfloat x) {
  return {_mm256_cmp_ps(x.low, x.low, _CMP_UNORD_Q), _mm256_cmp_ps(x.high, x.high, _CMP_UNORD_Q)};
}
LATHE_INLINE vfloat select(vmask mask, vfloat yes, vfloat no) {
  return {_mm256_blendv_ps(no.low, yes.low, mask.low),
          _mm256_blendv_ps(no.high, yes.high, mask.high)};
}
LATHE_INLINE bool any(vmask mask) {
  return _mm256_movemask_ps(_mm256_or_ps(mask.low, mask.high)) != 0;
}

LATHE_INLINE vint as_int(vfloat x) {
  return {_mm256_castps_si256(x.low), _mm256_castps_si256(x.high)};
}
LATHE_INLINE vfloat as_float(vint x) {
  return {_mm256_castsi256_ps(x.low), _mm256_castsi256_ps(x.high)};
}
LATHE_INLINE vint to_int(vfloat x) {
  return {_mm256_cvtps_epi32(x.low), _mm256_cvtps_epi32(x.high)};
}
LATHE_INLINE vfloat to_float(vint x) {
  return {_mm256_cvtepi32_ps(x.low), _mm256_cvtepi32_ps(x.high)};
}
LATHE_INLINE vint operator+(vint a, vint b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
LATHE_INLINE vint operator-(vint a, vint b) {
  return {_mm256_sub_epi32(a.low, b.low), _mm256_sub_epi32(a.high, b.high)};
}
LATHE_INLINE vint operator&(vint a, vint b) {
  return {_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)};
}
LATHE_INLINE vint operator|(vint a, vint b) {
  return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
}
template <int bits>
static inline __attribute__((always_inline)) vint shift_left(vint x) {
  return {_mm256_slli_epi32(x.low, bits), _mm256_slli_epi32(x.high, bits)};
}
template <int bits>
static inline __attribute__((always_inline)) vint shift_right(vint x) {
  return {_mm256_srai_epi32(x.low, bits), _mm256_srai_epi32(x.high, bits)};
}

LATHE_INLINE vfloat widen(__m256i halves) {
  const __m256i low = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(halves));
  const __m256i high = _mm256_cvtepu16_epi32(_mm256_extracti128_si256(halves, 1));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(low, 16)),
          _mm256_castsi256_ps(_mm256_slli_epi32(high, 16))};
}
LATHE_INLINE __m256i narrow_half(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
}
LATHE_INLINE __m256i narrow(vfloat x) {
  // The pack works within 128-bit halves; the permutation puts the quarters back in order.
  const __m256i packed = _mm256_packus_epi32(narrow_half(x.low), narrow_half(x.high));
  return _mm256_permute4x64_epi64(packed, 0xd8);
}
LATHE_INLINE vfloat load(const bf16* from, std::size_t count) {
  alignas(32) std::uint16_t halves[lanes] = {};
  __builtin_memcpy(halves, from, 2 * count);
  return widen(_mm256_load_si256(reinterpret_cast<const __m256i*>(halves)));
}
LATHE_INLINE void store(bf16* to, vfloat x, std::size_t count) {
  alignas(32) std::uint16_t halves[lanes];
  _mm256_store_si256(reinterpret_cast<__m256i*>(halves), narrow(x));
  __builtin_memcpy(static_cast<void*>(to), halves, 2 * count);
}

LATHE_INLINE __m256 lower_half(vfloat x) { return x.low; }
LATHE_INLINE __m256 upper_half(vfloat x) { return x.high; }

#endif

LATHE_INLINE vfloat load(const bf16* from) {
  return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
LATHE_INLINE void store(bf16* to, vfloat x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), narrow(x));
}
// To memory past the caches, for what is not read again soon: the line is not fetched first. `to`
// is a multiple of 32 bytes. Other threads see it after finish_streams() of this thread.
LATHE_INLINE void stream(bf16* to, vfloat x) {
  _mm256_stream_si256(reinterpret_cast<__m256i*>(to), narrow(x));
}
LATHE_INLINE void finish_streams() { _mm_sfence(); }

// One element; bf16's own members are not used, since they could be emitted out of line.
LATHE_INLINE float scalar(const float* from) { return *from; }
LATHE_INLINE float scalar(const bf16* from) {
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(static_cast<int>(from->bits) << 16)));
}
LATHE_INLINE float first_lane(vfloat x) { return _mm256_cvtss_f32(lower_half(x)); }

// Lane i takes part with lane i + 8, then i + 4, i + 2, i + 1: the same order everywhere.
LATHE_INLINE float sum(vfloat x) {
  const __m256 eight = lower_half(x) + upper_half(x);
  const __m128 four = _mm256_castps256_ps128(eight) + _mm256_extractf128_ps(eight, 1);
  const __m128 two = four + _mm_movehl_ps(four, four);
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
LATHE_INLINE float largest(vfloat x) {
  const __m256 eight = _mm256_max_ps(lower_half(x), upper_half(x));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

}  // namespace lathe::kernels::LATHE_ISA

#include "vector_math.h"
