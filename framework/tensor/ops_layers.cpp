// Linear, norms, embedding, rotary positions, gated units and dropout.
#include <lathe/tensor/ops.h>

namespace lathe {
namespace {
void expect(const Tensor& tensor, const Shape& shape, const char* what) {
  if (!tensor) fail("no tensor was given for ", what);
  if (!(tensor.shape() == shape)) {
    fail(what, " has the shape ", tensor.shape().text(), " where ", shape.text(), " was expected");
  }
}

void expect_rank(const Tensor& tensor, int rank, const char* what) {
  if (!tensor) fail("no tensor was given for ", what);
  if (tensor.shape().rank() != rank) {
    fail(what, " has the shape ", tensor.shape().text(), " where ", rank, " axes were expected");
  }
}
}  // namespace

namespace {
Unary unary_of(Activation activation) {
  switch (activation) {
    case Activation::none:
      break;
    case Activation::gelu_tanh:
      return Unary::gelu_tanh;
    case Activation::gelu_erf:
      return Unary::gelu_erf;
    case Activation::relu:
      return Unary::relu;
    case Activation::silu:
      return Unary::silu;
  }
  fail("no activation, no recipe");
}
}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Activation activation,
              const Tensor& residual, Keep keep) {
  expect_rank(x, 2, "x of linear");
  expect(weight, {weight.shape().rank() == 2 ? weight.size(0) : 0, x.size(1)}, "weight of linear");
  const Shape shape{x.size(0), weight.size(0)};
  if (bias) expect(bias, {weight.size(0)}, "bias of linear");
  if (residual) expect(residual, shape, "residual of linear");
  Tensor y = Tensor::empty(x.shared_backend(), shape, x.dtype());
  const bool tracked = recording({&x, &weight, &bias, &residual});
  // max(0, x) is above 0 exactly where x is: the result tells relu's slope as well.
  const bool by_result = activation == Activation::relu && !residual;
  Tensor before;
  if (tracked && activation != Activation::none) {
    before = by_result ? y : Tensor::empty(x.shared_backend(), shape, x.dtype());
  }
  x.backend().linear({.x = x.view(),
                      .weight = weight.view(),
                      .bias = bias.view(),
                      .residual = residual.view(),
                      .activation = activation,
                      .before = by_result ? View() : before.view(),
                      .y = y.view()});
  if (!tracked) return y;
  const auto variable = track(y);
  if (keep == Keep::recipe && before && !by_result && !residual) {
    variable->again = [before, op = unary_of(activation)] {
      Tensor made = Tensor::empty(before.shared_backend(), before.shape(), before.dtype());
      made.backend().unary(op, before.view(), made.view());
      return made;
    };
  }
  const Kept kept(x);
  const Receiver on(residual);
  Tape::current()->record({variable}, [=] {
    Tensor dy = gathered(variable, shape);
    const Tensor operand = kept.tensor();
    dy.backend().linear_gradient({.x = operand.view(),
                                  .weight = weight.view(),
                                  .activation = activation,
                                  .before = before.view(),
                                  .dy = dy.view(),
                                  .dx = gradient_target(operand),
                                  .dweight = gradient_target(weight),
                                  .dbias = gradient_target(bias)});
    variable->gradient = Tensor();  // so that the residual can take dy's memory over
    on.give(std::move(dy));
  });
  return y;
}

namespace {
struct Normed {
  Tensor sum;
  Tensor y;
};

Normed norm_of(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias,
               Norm kind, double epsilon, Keep keep = Keep::result) {
  expect_rank(x, 2, "x of norm");
  expect(weight, {x.size(1)}, "weight of norm");
  if (bias) expect(bias, {x.size(1)}, "bias of norm");
  if (residual) expect(residual, x.shape(), "residual of norm");
  const auto& backend = x.shared_backend();
  const Shape shape = x.shape();
  const DType wide = wide_type(x.dtype());
  Tensor y = Tensor::empty(backend, shape, x.dtype());
  Tensor sum = residual ? Tensor::empty(backend, shape, x.dtype()) : x;
  Tensor mean = Tensor::empty(backend, {x.size(0)}, wide);
  Tensor rstd = Tensor::empty(backend, {x.size(0)}, wide);
  NormArguments arguments{.kind = kind,
                          .epsilon = epsilon,
                          .x = x.view(),
                          .residual = residual.view(),
                          .weight = weight.view(),
                          .bias = bias.view(),
                          .sum = {},
                          .y = y.view(),
                          .mean = mean.view(),
                          .rstd = rstd.view()};
  if (residual) arguments.sum = sum.view();
  x.backend().norm(arguments);
  if (!recording({&x, &residual, &weight, &bias})) return {sum, y};

  std::vector<std::shared_ptr<Variable>> results;
  if (residual) results.push_back(track(sum));
  results.push_back(track(y));
  const auto sum_variable = residual ? results.front() : nullptr;
  const auto y_variable = results.back();
  Tensor saved = sum.detached();
  if (keep == Keep::recipe) {
    y_variable->again = [=, weight = weight.detached(), bias = bias.detached()] {
      const NoGradient silent;
      return norm_of(saved, {}, weight, bias, kind, epsilon).y;
    };
  }
  Tape::current()->record(std::move(results), [=] {
    const Tensor dy = gathered(y_variable, shape);
    Tensor dsum = sum_variable ? gathered(sum_variable, shape) : Tensor();
    if (!dy) {  // only the sum was used
      give_gradient(x, dsum);
      give_gradient(residual, dsum);
      return;
    }
    NormGradients gradients{.kind = kind,
                            .sum = saved.view(),
                            .weight = weight.view(),
                            .mean = mean.view(),
                            .rstd = rstd.view(),
                            .dy = dy.view(),
                            .dsum = dsum.view(),
                            .dx = {},
                            .dweight = gradient_target(weight),
                            .dbias = gradient_target(bias)};
    if (!residual) {
      gradients.dx = gradient_target(x);
      x.backend().norm_gradient(gradients);
      return;
    }
    Tensor both = Tensor::empty(x.shared_backend(), shape, x.dtype());
    gradients.dx = Target{both.view()};
    x.backend().norm_gradient(gradients);
    give_gradient(x, both);
    give_gradient(residual, both);
  });
  return {sum, y};
}
}  // namespace

