// What a kernel sees of the device: its place in the grid, barriers, shuffles, shared memory,
// atomics and the tensor cores.
//
// Kernels are written against class Block alone, never against the built-in variables, so that the
// same source also runs on the emulator of the tests, which replaces this folder of headers.
#pragma once

#include <device/qualifiers.h>

#include <cstddef>
#include <cstdint>

namespace lathe::cuda {

inline constexpr int warp_size = 32;
inline constexpr unsigned whole_warp = 0xffffffffu;

extern __shared__ uint4 block_shared_memory[];

class Block {
 public:
  LATHE_DEVICE int thread() const { return static_cast<int>(threadIdx.x); }
  LATHE_DEVICE int threads() const { return static_cast<int>(blockDim.x); }
  LATHE_DEVICE int lane() const { return thread() % warp_size; }
  LATHE_DEVICE int warp() const { return thread() / warp_size; }
  LATHE_DEVICE int x() const { return static_cast<int>(blockIdx.x); }
  LATHE_DEVICE int y() const { return static_cast<int>(blockIdx.y); }
  LATHE_DEVICE int z() const { return static_cast<int>(blockIdx.z); }
  LATHE_DEVICE int blocks_x() const { return static_cast<int>(gridDim.x); }
  LATHE_DEVICE int blocks_y() const { return static_cast<int>(gridDim.y); }

  // All threads of the block wait for each other; every thread must come here.
  LATHE_DEVICE void barrier() const { __syncthreads(); }
  // The same for the 32 lanes of a warp.
  LATHE_DEVICE void warp_barrier() const { __syncwarp(); }

  // The value of another lane; all lanes of the warp must come here. T of 4 or 8 bytes.
  template <class T>
  LATHE_DEVICE T shuffle(T value, int lane) const {
    return __shfl_sync(whole_warp, value, lane);
  }
  template <class T>
  LATHE_DEVICE T shuffle_xor(T value, int mask) const {
    return __shfl_xor_sync(whole_warp, value, mask);
  }
  // One bit of each lane.
  LATHE_DEVICE unsigned ballot(bool bit) const { return __ballot_sync(whole_warp, bit); }

  // The shared memory that the launch asked for, 16-byte aligned and not initialised.
  template <class T>
  LATHE_DEVICE T* shared() const {
    return reinterpret_cast<T*>(block_shared_memory);
  }

  LATHE_DEVICE int atomic_add(int* at, int value) const { return atomicAdd(at, value); }
  LATHE_DEVICE int atomic_compare_and_swap(int* at, int expected, int value) const {
    return atomicCAS(at, expected, value);
  }

  // d += a b on the tensor cores: a [16, 16] and b [16, 8] in bf16, d [16, 8] in f32, as fragments
  // of a warp (PTX ISA, "mma.m16n8k16"). Two bf16 to a word, the lower index in the lower half.
  // With g = lane / 4 and t = lane % 4 lane holds
  //   a[0] = A[g][2t, 2t+1]      a[1] = A[g+8][2t, 2t+1]
  //   a[2] = A[g][2t+8, 2t+9]    a[3] = A[g+8][2t+8, 2t+9]
  //   b[0] = B[2t, 2t+1][g]      b[1] = B[2t+8, 2t+9][g]
  //   d[0], d[1] = D[g][2t, 2t+1]   d[2], d[3] = D[g+8][2t, 2t+1]
  LATHE_DEVICE void multiply_add(float (&d)[4], const std::uint32_t (&a)[4],
                                 const std::uint32_t (&b)[2]) const {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};

// Nearest bf16, ties to even: the bits.
LATHE_DEVICE std::uint16_t nearest_bf16_bits(float value) {
  std::uint16_t bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}

LATHE_DEVICE float float_of_bits(std::uint32_t bits) { return __uint_as_float(bits); }
LATHE_DEVICE std::uint32_t bits_of_float(float value) { return __float_as_uint(value); }

}  // namespace lathe::cuda
