// What follows from logits that are already there: for models whose head is not a plain product
// (tables, networks with a bias in their last layer).
#pragma once

#include <lathe/tensor/ops.h>

namespace lathe {

// log p(target), log-sum-exp and entropy of softmax(logits / temperature); logits [N, A], results
// [N] wide. A row with target < 0 does not count: its results are 0 and it gives no gradient.
HeadTokens score_logits(const Tensor& logits, const Tensor& targets, double temperature);

// As head_loss, of logits [N, A].
HeadLoss logits_loss(const Tensor& logits, const Tensor& targets, const Tensor& weights,
                     const HeadLossOptions& options);

// logits[n, action[n]]: [N] wide; 0 without gradient where the action is negative.
Tensor chosen(const Tensor& logits, const Tensor& actions);

}  // namespace lathe
