// linear, swiglu and the slopes of the activations, in fine-grained ops.
#include <lathe/tensor/composed.h>

#include <cmath>
#include <numbers>

namespace lathe {
using namespace composed;

namespace {
Scratch activated(Backend& backend, Activation activation, const View& x) {
  switch (activation) {
    case Activation::none:
      break;
    case Activation::gelu_tanh:
      return apply(backend, Unary::gelu_tanh, x);
    case Activation::gelu_erf:
      return apply(backend, Unary::gelu_erf, x);
    case Activation::relu:
      return apply(backend, Unary::relu, x);
    case Activation::silu:
      return apply(backend, Unary::silu, x);
  }
  return cast(backend, x, x.dtype);
}

// With u = sqrt(2/pi) (x + 0.044715 x^3) and t = tanh(u):
// (1 + t) / 2 + x (1 - t^2) u' / 2, where u' = sqrt(2/pi) (1 + 3 * 0.044715 x^2).
Scratch gelu_tanh_slope(Backend& backend, const View& x) {
  const double scale = std::sqrt(2 / std::numbers::pi);
  const Scratch square = apply(backend, Unary::square, x);
  const Scratch cubic =
      apply(backend, Binary::add, apply(backend, Binary::multiply, square, 0.044715), 1.0);
  const Scratch u =
      apply(backend, Binary::multiply, apply(backend, Binary::multiply, x, cubic), scale);
  const Scratch t = apply(backend, Unary::tanh, u);
  const Scratch slope = apply(
      backend, Binary::multiply,
      apply(backend, Binary::add, apply(backend, Binary::multiply, square, 3 * 0.044715), 1.0),
      0.5 * scale);
  const Scratch rest = apply(backend, Binary::subtract, 1.0, apply(backend, Unary::square, t));
  const Scratch inner =
      apply(backend, Binary::multiply, apply(backend, Binary::multiply, x, slope), rest);
  const Scratch outer = apply(backend, Binary::multiply, apply(backend, Binary::add, t, 1.0), 0.5);
  return apply(backend, Binary::add, inner, outer);
}

// Phi(x) + x phi(x). There is no erf among the ops: Phi(x) is gelu(x) / x, and 1/2 at 0.
Scratch gelu_erf_slope(Backend& backend, const View& x) {
  const Scratch tiny = apply(backend, Binary::less, apply(backend, Unary::abs, x), 1e-20);
  const Scratch safe = choose(backend, tiny, 1, x);
  const Scratch below =
      choose(backend, tiny, 0.5,
             apply(backend, Binary::divide, apply(backend, Unary::gelu_erf, safe), safe));
  const Scratch exponent = apply(backend, Binary::multiply, apply(backend, Unary::square, x), -0.5);
  const Scratch density = apply(backend, Binary::multiply, apply(backend, Unary::exp, exponent),
                                1 / std::sqrt(2 * std::numbers::pi));
  return apply(backend, Binary::add, below, apply(backend, Binary::multiply, x, density));
}

// s (1 + x (1 - s)) with s = sigmoid(x)
Scratch silu_slope(Backend& backend, const View& x) {
  const Scratch s = apply(backend, Unary::sigmoid, x);
  const Scratch rest = apply(backend, Binary::subtract, 1.0, s);
  const Scratch factor =
      apply(backend, Binary::add, apply(backend, Binary::multiply, x, rest), 1.0);
  return apply(backend, Binary::multiply, s, factor);
}

Scratch slope(Backend& backend, Activation activation, const View& x) {
  switch (activation) {
    case Activation::none:
      break;
    case Activation::gelu_tanh:
      return gelu_tanh_slope(backend, x);
    case Activation::gelu_erf:
      return gelu_erf_slope(backend, x);
    case Activation::relu:
      return apply(backend, Binary::less, 0.0, x);
    case Activation::silu:
      return silu_slope(backend, x);
  }
  return apply(backend, Binary::equal, x, x);
}
}  // namespace

void Backend::linear(const LinearArguments& arguments) {
  const Scratch weight = wide(*this, arguments.weight);
  Scratch sum = product(*this, wide(*this, arguments.x), transposed(weight, 0, 1));
  if (arguments.bias) sum = apply(*this, Binary::add, sum, arguments.bias);
  if (arguments.before) copy(sum, arguments.before);
  if (arguments.activation != Activation::none) {
    sum = wide(*this, cast(*this, sum, arguments.y.dtype));
  }
  Scratch y = activated(*this, arguments.activation, sum);
  if (arguments.residual) y = apply(*this, Binary::add, y, wide(*this, arguments.residual));
  copy(y, arguments.y);
}

void Backend::linear_gradient(const LinearGradients& arguments) {
  Scratch dsum = wide(*this, arguments.dy);
  if (arguments.activation != Activation::none) {
    const Scratch before = wide(*this, arguments.before);
    dsum = apply(*this, Binary::multiply, dsum, slope(*this, arguments.activation, before));
  }
  if (arguments.dx) put(*this, product(*this, dsum, wide(*this, arguments.weight)), arguments.dx);
  if (arguments.dweight) {
    const Scratch x = wide(*this, arguments.x);
    put(*this, product(*this, transposed(dsum, 0, 1), x), arguments.dweight);
  }
  if (arguments.dbias) {
    const Scratch sum = reduced(*this, Reduce::sum, dsum, 0);
    put(*this, reshaped(sum, arguments.dbias.view.shape), arguments.dbias);
  }
}

void Backend::swiglu(const View& x, const View& y) {
  const std::int64_t F = y.shape[1];
  const Scratch gate = wide(*this, sliced(x, 1, 0, F));
  const Scratch value = wide(*this, sliced(x, 1, F, 2 * F));
  copy(apply(*this, Binary::multiply, apply(*this, Unary::silu, gate), value), y);
}

void Backend::swiglu_gradient(const View& x, const View& dy, const Target& dx) {
  const std::int64_t F = dy.shape[1];
  const Scratch gate = wide(*this, sliced(x, 1, 0, F));
  const Scratch value = wide(*this, sliced(x, 1, F, 2 * F));
  const Scratch up = wide(*this, dy);
  const Scratch dgate = apply(*this, Binary::multiply, apply(*this, Binary::multiply, up, value),
                              silu_slope(*this, gate));
  const Scratch dvalue = apply(*this, Binary::multiply, up, apply(*this, Unary::silu, gate));
  put(*this, dgate, {sliced(dx.view, 1, 0, F), dx.add});
  put(*this, dvalue, {sliced(dx.view, 1, F, 2 * F), dx.add});
}

}  // namespace lathe
