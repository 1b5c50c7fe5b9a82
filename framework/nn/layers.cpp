#include <lathe/nn/layers.h>

namespace lathe {
namespace {
Tensor value_of(const Parameter* parameter) {
  return parameter == nullptr ? Tensor() : parameter->value;
}
}  // namespace

Linear::Linear(Parameters& parameters, const std::string& name, std::int64_t in, std::int64_t out,
               bool bias, Initial initial)
    : weight_(&parameters.matrix(name + ".weight", {out, in}, initial)),
      bias_(bias ? &parameters.vector(name + ".bias", out, Initial::zeros()) : nullptr) {}

Tensor Linear::operator()(const Tensor& x, Activation activation, const Tensor& residual,
                          Keep keep) const {
  return linear(x, weight_->value, value_of(bias_), activation, residual, keep);
}

Normalisation::Normalisation(Parameters& parameters, const std::string& name, std::int64_t width,
                             Norm kind, bool bias, double epsilon)
    : weight_(&parameters.vector(name + ".weight", width, Initial::ones())),
      bias_(bias && kind == Norm::layer
                ? &parameters.vector(name + ".bias", width, Initial::zeros())
                : nullptr),
      kind_(kind),
      epsilon_(epsilon) {}

Tensor Normalisation::operator()(const Tensor& x, Keep keep) const {
  return norm(x, weight_->value, value_of(bias_), kind_, epsilon_, keep);
}

}  // namespace lathe
