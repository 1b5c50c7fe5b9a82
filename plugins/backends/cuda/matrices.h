// What one warp does with tiles in shared memory: products of 16 rows with a tile, on the tensor
// cores for bf16 and by fused multiply-adds for f32, and copies that run beside the arithmetic.
//
// Sixteen rows of a result lie in the lanes as place_in_c says, for both types: c[j] holds the
// columns 8j to 8j + 7.
#pragma once

#include <device/block.h>
#include <lathe/tensor/dtype.h>

#include <cstdint>

#include "element.h"
#include "tiles.h"

namespace lathe::cuda {

// Elements between the rows of a tile: 16 bytes more than a row, so that eight rows lie in
// different banks.
template <class T, int width>
inline constexpr int row_stride = width + pack_of<T>;

// ---- Copies of 16 bytes from global to shared memory; zeros where there is nothing to copy.
LATHE_DEVICE void copy_later(void* shared, const void* global, bool there) {
#ifdef __CUDA_ARCH__
  const auto to = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global),
               "r"(there ? 16 : 0));
#else
  Pack<float, 4> words{};
  if (there) words = load<4>(static_cast<const float*>(global));
  store(static_cast<float*>(shared), words);
#endif
}
// Everything that this thread copied later has arrived; others see it after a barrier.
LATHE_DEVICE void await_copies() {
#ifdef __CUDA_ARCH__
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

// Rows of a [time, D] matrix in global memory: D values together, any distance between rows.
template <class T>
struct Rows {
  T* data;
  std::int64_t stride;
  std::int64_t count;
  int width;    // D
  bool packed;  // rows begin at and have multiples of 16 bytes
};

// Sends rows first ... first + rows - 1 into a tile, zeros beyond the end and beyond D.
template <int rows, int width, int threads, class T>
LATHE_DEVICE void load_tile(const Block& block, const Rows<const T>& from, std::int64_t first,
                            T* tile) {
  constexpr int step = pack_of<T>;
  constexpr int packs = width / step;
  for (int i = block.thread(); i < rows * packs; i += threads) {
    const int row = i / packs, column = i % packs * step;
    const bool there = first + row < from.count;
    const T* source = from.data + (there ? (first + row) * from.stride + column : 0);
    T* to = tile + row * row_stride<T, width> + column;
    if (from.packed) {
      const bool inside = there && column < from.width;
      copy_later(to, inside ? source : from.data, inside);
    } else {
      for (int d = 0; d < step; ++d) {
        to[d] = there && column + d < from.width ? source[d] : from_float<T>(0.0f);
      }
    }
  }
}

// Sixteen rows of a warp go out from a tile: overwriting, or added to what is there.
template <int width, class T>
LATHE_DEVICE void store_rows(const Block& block, const T* tile, const Rows<T>& to,
                             std::int64_t first, bool add) {
  constexpr int step = pack_of<T>;
  constexpr int packs = width / step;
  for (int i = block.lane(); i < 16 * packs; i += warp_size) {
    const int row = i / packs, column = i % packs * step;
    if (first + row >= to.count || column >= to.width) continue;
    T* out = to.data + (first + row) * to.stride + column;
    const T* in = tile + row * row_stride<T, width> + column;
    if (to.packed && !add) {
      store(out, load<step>(in));
      continue;
    }
    for (int d = 0; d < step && column + d < to.width; ++d) put(out[d], to_float(in[d]), add);
  }
}

// ---- ldmatrix: four matrices of 8 x 8 bf16, see place_in_matrix.
template <bool transposed>
LATHE_DEVICE void load_matrices(const Block& block, std::uint32_t (&words)[4], const bf16* row) {
#ifdef __CUDA_ARCH__
  const auto from = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  if constexpr (transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(from));
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(from));
  }
#else
  const auto mine = reinterpret_cast<std::uintptr_t>(row);
  for (int matrix = 0; matrix < 4; ++matrix) {
    words[matrix] = 0;
    for (int i = 0; i < 2; ++i) {
      const FragmentPlace at = place_in_matrix(block.lane(), i, transposed);
      const auto other = block.shuffle(static_cast<std::uint64_t>(mine), 8 * matrix + at.row);
      const bf16 value = reinterpret_cast<const bf16*>(other)[at.column];
      words[matrix] |= static_cast<std::uint32_t>(value.bits) << (16 * i);
    }
  }
#endif
}

LATHE_DEVICE std::uint32_t two_bf16(float low, float high) {
  return nearest_bf16_bits(low) | static_cast<std::uint32_t>(nearest_bf16_bits(high)) << 16;
}

// c = a b^T: a of 16 rows, b of `columns` rows, both `width` wide.
template <int columns, int width>
LATHE_DEVICE void multiply(const Block& block, const bf16* a, const bf16* b,
                           float (&c)[columns / 8][4]) {
  constexpr int stride = row_stride<bf16, width>;
  const int lane = block.lane();
  LATHE_UNROLL
  for (auto& fragment : c) {
    for (float& value : fragment) value = 0;
  }
  // Matrices of A: rows 0-7 and 8-15 of the left columns, then of the right ones. Of B: left and
  // right columns of rows 0-7, then of rows 8-15.
  a += lane % 16 * stride + lane / 16 * 8;
  b += (lane / 16 * 8 + lane % 8) * stride + lane / 8 % 2 * 8;
  LATHE_UNROLL
  for (int k = 0; k < width; k += 16) {
    std::uint32_t left[4];
    load_matrices<false>(block, left, a + k);
    LATHE_UNROLL
    for (int j = 0; j < columns / 8; j += 2) {
      std::uint32_t right[4];
      load_matrices<false>(block, right, b + j * 8 * stride + k);
      block.multiply_add(c[j], left, {right[0], right[1]});
      block.multiply_add(c[j + 1], left, {right[2], right[3]});
    }
  }
}

