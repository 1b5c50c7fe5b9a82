// Cross-entropy of rows of logits with the gradient in place, and its per-token form.
#pragma once

#include <lathe/tensor/dtype.h>

#include <cstddef>
#include <cstdint>

namespace lathe::kernels {

// For each row with target t >= 0, lse = log sum_v exp(logit_v), s = label_smoothing, z = z_loss:
//   loss = (1-s) (lse - logit_t) + s mean_v(lse - logit_v) + z lse^2     (nats, without weight)
//   dlogit_v = weight ((1 + 2 z lse) p_v - (1-s) [v = t] - s / V),  p_v = exp(logit_v - lse)
// A row with a target below 0 gives loss 0, lse 0 and gradient 0. Label smoothing: Szegedy et al.,
// arXiv:1512.00567, as PyTorch's; z-loss: Chowdhery et al., arXiv:2204.02311, section 5.
struct CrossEntropy {
  DType dtype = DType::f32;
  std::size_t rows = 0;
  std::size_t vocabulary = 0;             // the true V
  std::size_t stride = 0;                 // elements from row to row, at least V
  std::size_t padded = 0;                 // gradients of columns [V, padded) are set to zero
  void* logits = nullptr;                 // [rows, stride]; becomes dlogits with `gradient`
  const std::int32_t* targets = nullptr;  // [rows], below V; below 0: ignored
  const float* weights = nullptr;         // [rows], optional: 1
  float label_smoothing = 0;
  float z_loss = 0;
  float* loss = nullptr;  // [rows], optional
  float* lse = nullptr;   // [rows], optional
  bool gradient = false;
};

// With l_v = scale logit_v: logp = l_t - lse, entropy = lse - sum_v p_v l_v; 0 in rows with a
// target below 0.
struct TokenLogProbability {
  DType dtype = DType::f32;
  std::size_t rows = 0;
  std::size_t vocabulary = 0;
  std::size_t stride = 0;
  float scale = 1;  // above 0: 1 / temperature
  const void* logits = nullptr;
  const std::int32_t* targets = nullptr;
  float* logp = nullptr;
  float* lse = nullptr;
  float* entropy = nullptr;  // optional, saves a multiplication per logit when absent
};

// dlogit_v = scale (dlogp ([v = t] - p_v) - dentropy p_v (log p_v + entropy)), in place; 0 in rows
// with a target below 0.
struct TokenLogProbabilityBackward {
  DType dtype = DType::f32;
  std::size_t rows = 0;
  std::size_t vocabulary = 0;
  std::size_t stride = 0;
  std::size_t padded = 0;  // gradients of columns [V, padded) are set to zero
  float scale = 1;
  void* logits = nullptr;
  const std::int32_t* targets = nullptr;
  const float* lse = nullptr;
  const float* dlogp = nullptr;
  const float* dentropy = nullptr;  // optional: 0
  const float* entropy = nullptr;   // needed with dentropy
};

// Each throws Error when a target is not below V.
void cross_entropy(const CrossEntropy& arguments);
void token_log_probability(const TokenLogProbability& arguments);
void token_log_probability_backward(const TokenLogProbabilityBackward& arguments);

}  // namespace lathe::kernels
