// Unary and binary ops, where, and reductions, each with its derivative.
#include <lathe/tensor/ops.h>

#include <utility>

namespace lathe {
namespace {
// dy summed over the axes along which an operand was repeated.
Tensor reduced_to(const Tensor& dy, const Shape& shape) {
  if (dy.shape() == shape) return dy;
  Shape narrow;  // of dy's rank
  for (int axis = -dy.shape().rank(); axis < 0; ++axis) {
    narrow.push_back(axis + shape.rank() >= 0 ? shape[axis] : 1);
  }
  Tensor total = Tensor::empty(dy.shared_backend(), narrow, dy.dtype());
  dy.backend().reduce(Reduce::sum, dy.view(), total.view());
  return total.reshape(shape);
}

Tensor raw_unary(Unary op, const Tensor& x) {
  Tensor y = Tensor::empty(x.shared_backend(), x.shape(), x.dtype());
  x.backend().unary(op, x.view(), y.view());
  return y;
}

Tensor raw_binary(Binary op, const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype()) {
    fail("operands of ", name_of(a.dtype()), " and ", name_of(b.dtype()), ": cast() one of them");
  }
  const Shape shape = broadcast_shape(a.shape(), b.shape());
  Tensor y = Tensor::empty(a.shared_backend(), shape, a.dtype());
  a.backend().binary(op, broadcast(a.view(), shape), broadcast(b.view(), shape), y.view());
  return y;
}

Tensor constant(const Tensor& like, double value) {
  return Tensor::full(like.shared_backend(), {1}, like.dtype(), value);
}

// Notes y = f(x) with dx = derivative(dy), written with the public ops (nothing records then).
template <class Derivative>
Tensor noted(Tensor y, const Tensor& x, Derivative derivative) {
  if (!recording({&x})) return y;
  const Shape shape = y.shape();
  const auto variable = track(y);
  const Receiver operand(x);
  Tape::current()->record({variable}, [variable, shape, operand, derivative] {
    Tensor dy = gathered(variable, shape);
    variable->gradient = Tensor();
    operand.give(derivative(std::move(dy)));
  });
  return y;
}

template <class Left, class Right>
Tensor noted(Tensor y, const Tensor& a, const Tensor& b, Left left, Right right) {
  if (!recording({&a, &b})) return y;
  const Shape shape = y.shape();
  const auto variable = track(y);
  const Receiver to_a(a), to_b(b);
  Tape::current()->record({variable}, [variable, shape, to_a, to_b, left, right] {
    const Tensor dy = gathered(variable, shape);
    if (to_a) to_a.give(reduced_to(left(dy), to_a.shape()));
    if (to_b) to_b.give(reduced_to(right(dy), to_b.shape()));
  });
  return y;
}
}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  const auto same = [](const Tensor& dy) { return dy; };
  return noted(raw_binary(Binary::add, a, b), a, b, same, same);
}

Tensor subtract(const Tensor& a, const Tensor& b) {
  return noted(
      raw_binary(Binary::subtract, a, b), a, b, [](const Tensor& dy) { return dy; },
      [](const Tensor& dy) { return raw_unary(Unary::negate, dy); });
}

Tensor multiply(const Tensor& a, const Tensor& b) {
  return noted(
      raw_binary(Binary::multiply, a, b), a, b, [b](const Tensor& dy) { return multiply(dy, b); },
      [a](const Tensor& dy) { return multiply(dy, a); });
}

Tensor divide(const Tensor& a, const Tensor& b) {
  const Tensor y = raw_binary(Binary::divide, a, b);
  return noted(
      y, a, b, [b](const Tensor& dy) { return divide(dy, b); },
      [y, b](const Tensor& dy) { return negate(divide(multiply(dy, y), b)); });
}

Tensor maximum(const Tensor& a, const Tensor& b) {
  return noted(
      raw_binary(Binary::maximum, a, b), a, b,
      [a, b](const Tensor& dy) { return where(less(a, b), constant(dy, 0), dy); },
      [a, b](const Tensor& dy) { return where(less(a, b), dy, constant(dy, 0)); });
}

Tensor minimum(const Tensor& a, const Tensor& b) {
  return noted(
      raw_binary(Binary::minimum, a, b), a, b,
      [a, b](const Tensor& dy) { return where(less(b, a), constant(dy, 0), dy); },
      [a, b](const Tensor& dy) { return where(less(b, a), dy, constant(dy, 0)); });
}

Tensor scale(const Tensor& x, double factor) { return multiply(x, constant(x, factor)); }
Tensor shift(const Tensor& x, double amount) { return add(x, constant(x, amount)); }

Tensor negate(const Tensor& x) {
  return noted(raw_unary(Unary::negate, x), x, [](const Tensor& dy) { return negate(dy); });
}

Tensor exp(const Tensor& x) {
  const Tensor y = raw_unary(Unary::exp, x);
  return noted(y, x, [y](const Tensor& dy) { return multiply(dy, y); });
}

Tensor log(const Tensor& x) {
  return noted(raw_unary(Unary::log, x), x, [x](const Tensor& dy) { return divide(dy, x); });
}