// o += p b: p of 16 rows in the lanes, rounded to bf16; b of `inner` rows, `width` wide.
template <int inner, int width>
LATHE_DEVICE void accumulate(const Block& block, const float (&p)[inner / 8][4], const bf16* b,
                             float*, float (&o)[width / 8][4]) {
  constexpr int stride = row_stride<bf16, width>;
  const int lane = block.lane();
  // Matrices: rows 0-7 and 8-15 of the left columns, then of the right ones.
  b += lane % 16 * stride + lane / 16 * 8;
  LATHE_UNROLL
  for (int k = 0; k < inner / 8; k += 2) {
    // Two C fragments side by side have the places of one A fragment.
    const std::uint32_t left[4] = {two_bf16(p[k][0], p[k][1]), two_bf16(p[k][2], p[k][3]),
                                   two_bf16(p[k + 1][0], p[k + 1][1]),
                                   two_bf16(p[k + 1][2], p[k + 1][3])};
    LATHE_UNROLL
    for (int j = 0; j < width / 8; j += 2) {
      std::uint32_t right[4];
      load_matrices<true>(block, right, b + k * 8 * stride + j * 8);
      block.multiply_add(o[j], left, {right[0], right[1]});
      block.multiply_add(o[j + 1], left, {right[2], right[3]});
    }
  }
}

// The same in f32, a term after the other.
template <int columns, int width>
LATHE_DEVICE void multiply(const Block& block, const float* a, const float* b,
                           float (&c)[columns / 8][4]) {
  constexpr int stride = row_stride<float, width>;
  const int row = block.lane() / 4, column = block.lane() % 4 * 2;
  LATHE_UNROLL
  for (auto& fragment : c) {
    for (float& value : fragment) value = 0;
  }
  LATHE_LOOP
  for (int k = 0; k < width; k += 4) {
    const Pack<float, 4> above = load<4>(a + row * stride + k);
    const Pack<float, 4> below = load<4>(a + (row + 8) * stride + k);
    LATHE_UNROLL
    for (int j = 0; j < columns / 8; ++j) {
      const Pack<float, 4> left = load<4>(b + (8 * j + column) * stride + k);
      const Pack<float, 4> right = load<4>(b + (8 * j + column + 1) * stride + k);
      LATHE_UNROLL
      for (int i = 0; i < 4; ++i) {
        c[j][0] += above.at[i] * left.at[i];
        c[j][1] += above.at[i] * right.at[i];
        c[j][2] += below.at[i] * left.at[i];
        c[j][3] += below.at[i] * right.at[i];
      }
    }
  }
}

// `scratch` holds 16 rows of row_stride<float, inner> values of this warp.
template <int inner, int width>
LATHE_DEVICE void accumulate(const Block& block, const float (&p)[inner / 8][4], const float* b,
                             float* scratch, float (&o)[width / 8][4]) {
  constexpr int stride = row_stride<float, width>;
  constexpr int scratch_stride = row_stride<float, inner>;
  const int row = block.lane() / 4, column = block.lane() % 4 * 2;
  block.warp_barrier();
  LATHE_UNROLL
  for (int j = 0; j < inner / 8; ++j) {
    store(scratch + row * scratch_stride + 8 * j + column, Pack<float, 2>{p[j][0], p[j][1]});
    store(scratch + (row + 8) * scratch_stride + 8 * j + column, Pack<float, 2>{p[j][2], p[j][3]});
  }
  block.warp_barrier();
  LATHE_LOOP
  for (int k = 0; k < inner; ++k) {
    const float above = scratch[row * scratch_stride + k];
    const float below = scratch[(row + 8) * scratch_stride + k];
    LATHE_UNROLL
    for (int j = 0; j < width / 8; ++j) {
      const Pack<float, 2> right = load<2>(b + k * stride + 8 * j + column);
      o[j][0] += above * right.at[0];
      o[j][1] += above * right.at[1];
      o[j][2] += below * right.at[0];
      o[j][3] += below * right.at[1];
    }
  }
}

// Bytes of that scratch for one warp; bf16 needs none.
template <class T, int inner>
inline constexpr int scratch_floats = sizeof(T) == 2 ? 0 : 16 * row_stride<float, inner>;

// Sixteen rows from the lanes into a tile, times a factor for each of the lane's two rows.
template <int width, class T>
LATHE_DEVICE void spread_rows(const Block& block, const float (&o)[width / 8][4],
                              const float (&factor)[2], T* tile) {
  block.warp_barrier();
  LATHE_UNROLL
  for (int j = 0; j < width / 8; ++j) {
    LATHE_UNROLL
    for (int i = 0; i < 4; ++i) {
      const FragmentPlace at = place_in_c(block.lane(), i);
      tile[at.row * row_stride<T, width> + 8 * j + at.column] =
          from_float<T>(o[j][i] * factor[i / 2]);
    }
  }
  block.warp_barrier();
}

}  // namespace lathe::cuda
