#include <lathe/tensor/composed.h>

#include <numeric>
#include <vector>

namespace lathe::composed {

DType wide_of(DType type) { return type == DType::f64 ? DType::f64 : DType::f32; }

Scratch cast(Backend& backend, const View& x, DType type) {
  Scratch y(backend, type, x.shape);
  backend.copy(x, y);
  return y;
}

Scratch wide(Backend& backend, const View& x) { return cast(backend, x, wide_of(x.dtype)); }

Scratch constant(Backend& backend, DType type, double value) {
  Scratch y(backend, type, {1});
  backend.fill(y, value);
  return y;
}

Scratch counting(Backend& backend, DType type, std::int64_t count) {
  std::vector<std::int32_t> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  Scratch whole(backend, DType::i32, {count});
  backend.upload(whole.view().data, numbers.data(), numbers.size() * sizeof numbers[0]);
  return cast(backend, whole, type);
}

Scratch apply(Backend& backend, Unary op, const View& x) {
  Scratch y(backend, x.dtype, x.shape);
  backend.unary(op, x, y);
  return y;
}

Scratch apply(Backend& backend, Binary op, const View& a, const View& b) {
  const Shape shape = broadcast_shape(a.shape, b.shape);
  Scratch y(backend, a.dtype, shape);
  backend.binary(op, broadcast(a, shape), broadcast(b, shape), y);
  return y;
}

Scratch apply(Backend& backend, Binary op, const View& a, double b) {
  return apply(backend, op, a, constant(backend, a.dtype, b));
}

Scratch apply(Backend& backend, Binary op, double a, const View& b) {
  return apply(backend, op, constant(backend, b.dtype, a), b);
}

Scratch choose(Backend& backend, const View& condition, double a, const View& b) {
  const Shape shape = broadcast_shape(condition.shape, b.shape);
  const Scratch value = constant(backend, b.dtype, a);
  Scratch y(backend, b.dtype, shape);
  backend.where(broadcast(condition, shape), broadcast(value, shape), broadcast(b, shape), y);
  return y;
}

Scratch reduced(Backend& backend, Reduce op, const View& x, int axis) {
  Shape shape = x.shape;
  shape[axis] = 1;
  Scratch y(backend, x.dtype, shape);
  backend.reduce(op, x, y);
  return y;
}

Scratch product(Backend& backend, const View& a, const View& b) {
  Shape shape = a.shape;
  shape[-1] = b.shape[-1];
  Scratch y(backend, a.dtype, shape);
  backend.matmul(a, b, {y, false});
  return y;
}

void put(Backend& backend, const View& value, const Target& target) {
  if (!target) return;
  if (!target.add) return backend.copy(value, target.view);
  const Scratch before = cast(backend, target.view, value.dtype);
  backend.copy(apply(backend, Binary::add, before, value), target.view);
}

}  // namespace lathe::composed
