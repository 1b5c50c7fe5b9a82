// Cross-entropy of rows of logits with the gradient in place, and its per-token form.
#pragma once

#include <lathe/tensor/dtype.h>

#include <cstddef>
#include <cstdint>

namespace lathe::kernels {

// For each row with target t >= 0, lse = log sum_v exp(logit_v), s = label_smoothing, z = z_loss:
//   loss = (1-s) (lse - logit_t) + s mean_v(lse - logit_v) + z lse^2     (nats, without weight)
//   dlogit_v = weight ((1 + 2 z lse) p_v - (1-s) [v = t] - s / V),  p_v = exp(logit_v - lse)
// A row with target -1 gives loss 0, lse 0 and gradient 0. Label smoothing: Szegedy et al.,
// arXiv:1512.00567, as PyTorch's; z-loss: Chowdhery et al., arXiv:2204.02311, section 5.
struct CrossEntropy {
  DType dtype = DType::f32;
  std::size_t rows = 0;
  std::size_t vocabulary = 0;             // the true V
  std::size_t stride = 0;                 // elements from row to row, at least V
  std::size_t padded = 0;                 // gradients of columns [V, padded) are set to zero
  void* logits = nullptr;                 // [rows, stride]; becomes dlogits with `gradient`
  const std::int32_t* targets = nullptr;  // [rows], -1 or 0 to V-1
  const float* weights = nullptr;         // [rows], optional: 1
  float label_smoothing = 0;
  float z_loss = 0;
  float* loss = nullptr;  // [rows], optional
  float* lse = nullptr;   // [rows], optional
  bool gradient = false;
};

// logp = logit_t - lse, entropy = lse - sum_v p_v logit_v; 0 in rows with target -1.
struct TokenLogProbability {
  DType dtype = DType::f32;
  std::size_t rows = 0;
  std::size_t vocabulary = 0;
  std::size_t stride = 0;
  const void* logits = nullptr;
  const std::int32_t* targets = nullptr;
  float* logp = nullptr;
  float* lse = nullptr;
  float* entropy = nullptr;  // optional, saves a multiplication per logit when absent
};

// dlogit_v = dlogp ([v = t] - p_v) - dentropy p_v (log p_v + entropy), in place; 0 in rows with
// target -1.
struct TokenLogProbabilityBackward {
  DType dtype = DType::f32;
  std::size_t rows = 0;
  std::size_t vocabulary = 0;
  std::size_t stride = 0;
  std::size_t padded = 0;  // gradients of columns [V, padded) are set to zero
  void* logits = nullptr;
  const std::int32_t* targets = nullptr;
  const float* lse = nullptr;
  const float* dlogp = nullptr;
  const float* dentropy = nullptr;  // optional: 0
  const float* entropy = nullptr;   // needed with dentropy
};

// Each throws Error when a target lies outside [-1, V).
void cross_entropy(const CrossEntropy& arguments);
void token_log_probability(const TokenLogProbability& arguments);
void token_log_probability_backward(const TokenLogProbabilityBackward& arguments);

}  // namespace lathe::kernels
