#include <cmath>

#include "activation.h"
#include "elements.h"
#include "reference.h"

namespace lathe {
using namespace reference;

namespace {
double apply(Unary op, double x) {
  switch (op) {
    case Unary::negate:
      return -x;
    case Unary::exp:
      return std::exp(x);
    case Unary::log:
      return std::log(x);
    case Unary::sqrt:
      return std::sqrt(x);
    case Unary::rsqrt:
      return 1 / std::sqrt(x);
    case Unary::square:
      return x * x;
    case Unary::tanh:
      return std::tanh(x);
    case Unary::sigmoid:
      return sigmoid(x);
    case Unary::relu:
      return activate(Activation::relu, x);
    case Unary::abs:
      return std::abs(x);
    case Unary::gelu_tanh:
      return activate(Activation::gelu_tanh, x);
    case Unary::gelu_erf:
      return activate(Activation::gelu_erf, x);
    case Unary::silu:
      return activate(Activation::silu, x);
  }
  return x;
}

// A NaN on either side stays a NaN.
double apply(Binary op, double a, double b) {
  switch (op) {
    case Binary::add:
      return a + b;
    case Binary::subtract:
      return a - b;
    case Binary::multiply:
      return a * b;
    case Binary::divide:
      return a / b;
    case Binary::maximum:
      return a > b || std::isnan(a) ? a : b;
    case Binary::minimum:
      return a < b || std::isnan(a) ? a : b;
    case Binary::power:
      return std::pow(a, b);
    case Binary::less:
      return a < b ? 1 : 0;
    case Binary::equal:
      return a == b ? 1 : 0;
  }
  return a;
}
}  // namespace

void ReferenceBackend::copy(const View& from, const View& to) {
  for_any(from.dtype, [&]<class From>(std::type_identity<From>) {
    for_any(to.dtype, [&]<class To>(std::type_identity<To>) {
      const At<From> source(from);
      const At<To> target(to);
      for_each(to.shape, [&](const Index& i) { target[i] = static_cast<double>(source[i]); });
    });
  });
}

void ReferenceBackend::fill(const View& to, double value) {
  for_any(to.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> target(to);
    for_each(to.shape, [&](const Index& i) { target[i] = value; });
  });
}

void ReferenceBackend::unary(Unary op, const View& x, const View& y) {
  for_floating(y.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> in(x), out(y);
    for_each(y.shape, [&](const Index& i) { out[i] = apply(op, in[i]); });
  });
}

void ReferenceBackend::binary(Binary op, const View& a, const View& b, const View& y) {
  for_floating(y.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> left(a), right(b), out(y);
    for_each(y.shape, [&](const Index& i) { out[i] = apply(op, left[i], right[i]); });
  });
}

void ReferenceBackend::where(const View& condition, const View& a, const View& b, const View& y) {
  for_floating(y.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> left(a), right(b), out(y);
    for_any(condition.dtype, [&]<class C>(std::type_identity<C>) {
      const At<C> choice(condition);
      for_each(y.shape, [&](const Index& i) { out[i] = choice[i] != 0 ? left[i] : right[i]; });
    });
  });
}

void ReferenceBackend::dropout(const View& x, float probability, const RandomStream& random,
                               const Target& y) {
  const double keep = 1 / (1 - static_cast<double>(probability));
  for_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> in(x), out(y.view);
    std::uint64_t element = 0;
    for_each(x.shape, [&](const Index& i) {
      const bool dropped = random.uniform(element++) < probability;
      put(out[i], dropped ? 0.0 : in[i] * keep, y.add);
    });
  });
}

}  // namespace lathe
