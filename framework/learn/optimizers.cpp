#include <lathe/learn/optimizers.h>

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

}  // namespace lathe
