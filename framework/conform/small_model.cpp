#include <lathe/conform/small_model.h>

namespace lathe::conform {
namespace {
constexpr std::int64_t width = 8;
}  // namespace

void SmallModel::build(Parameters& parameters, const ModelFit& fit) {
  const Initial weights = Initial::normal(0.4);
  if (fit.observations.kind == Space::Kind::box) {
    observations_ = Linear(parameters, "observations", fit.observations.size, width, true, weights);
  } else {
    const bool text = fit.observations.kind != Space::Kind::discrete;
    tokens_ = &parameters.matrix("tokens", {text ? fit.vocabulary : fit.observations.size, width},
                                 weights);
    if (text) {
      BlockOptions options;
      options.width = width;
      options.heads = 2;
      options.key_heads = 2;
      options.hidden = 12;
      options.causal = causal_;
      options.rotary_base = 100;
      options.deviation = options.residual_deviation = 0.4;
      block_.emplace(parameters, "block", 0, options);
    }
  }
  head_ = &parameters.matrix("head", {fit.vocabulary, width}, weights);
  if (fit.values) values_.emplace(parameters, "values", width, 1, true, weights);
}

Tensor SmallModel::hidden(const ModelInput& input) const {
  if (tokens_ == nullptr) return tanh(observations_(input.observations));
  const Tensor x = embedding(input.tokens, tokens_->value);
  return block_ ? (*block_)(x, input.places, input.pass) : tanh(x);
}

Tensor SmallModel::values(const ModelInput& input, const Tensor& hidden) const {
  if (!values_) return Model::values(input, hidden);
  return (*values_)(hidden).reshape({hidden.size(0)});
}

}  // namespace lathe::conform
