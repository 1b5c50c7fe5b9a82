// Attention and the two forms of the language-model head.
#include <lathe/tensor/ops.h>

#include <cmath>

namespace lathe {
namespace {
void check_attention(const Tensor& q, const Tensor& k, const Tensor& v) {
  if (q.shape().rank() != 4 || k.shape().rank() != 4 || !(k.shape() == v.shape())) {
    fail("attention needs q [B, T, H, D] and k, v [B, S, G, D], not ", q.shape().text(), ", ",
         k.shape().text(), ", ", v.shape().text());
  }
  if (q.size(0) != k.size(0) || q.size(3) != k.size(3)) {
    fail("attention: q ", q.shape().text(), " and k ", k.shape().text(),
         " differ in batch or head width");
  }
  if (k.size(2) == 0 || q.size(2) % k.size(2) != 0) {
    fail("attention: ", q.size(2), " heads cannot share ", k.size(2), " key heads evenly");
  }
}

// The targets of one call must not share memory: where the operand stands for an earlier one too,
// its gradient is made apart and given afterwards.
class OwnTarget {
 public:
  OwnTarget(const Tensor& operand, std::initializer_list<const Tensor*> earlier)
      : operand_(operand) {
    bool shared = false;
    for (const Tensor* other : earlier) shared |= other->variable() == operand.variable();
    if (shared && operand.variable()) {
      apart_ = Tensor::empty(operand.shared_backend(), operand.shape(), operand.dtype());
      target_ = Target{apart_.view()};
    } else {
      target_ = gradient_target(operand);
    }
  }
  const Target& target() const { return target_; }
  void give() const {
    if (apart_) give_gradient(operand_, apart_);
  }

 private:
  const Tensor& operand_;
  Tensor apart_;
  Target target_;
};
}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v,
                 const AttentionOptions& options) {
  check_attention(q, k, v);
  const auto& backend = q.shared_backend();
  const Shape shape = q.shape();
  Tensor y = Tensor::empty(backend, shape, q.dtype());
  Tensor lse = Tensor::empty(backend, {shape[0], shape[2], shape[1]}, wide_type(q.dtype()));
  const double width = static_cast<double>(shape[3]);
  const AttentionArguments arguments{
      .q = q.view(),
      .k = k.view(),
      .v = v.view(),
      .y = y.view(),
      .lse = lse.view(),
      .scale = options.scale == 0 ? 1 / std::sqrt(width) : options.scale,
      .causal = options.causal,
      .offset = options.offset.view(),
      .q_segment = options.q_segment.view(),
      .k_segment = options.k_segment.view(),
      .dropout = options.dropout,
      .random = options.random};
  backend->attention(arguments);
  if (!recording({&q, &k, &v})) return y;
  const Tensor result = y.detached();
  const auto variable = track(y);
  Tape::current()->record({variable}, [=] {
    const Tensor dy = gathered(variable, shape);
    AttentionGradients gradients{
        .forward = arguments, .dy = dy.view(), .dq = {}, .dk = {}, .dv = {}};
    gradients.forward.y = result.view();
    gradients.forward.lse = lse.view();
    gradients.forward.offset = options.offset.view();  // the closure keeps these alive
    gradients.dq = gradient_target(q);
    const OwnTarget dk(k, {&q});
    const OwnTarget dv(v, {&q, &k});
    gradients.dk = dk.target();
    gradients.dv = dv.target();
    q.backend().attention_gradient(gradients);
    dk.give();
    dv.give();
  });
  return y;
}

HeadLoss head_loss(const Tensor& x, const Tensor& weight, const Tensor& targets,
                   const Tensor& weights, const HeadLossOptions& options) {
  if (x.shape().rank() != 2 || weight.shape().rank() != 2 || weight.size(1) != x.size(1)) {
    fail("head_loss needs x [N, C] and weight [V, C], not ", x.shape().text(), " and ",
         weight.shape().text());
  }
  const std::int64_t rows = x.size(0);
  if (targets.count() != rows || weights.count() != rows) {
    fail("head_loss has ", rows, " rows but ", targets.count(), " targets and ", weights.count(),
         " weights");
  }
  const auto& backend = x.shared_backend();
  const DType wide = wide_type(x.dtype());
  HeadLoss result{Tensor::empty(backend, {1}, wide), Tensor::empty(backend, {rows}, wide),
                  Tensor::empty(backend, {rows}, wide)};
  HeadLossArguments arguments{.x = x.view(),
                              .weight = weight.view(),
                              .targets = targets.view(),
                              .weights = weights.view(),
                              .smoothing = options.smoothing,
                              .z_loss = options.z_loss,
                              .loss = result.loss.view(),
                              .lse = result.lse.view(),
                              .dx = {},
                              .dweight = {}};
  const bool tracked = recording({&x, &weight});
  Tensor dx;
  if (tracked) {
    if (x.variable()) {
      dx = Tensor::empty(backend, x.shape(), x.dtype());
      arguments.dx = Target{dx.view()};
    }
    arguments.dweight = gradient_target(weight);
  }
  backend->head_loss(arguments);
  Tensor weighted = Tensor::empty(backend, {rows}, wide);
  backend->binary(Binary::multiply, result.loss.view(), weights.view(), weighted.view());
  backend->reduce(Reduce::sum, weighted.view(), result.sum.view());
  if (!tracked) return result;
  const auto variable = track(result.sum);
  Tape::current()->record({variable}, [=]() mutable {
    if (!variable->seed) {
      fail("head_loss gives the loss that backward() is called on; put factors into the weights");
    }
    give_gradient(x, std::move(dx));
  });
  return result;
}

HeadTokens head_tokens(const Tensor& x, const Tensor& weight, const Tensor& targets,
                       double temperature) {
  if (x.shape().rank() != 2 || weight.shape().rank() != 2 || weight.size(1) != x.size(1) ||
      targets.count() != x.size(0)) {
    fail("head_tokens needs x [N, C], weight [V, C] and targets [N], not ", x.shape().text(), ", ",
         weight.shape().text(), " and ", targets.shape().text());
  }
  const auto& backend = x.shared_backend();
  const DType wide = wide_type(x.dtype());
  const Shape rows{x.size(0)};
  HeadTokens result{Tensor::empty(backend, rows, wide), Tensor::empty(backend, rows, wide),
                    Tensor::empty(backend, rows, wide)};
  HeadTokensArguments arguments{.x = x.view(),
                                .weight = weight.view(),
                                .targets = targets.view(),
                                .temperature = temperature,
                                .log_probability = result.log_probability.view(),
                                .lse = result.lse.view(),
                                .entropy = result.entropy.view()};
  backend->head_tokens(arguments);
  if (!recording({&x, &weight})) return result;
  const HeadTokens saved{result.log_probability, result.lse, result.entropy};
  const auto log_probability = track(result.log_probability);
  const auto entropy = track(result.entropy);
  Tape::current()->record({log_probability, entropy}, [=] {
    Tensor from_log = gathered(log_probability, rows);
    if (!from_log) from_log = Tensor::zeros(x.shared_backend(), rows, wide);
    const Tensor from_entropy = gathered(entropy, rows);
    HeadTokensGradients gradients{.forward = arguments,
                                  .dlog_probability = from_log.view(),
                                  .dentropy = from_entropy.view(),
                                  .dx = gradient_target(x),
                                  .dweight = gradient_target(weight)};
    gradients.forward.targets = targets.view();  // the closure keeps these alive
    gradients.forward.lse = saved.lse.view();
    x.backend().head_tokens_gradient(gradients);
  });
  return result;
}

}  // namespace lathe
