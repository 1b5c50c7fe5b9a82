// Exact attention in tiles, forward and backward: softmax(scale q k^T + mask) v without ever
// holding the [T, S] weights. Dao, FlashAttention-2, arXiv:2307.08691.
//
// Bits. Keys are taken in blocks of 64, aligned to key 0 of the row of the batch. A score is one
// chain of fused multiply-adds over d (of bf16 with AVX512-BF16: of pairs of them); each block
// rescales the running maximum and sum; the values are added key by key. So the result of a query
// depends only on its own q, on the keys and values it sees and on their absolute key index: not on
// T, the batch, the other queries or the number of threads. A cached decode (T = 1 with an offset)
// equals the full forward to the bit. A key that is masked behaves as if absent, even when it holds
// NaN. A segment that starts at key 37 of a packed row sits differently in the blocks than the same
// text alone from key 0, and equals it to the bit only when its start is a multiple of 64;
// otherwise within rounding. The gradients, too, are added in a fixed order, and have the same bits
// at any number of threads.
#pragma once

#include <lathe/base/random.h>
#include <lathe/tensor/dtype.h>

#include <cstdint>

namespace lathe::kernels {

// Where [batch, time, head, D] values lie: strides in elements. The D values of one head are
// contiguous; the rest may be a slice of a packed qkv [B, T, 3C] or a cache.
struct AttentionOperand {
  void* data = nullptr;
  std::int64_t batch = 0, time = 0, head = 0;
};

struct Attention {
  std::int64_t batch = 0;         // B
  std::int64_t queries = 0;       // T
  std::int64_t keys = 0;          // S
  std::int64_t heads = 0;         // H
  std::int64_t key_heads = 0;     // G divides H; head h uses key head h / (H/G)
  std::int64_t width = 0;         // D, best a multiple of 16
  AttentionOperand q, k, v, out;  // q and out [B,T,H,D], k and v [B,S,G,D]
  DType type = DType::f32;        // f32 or bf16; arithmetic and softmax are f32 in either case
  // [B,H,T] log of the sum of exp(scaled score) over the visible keys; may be null in the forward.
  float* lse = nullptr;
  float scale = 1.0f;
  bool causal = false;  // query t of row b sees the keys 0 to offset[b] + t
  // [B] keys before the first query (0 when null); S is then the capacity of the cache.
  const std::int32_t* offset = nullptr;
  // [B,T] and [B,S], both or neither: only equal ids attend to each other. A negative id marks
  // padding, which sees nothing and is seen by nothing.
  const std::int32_t* query_segment = nullptr;
  const std::int32_t* key_segment = nullptr;
  // Probability of dropping a weight after the softmax; kept ones grow by 1/(1-p). The weight of
  // (b,h,t,s) is dropped when random.uniform(((b*H + h)*T + t)*S + s) < dropout.
  float dropout = 0.0f;
  RandomStream random;
};

// Writes out, and lse when given. A query that sees no key gives out = 0 and lse = -infinity.
// Throws Error when a size, a type or a probability is out of range or a pointer is missing.
void attention(const Attention& a);

// With P the weights, d = sum(out * out_gradient) per query, dP = out_gradient v^T:
// dS = P (dP - d), dq = scale dS k, dk = scale dS^T q, dv = P^T out_gradient; with dropout, P in dv
// and dP carry the factor 0 or 1/(1-p).
struct AttentionBackward {
  Attention forward;  // as it was run, with its out and lse
  AttentionOperand out_gradient, q_gradient, k_gradient, v_gradient;
  bool add_q = false, add_k = false, add_v = false;  // add to what is there, else overwrite
};

// Writes or adds the three gradients; keys that nobody sees and queries that see nothing get 0.
// Every visible value must be finite. Throws Error as attention() does.
void attention_backward(const AttentionBackward& a);

}  // namespace lathe::kernels
