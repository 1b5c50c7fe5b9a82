// The optimizers and the ops on flat buffers, in fine-grained ops. Formulas: see backend.h and the
// papers named there; decoupled weight decay except for SGD.
#include <lathe/tensor/composed.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace lathe {
using namespace composed;

namespace {
// a x + b y
Scratch mix(Backend& backend, double a, const View& x, double b, const View& y) {
  return apply(backend, Binary::add, apply(backend, Binary::multiply, x, a),
               apply(backend, Binary::multiply, y, b));
}

Scratch scaled_gradient(Backend& backend, const OptimizerArguments& arguments) {
  return apply(backend, Binary::multiply, arguments.gradient, arguments.gradient_scale);
}

void store(Backend& backend, const View& parameter, const OptimizerArguments& arguments) {
  backend.copy(parameter, arguments.parameter);
  if (arguments.shadow) backend.copy(arguments.parameter, arguments.shadow);
}
}  // namespace

void Backend::adamw(const OptimizerArguments& arguments) {
  const double b1 = arguments.beta1;
  const double b2 = arguments.beta2;
  const auto step = static_cast<double>(arguments.step);
  const Scratch g = scaled_gradient(*this, arguments);
  const Scratch m = mix(*this, b1, arguments.first, 1 - b1, g);
  const Scratch v = mix(*this, b2, arguments.second, 1 - b2, apply(*this, Unary::square, g));
  copy(m, arguments.first);
  copy(v, arguments.second);
  const Scratch root =
      apply(*this, Binary::divide, apply(*this, Unary::sqrt, v), std::sqrt(1 - std::pow(b2, step)));
  const Scratch update =
      apply(*this, Binary::divide, m, apply(*this, Binary::add, root, arguments.epsilon));
  const double decay = 1 - arguments.rate * arguments.weight_decay;
  const double rate = arguments.rate / (1 - std::pow(b1, step));
  store(*this, mix(*this, decay, arguments.parameter, -rate, update), arguments);
}

void Backend::sgd(const OptimizerArguments& arguments) {
  const double momentum = arguments.beta1;
  const Scratch scaled = scaled_gradient(*this, arguments);
  Scratch direction = mix(*this, 1, scaled, arguments.weight_decay, arguments.parameter);
  if (momentum != 0) {
    if (arguments.step == 1) {
      copy(direction, arguments.first);
    } else {
      copy(mix(*this, momentum, arguments.first, 1, direction), arguments.first);
    }
    direction = arguments.nesterov ? mix(*this, 1, direction, momentum, arguments.first)
                                   : wide(*this, arguments.first);
  }
  store(*this, mix(*this, 1, arguments.parameter, -arguments.rate, direction), arguments);
}

void Backend::lion(const OptimizerArguments& arguments) {
  const double b1 = arguments.beta1;
  const double b2 = arguments.beta2;
  const Scratch g = scaled_gradient(*this, arguments);
  const Scratch c = mix(*this, b1, arguments.first, 1 - b1, g);
  copy(mix(*this, b2, arguments.first, 1 - b2, g), arguments.first);
  const Scratch sign = apply(*this, Binary::subtract, apply(*this, Binary::less, 0.0, c),
                             apply(*this, Binary::less, c, 0.0));
  const double decay = 1 - arguments.rate * arguments.weight_decay;
  store(*this, mix(*this, decay, arguments.parameter, -arguments.rate, sign), arguments);
}

namespace {
template <class T>
double host_sum_of_squares(Backend& backend, const View& dense) {
  std::vector<T> block(1 << 16);
  double sum = 0;
  const auto count = static_cast<std::size_t>(dense.count());
  for (std::size_t begin = 0; begin < count; begin += block.size()) {
    const std::size_t size = std::min(block.size(), count - begin);
    backend.download(block.data(), dense.as<T>() + begin, size * sizeof(T));
    for (std::size_t i = 0; i < size; ++i) {
      sum += static_cast<double>(block[i]) * static_cast<double>(block[i]);
    }
  }
  return sum;
}
}  // namespace

// On the host: no op sums in double.
double Backend::sum_of_squares(const View& x) {
  const Scratch dense = wide(*this, x);
  return dense.view().dtype == DType::f64 ? host_sum_of_squares<double>(*this, dense)
                                          : host_sum_of_squares<float>(*this, dense);
}

void Backend::interpolate(const View& from, double amount, const View& to) {
  const Scratch goal = wide(*this, from);
  const Scratch at = wide(*this, to);
  copy(mix(*this, 1, at, amount, apply(*this, Binary::subtract, goal, at)), to);
}

}  // namespace lathe
