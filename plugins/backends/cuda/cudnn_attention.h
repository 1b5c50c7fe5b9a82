// Attention forward and backward as cuDNN graphs, in bf16 with sums in f32.
//
//   S = scale Q K^T, -infinity above the diagonal; P = softmax(S); O = P V;
//   stats = max + log(sum), which is Lathe's lse.
//   delta = sum_d dO O; dV = P^T dO; dP = dO V^T; dS = scale P (dP - delta); dK = dS^T Q; dQ = dS
//   K.
//
// Every tensor is [B, heads, time, width] by its strides, so that packed projections need no copy.
#pragma once

#include <compare>
#include <cstdint>

#include "cudnn_graph.h"

namespace lathe::cuda::cudnn {

// What a plan depends on; also its key in the cache.
struct AttentionShape {
  struct Layout {
    std::int64_t row = 0, head = 0, time = 0;  // strides in elements; the width's is 1
    auto operator<=>(const Layout&) const = default;
  };
  std::int64_t B = 0, T = 0, S = 0, H = 0, G = 0, D = 0;
  bool causal = true;
  Layout q, k, v, y, dy, dq, dk, dv;  // the gradients' in the backward graph only
  auto operator<=>(const AttentionShape&) const = default;
};

// Ids of the tensors in memory and of the scalars.
namespace id {
enum : std::int64_t {
  q = 1,
  k,
  v,
  y,
  lse,
  dy,
  dq,
  dk,
  dv,
  delta,           // [B, H, T] f32, of the backward pass alone
  dq_sum,          // [B, H, T, D] f32, zero before the backward pass
  scale,           // by value, f32
  one,             // by value, f32: 1
  minus_infinity,  // by value, f32
};
}  // namespace id

Graph attention_graph(const AttentionShape& shape);
// `deterministic` sends no part of dQ through sums of undefined order, at the price of a workspace
// of about 2 B H T S bytes.
Graph attention_gradient_graph(const AttentionShape& shape, bool deterministic);

}  // namespace lathe::cuda::cudnn
