#include <lathe/conform/small_model.h>

#include <cmath>
#include <numbers>

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
  if (fit.actions.kind == Space::Kind::box) {
    log_deviation_ = &parameters.vector("log_deviation", fit.actions.size, weights);
  }
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

// log N(x; m, d) = -(x - m)^2 / (2 d^2) - log d - log(2 pi) / 2; entropy log d + (1 + log(2 pi))
// / 2.
HeadTokens SmallModel::score_moves(const Tensor& hidden, const Tensor& moves) const {
  if (log_deviation_ == nullptr) return Model::score_moves(hidden, moves);
  const double constant = 0.5 * std::log(2 * std::numbers::pi);
  const Tensor squares = square(divide(subtract(moves, logits(hidden)), deviations()));
  const Tensor logs = shift(log_deviation_->value, constant);
  HeadTokens tokens;
  tokens.log_probability =
      negate(sum(add(scale(squares, 0.5), logs), -1)).reshape({hidden.size(0)});
  const Tensor none = scale(tokens.log_probability.detached(), 0);
  tokens.entropy = add(none, sum(shift(logs, 0.5)));
  return tokens;
}

Tensor SmallModel::deviations() const {
  return log_deviation_ == nullptr ? Model::deviations() : exp(log_deviation_->value);
}

}  // namespace lathe::conform