Tensor norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Norm kind, double epsilon,
            Keep keep) {
  return norm_of(x, {}, weight, bias, kind, epsilon, keep).y;
}

std::pair<Tensor, Tensor> add_norm(const Tensor& x, const Tensor& residual, const Tensor& weight,
                                   const Tensor& bias, Norm kind, double epsilon) {
  if (!residual) fail("no tensor was given for residual of add_norm");
  Normed normed = norm_of(x, residual, weight, bias, kind, epsilon);
  return {normed.sum, normed.y};
}

Tensor embedding(const Tensor& tokens, const Tensor& token_table, const Tensor& positions,
                 const Tensor& position_table) {
  expect_rank(tokens, 1, "tokens of embedding");
  expect_rank(token_table, 2, "token_table of embedding");
  const std::int64_t rows = tokens.size(0);
  const std::int64_t width = token_table.size(1);
  if (positions) expect(positions, {rows}, "positions of embedding");
  if (position_table) expect(position_table, {position_table.size(0), width}, "position_table");
  Tensor y = Tensor::empty(tokens.shared_backend(), {rows, width}, token_table.dtype());
  tokens.backend().embedding({.tokens = tokens.view(),
                              .positions = positions.view(),
                              .token_table = token_table.view(),
                              .position_table = position_table.view(),
                              .y = y.view()});
  if (!recording({&token_table, &position_table})) return y;
  const auto variable = track(y);
  Tape::current()->record({variable}, [=] {
    const Tensor dy = gathered(variable, {rows, width});
    tokens.backend().embedding_gradient({.tokens = tokens.view(),
                                         .positions = positions.view(),
                                         .dy = dy.view(),
                                         .token_table = gradient_target(token_table),
                                         .position_table = gradient_target(position_table)});
  });
  return y;
}

Tensor rotary(const Tensor& x, const Tensor& positions, double base) {
  expect_rank(x, 3, "x of rotary");
  expect(positions, {x.size(0)}, "positions of rotary");
  if (x.size(2) % 2 != 0) fail("rotary positions need an even head width, not ", x.size(2));
  Tensor y = Tensor::empty(x.shared_backend(), x.shape(), x.dtype());
  x.backend().rotary(
      {.x = x.view(), .positions = positions.view(), .base = base, .y = Target{y.view()}});
  if (!recording({&x})) return y;
  const auto variable = track(y);
  const Receiver operand(x);
  const Shape shape = x.shape();
  Tape::current()->record({variable}, [=] {
    const Tensor dy = gathered(variable, shape);
    dy.backend().rotary({.x = dy.view(),
                         .positions = positions.view(),
                         .base = base,
                         .inverse = true,
                         .y = operand.target()});
  });
  return y;
}

Tensor swiglu(const Tensor& x, Keep keep) {
  expect_rank(x, 2, "x of swiglu");
  if (x.size(1) % 2 != 0) fail("swiglu needs an even width, not ", x.size(1));
  const Shape shape{x.size(0), x.size(1) / 2};
  Tensor y = Tensor::empty(x.shared_backend(), shape, x.dtype());
  x.backend().swiglu(x.view(), y.view());
  if (!recording({&x})) return y;
  const auto variable = track(y);
  if (keep == Keep::recipe) {
    variable->again = [pre = x.detached()] {
      const NoGradient silent;
      return swiglu(pre);
    };
  }
  Tape::current()->record({variable}, [=] {
    const Tensor dy = gathered(variable, shape);
    x.backend().swiglu_gradient(x.view(), dy.view(), gradient_target(x));
  });
  return y;
}

Tensor dropout(const Tensor& x, float probability, const RandomStream& random) {
  if (probability < 0 || probability >= 1) fail("dropout of ", probability, " is not in [0, 1)");
  if (probability == 0) return x;
  Tensor y = Tensor::empty(x.shared_backend(), x.shape(), x.dtype());
  x.backend().dropout(x.view(), probability, random, Target{y.view()});
  if (!recording({&x})) return y;
  const auto variable = track(y);
  const Receiver operand(x);
  const Shape shape = x.shape();
  Tape::current()->record({variable}, [=] {
    const Tensor dy = gathered(variable, shape);
    dy.backend().dropout(dy.view(), probability, random, operand.target());
  });
  return y;
}

}  // namespace lathe
