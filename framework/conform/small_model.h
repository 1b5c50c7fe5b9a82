// A model of the suites' own, so that the test of an objective depends on no plugin: an embedding
// and one Transformer block for text, one layer for observations and states; a head, and values.
// Actions that are numbers are drawn from Gaussians whose means are the logits.
#pragma once

#include <lathe/learn/model.h>

#include <optional>

namespace lathe::conform {

class SmallModel final : public Model {
 public:
  explicit SmallModel(bool causal) : causal_(causal) {}

  void build(Parameters& parameters, const ModelFit& fit) override;
  Tensor hidden(const ModelInput& input) const override;
  bool causal() const override { return causal_; }
  const Parameter& head() const override { return *head_; }
  Tensor values(const ModelInput& input, const Tensor& hidden) const override;
  HeadTokens score_moves(const Tensor& hidden, const Tensor& moves) const override;
  Tensor deviations() const override;

 private:
  bool causal_;
  Parameter* tokens_ = nullptr;
  Linear observations_;
  std::optional<Block> block_;
  Parameter* head_ = nullptr;
  std::optional<Linear> values_;
  Parameter* log_deviation_ = nullptr;  // [A]
};

}  // namespace lathe::conform
