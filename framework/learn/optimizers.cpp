#include <lathe/learn/optimizers.h>

#include <lathe/tensor/composed.h>

#include <cmath>

namespace lathe {
namespace {
OptimizerArguments arguments_of(const OptimizerStep& step, double rate, double decay) {
  OptimizerArguments arguments;
  arguments.parameter = step.parameter.view();
  arguments.gradient = step.gradient.view();
  arguments.first = step.first.view();
  arguments.second = step.second.view();
  arguments.shadow = step.shadow.view();
  arguments.gradient_scale = step.gradient_scale;
  arguments.rate = rate * step.rate_factor;
  arguments.weight_decay = step.decay ? decay : 0;
  arguments.step = step.step;
  return arguments;
}
}  // namespace

Optimizer::~Optimizer() = default;

void AdamW::step(Backend& backend, const OptimizerStep& step) const {
  OptimizerArguments arguments = arguments_of(step, with_.rate, with_.decay);
  arguments.beta1 = with_.beta1;
  arguments.beta2 = with_.beta2;
  arguments.epsilon = with_.epsilon;
  if (with_.epsilon_form == "tensorflow") {
    arguments.epsilon /= std::sqrt(1 - std::pow(with_.beta2, static_cast<double>(step.step)));
  }
  backend.adamw(arguments);
}

Sgd::Sgd(const Config& config) : with_(config) {
  if (with_.nesterov && with_.momentum == 0) {
    fail(config.where(), ": nesterov = true needs momentum above 0");
  }
}

void Sgd::step(Backend& backend, const OptimizerStep& step) const {
  OptimizerArguments arguments = arguments_of(step, with_.rate, with_.decay);
  arguments.beta1 = with_.momentum;
  arguments.nesterov = with_.nesterov;
  backend.sgd(arguments);
}

void Lion::step(Backend& backend, const OptimizerStep& step) const {
  OptimizerArguments arguments = arguments_of(step, with_.rate, with_.decay);
  arguments.beta1 = with_.beta1;
  arguments.beta2 = with_.beta2;
  backend.lion(arguments);
}

// In elementwise ops: the networks that are trained by it are small.
void RmsProp::step(Backend& backend, const OptimizerStep& step) const {
  using composed::apply;
  const double d = with_.smoothing;
  if (step.step == 1) backend.fill(step.first.view(), with_.initial);
  const View& v = step.first.view();
  const Scratch g = apply(backend, Binary::multiply, step.gradient.view(), step.gradient_scale);
  const Scratch kept = apply(backend, Binary::multiply, v, d);
  const Scratch added = apply(backend, Binary::multiply, apply(backend, Unary::square, g), 1 - d);
  backend.binary(Binary::add, kept, added, v);
  const bool inside = with_.epsilon_form == "inside";
  const Scratch root =
      apply(backend, Unary::sqrt,
            inside ? apply(backend, Binary::add, v, with_.epsilon) : composed::wide(backend, v));
  const Scratch denominator =
      inside ? composed::wide(backend, root) : apply(backend, Binary::add, root, with_.epsilon);
  const double rate = with_.rate * step.rate_factor;
  const Scratch change =
      apply(backend, Binary::multiply, apply(backend, Binary::divide, g, denominator), rate);
  const View& p = step.parameter.view();
  backend.binary(Binary::subtract, p, change, p);
  if (step.shadow) backend.copy(p, step.shadow.view());
}

}  // namespace lathe