Tensor sqrt(const Tensor& x) {
  const Tensor y = raw_unary(Unary::sqrt, x);
  return noted(y, x, [y](const Tensor& dy) { return divide(dy, scale(y, 2)); });
}

Tensor square(const Tensor& x) {
  return noted(raw_unary(Unary::square, x), x,
               [x](const Tensor& dy) { return multiply(dy, scale(x, 2)); });
}

Tensor tanh(const Tensor& x) {
  const Tensor y = raw_unary(Unary::tanh, x);
  return noted(y, x,
               [y](const Tensor& dy) { return multiply(dy, subtract(constant(y, 1), square(y))); });
}

Tensor sigmoid(const Tensor& x) {
  const Tensor y = raw_unary(Unary::sigmoid, x);
  return noted(y, x, [y](const Tensor& dy) {
    return multiply(dy, multiply(y, subtract(constant(y, 1), y)));
  });
}

Tensor relu(const Tensor& x) {
  return noted(raw_unary(Unary::relu, x), x, [x](const Tensor& dy) {
    return where(less(constant(x, 0), x), dy, constant(dy, 0));
  });
}

Tensor abs(const Tensor& x) {
  return noted(raw_unary(Unary::abs, x), x, [x](const Tensor& dy) {
    const Tensor zero = constant(x, 0);
    const Tensor sign = subtract(less(zero, x), less(x, zero));
    return multiply(dy, sign);
  });
}

Tensor silu(const Tensor& x) {
  return noted(raw_unary(Unary::silu, x), x, [x](const Tensor& dy) {
    const Tensor s = sigmoid(x);
    const Tensor inner = shift(multiply(x, subtract(constant(x, 1), s)), 1);
    return multiply(dy, multiply(s, inner));
  });
}

// 0.5 x (1 + tanh(u)), u = sqrt(2 / pi) (x + 0.044715 x^3)
Tensor gelu_tanh(const Tensor& x) {
  return noted(raw_unary(Unary::gelu_tanh, x), x, [x](const Tensor& dy) {
    constexpr double slope = 0.7978845608028654;
    const Tensor cube = multiply(square(x), x);
    const Tensor t = tanh(scale(add(x, scale(cube, 0.044715)), slope));
    const Tensor inner = scale(shift(scale(square(x), 3 * 0.044715), 1), slope);
    const Tensor right = multiply(multiply(x, subtract(constant(t, 1), square(t))), inner);
    return multiply(dy, scale(add(shift(t, 1), right), 0.5));
  });
}

Tensor clamp(const Tensor& x, double low, double high) {
  return minimum(maximum(x, constant(x, low)), constant(x, high));
}

Tensor less(const Tensor& a, const Tensor& b) {
  return raw_binary(Binary::less, a.detached(), b.detached());
}

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  const Shape shape = broadcast_shape(condition.shape(), broadcast_shape(a.shape(), b.shape()));
  Tensor y = Tensor::empty(a.shared_backend(), shape, a.dtype());
  a.backend().where(broadcast(condition.view(), shape), broadcast(a.view(), shape),
                    broadcast(b.view(), shape), y.view());
  return noted(
      y, a, b, [condition](const Tensor& dy) { return where(condition, dy, constant(dy, 0)); },
      [condition](const Tensor& dy) { return where(condition, constant(dy, 0), dy); });
}

namespace {
Tensor reduce_axis(Reduce op, const Tensor& x, int axis) {
  Shape shape = x.shape();
  shape[axis] = 1;
  Tensor y = Tensor::empty(x.shared_backend(), shape, x.dtype());
  x.backend().reduce(op, x.view(), y.view());
  return y;
}

Tensor repeated(const Tensor& x, const Shape& shape) {
  Tensor y = Tensor::empty(x.shared_backend(), shape, x.dtype());
  x.backend().copy(broadcast(x.view(), shape), y.view());
  return y;
}
}  // namespace

Tensor sum(const Tensor& x, int axis) {
  const Shape shape = x.shape();
  return noted(reduce_axis(Reduce::sum, x, axis), x,
               [shape](const Tensor& dy) { return repeated(dy, shape); });
}

Tensor sum(const Tensor& x) {
  Shape ones;
  for (int axis = 0; axis < x.shape().rank(); ++axis) ones.push_back(1);
  Tensor y = Tensor::empty(x.shared_backend(), ones, x.dtype());
  x.backend().reduce(Reduce::sum, x.view(), y.view());
  const Shape shape = x.shape();
  return noted(y.reshape({1}), x,
               [shape, ones](const Tensor& dy) { return repeated(dy.reshape(ones), shape); });
}

Tensor mean(const Tensor& x) { return scale(sum(x), 1 / static_cast<double>(x.count())); }

Tensor mean(const Tensor& x, int axis) {
  return scale(sum(x, axis), 1 / static_cast<double>(x.size(axis)));
}

Tensor maximum(const Tensor& x, int axis) {
  const Tensor y = reduce_axis(Reduce::maximum, x, axis);
  return noted(y, x, [x, y, axis](const Tensor& dy) {
    const Tensor hits = raw_binary(Binary::equal, x.detached(), y);
    return multiply(hits, divide(dy, reduce_axis(Reduce::sum, hits, axis)));
  });
}

}  // namespace lathe
