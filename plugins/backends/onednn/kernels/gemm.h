// Matrix products whose bits depend on the operands alone: every element of C is one chain of
// fused multiply-adds over k = 0 .. K-1, whatever M, N, layout, alignment or thread count.
#pragma once

#include <lathe/tensor/dtype.h>

#include <cstddef>
#include <cstdint>

#include "activation_kind.h"

namespace lathe::kernels {

// C[M,N] (+)= act(A[M,K] B[K,N] + bias[N]) + residual[M,N]
//
// f32: c <- fma(a[k], b[k], c) for k = 0, 1, ..., starting from 0, or from C with `add`. So K split
// over several calls with `add` into an f32 C gives the bits of one call.
// bf16: accumulated in f32. With the avx512_bf16 instruction set one step takes the pair k, k+1
// (VDPBF16PS, an odd last k is paired with 0; so a split of K must be even); the other sets widen
// to f32 and take the f32 chain.
// A, B and C do not overlap, save that `residual` may be C itself.
struct Gemm {
  std::int64_t m = 0, n = 0, k = 0;
  const void* a = nullptr;  // element strides, one of them 1
  std::int64_t a_row = 0, a_column = 1;
  const void* b = nullptr;  // weights [out, in] used as B^T: b_row = 1, b_column = in
  std::int64_t b_row = 0, b_column = 1;
  void* c = nullptr;  // column stride 1
  std::int64_t c_row = 0;
  DType ab_type = DType::f32;   // f32 or bf16
  DType c_type = DType::f32;    // f32 or bf16
  bool add = false;             // not together with an activation
  const float* bias = nullptr;  // [N]
  Activation activation = Activation::none;
  void* before = nullptr;  // [M,N] of c_type, row stride c_row: the value before `activation`
  const void* residual = nullptr;  // [M,N] of c_type, row stride residual_row; added last
  std::int64_t residual_row = 0;
  // B once more, as pack_panels() has laid it out: products of few rows read that, where memory is
  // the limit, and have the same bits.
  const float* b_panels = nullptr;
  bool c_is_cold = false;  // nobody reads C soon, so that a large one is written past the caches
};

// Runs with the best instruction set of this machine on OpenMP threads (omp_get_max_threads();
// the calling thread alone inside a parallel region). Throws lathe::Error on a shape, stride or
// type outside of the above.
void gemm(const Gemm& product);

// B for many products of few rows: 32 columns (16 with AVX2) after one another, for each of them
// the steps of k, so that a product reads memory from one end to the other. panel_floats() says how
// much room that takes; 0: nothing is gained with this type and instruction set.
constexpr std::int64_t few_rows = 48;  // of A, at most, for panels to be used
struct PanelPacking {
  std::int64_t n = 0, k = 0;
  const void* b = nullptr;  // of the element strides one is 1
  std::int64_t b_row = 1, b_column = 0;
  DType type = DType::f32;
  float* panels = nullptr;  // 64-byte aligned
};
std::size_t panel_floats(std::int64_t n, std::int64_t k, DType type);
void pack_panels(const PanelPacking& packing);

// `count` products of one shape; item i uses a + i * a_step, b + i * b_step, c + i * c_step
// (elements). Bias and activation are shared; `before` and `residual` are not allowed.
// Each item has the bits of a single gemm().
void gemm_batched(const Gemm& product, std::int64_t count, std::int64_t a_step, std::int64_t b_step,
                  std::int64_t c_step);

}  // namespace lathe::kernels
