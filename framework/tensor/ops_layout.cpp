// Matrix products, softmax, gathers, and everything that moves elements about.
#include <lathe/tensor/ops.h>

#include <utility>

namespace lathe {

Tensor matmul(const Tensor& a, const Tensor& b) {
  const int rank = a.shape().rank();
  bool fits = rank >= 2 && b.shape().rank() == rank && a.size(-1) == b.size(-2);
  for (int axis = 0; fits && axis < rank - 2; ++axis) fits = a.size(axis) == b.size(axis);
  if (!fits) {
    fail("matmul needs [..., M, K] and [..., K, N] with equal leading axes, not ", a.shape().text(),
         " and ", b.shape().text());
  }
  Shape shape = a.shape();
  shape[-1] = b.size(-1);
  Tensor y = Tensor::empty(a.shared_backend(), shape, a.dtype());
  a.backend().matmul(a.view(), b.view(), Target{y.view()});
  if (!recording({&a, &b})) return y;
  const auto variable = track(y);
  Tape::current()->record({variable}, [=] {
    const Tensor dy = gathered(variable, shape);
    if (a.variable()) {
      dy.backend().matmul(dy.view(), transposed(b.view(), -1, -2), gradient_target(a));
    }
    if (b.variable()) {
      dy.backend().matmul(transposed(a.view(), -1, -2), dy.view(), gradient_target(b));
    }
  });
  return y;
}

Tensor softmax(const Tensor& x) {
  Tensor y = Tensor::empty(x.shared_backend(), x.shape(), x.dtype());
  x.backend().softmax(x.view(), y.view());
  if (!recording({&x})) return y;
  const Tensor saved = y.detached();
  const auto variable = track(y);
  const Tensor operand = x;
  Tape::current()->record({variable}, [=] {
    const Tensor dy = gathered(variable, saved.shape());
    dy.backend().softmax_gradient(saved.view(), dy.view(), gradient_target(operand));
  });
  return y;
}

// x - max - log(sum(exp(x - max)))
Tensor log_softmax(const Tensor& x) {
  const Tensor centred = subtract(x, maximum(x.detached(), -1));
  return subtract(centred, log(sum(exp(centred), -1)));
}

Tensor gather(const Tensor& table, const Tensor& index) {
  if (table.shape().rank() != 2 || index.shape().rank() != 1) {
    fail("gather needs a table [R, C] and an index [N], not ", table.shape().text(), " and ",
         index.shape().text());
  }
  const Shape shape{index.size(0), table.size(1)};
  Tensor y = Tensor::empty(table.shared_backend(), shape, table.dtype());
  table.backend().gather(table.view(), index.view(), y.view());
  if (!recording({&table})) return y;
  const auto variable = track(y);
  Tape::current()->record({variable}, [=] {
    const Tensor dy = gathered(variable, shape);
    const Target target = gradient_target(table);
    if (!target.add) dy.backend().fill(target.view, 0);
    dy.backend().scatter_add(dy.view(), index.view(), target.view);
  });
  return y;
}

// As a gather from the flat [N C, 1] table at n C + index[n].
Tensor pick(const Tensor& x, const Tensor& index) {
  if (x.shape().rank() != 2 || index.count() != x.size(0)) {
    fail("pick needs x [N, C] and an index [N], not ", x.shape().text(), " and ",
         index.shape().text());
  }
  const std::int64_t columns = x.size(1);
  std::vector<std::int32_t> flat = index.integers();
  for (std::size_t n = 0; n < flat.size(); ++n) {
    if (flat[n] < 0 || flat[n] >= columns) {
      fail("pick: index ", flat[n], " of row ", n, " is outside of 0 to ", columns - 1);
    }
    flat[n] += static_cast<std::int32_t>(static_cast<std::int64_t>(n) * columns);
  }
  const Tensor rows = Tensor::of<std::int32_t>(x.shared_backend(), {x.size(0)}, flat);
  return gather(contiguous(x).reshape({x.count(), 1}), rows);
}

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  Tensor y = Tensor::empty(x.shared_backend(), x.shape(), dtype);
  x.backend().copy(x.view(), y.view());
  if (!recording({&x})) return y;
  const auto variable = track(y);
  const Tensor operand = x;
  Tape::current()->record({variable}, [=] {
    const Tensor dy = gathered(variable, operand.shape());
    give_gradient(operand, dy);
  });
  return y;
}

Tensor contiguous(const Tensor& x) {
  if (x.view().is_dense()) return x;
  Tensor y = Tensor::empty(x.shared_backend(), x.shape(), x.dtype());
  x.backend().copy(x.view(), y.view());
  if (!recording({&x})) return y;
  const auto variable = track(y);
  const Tensor operand = x;
  Tape::current()->record({variable},
                          [=] { give_gradient(operand, gathered(variable, operand.shape())); });
  return y;
}

Tensor slice(const Tensor& x, int axis, std::int64_t begin, std::int64_t end) {
  Tensor y(x.storage(), sliced(x.view(), axis, begin, end));
  if (!recording({&x})) return y;
  const auto variable = track(y);
  const Shape shape = y.shape();
  Tape::current()->record({variable}, [=] {
    const Tensor dy = gathered(variable, shape);
    const Target target = gradient_target(x);
    if (!target.add) dy.backend().fill(target.view, 0);
    const View window = sliced(target.view, axis, begin, end);
    const Tensor same = cast(dy, target.view.dtype);
    dy.backend().binary(Binary::add, window, same.view(), window);
  });
  return y;
}

Tensor transpose(const Tensor& x, int a, int b) {
  Tensor y(x.storage(), transposed(x.view(), a, b));
  if (!recording({&x})) return y;
  const auto variable = track(y);
  const Shape shape = y.shape();
  Tape::current()->record({variable}, [=] {
    const Tensor dy = gathered(variable, shape);
    give_gradient(x, Tensor(dy.storage(), transposed(dy.view(), a, b)));
  });
  return y;
}

Tensor concat(const std::vector<Tensor>& parts, int axis) {
  if (parts.empty()) fail("concat of no tensors");
  Shape shape = parts[0].shape();
  shape[axis] = 0;
  for (const Tensor& part : parts) {
    Shape other = part.shape();
    other[axis] = 0;
    Shape expected = shape;
    expected[axis] = 0;
    if (!(other == expected)) {
      fail("concat along axis ", axis, ": ", part.shape().text(), " does not fit beside ",
           parts[0].shape().text());
    }
    shape[axis] += part.size(axis);
  }
  Tensor y = Tensor::empty(parts[0].shared_backend(), shape, parts[0].dtype());
  std::int64_t begin = 0;
  bool tracked = false;
  for (const Tensor& part : parts) {
    const std::int64_t end = begin + part.size(axis);
    y.backend().copy(part.view(), sliced(y.view(), axis, begin, end));
    begin = end;
    tracked = tracked || recording({&part});
  }
  if (!tracked) return y;
  const auto variable = track(y);
  Tape::current()->record({variable}, [=] {
    const Tensor dy = gathered(variable, shape);
    std::int64_t at = 0;
    for (const Tensor& part : parts) {
      const std::int64_t until = at + part.size(axis);
      give_gradient(part, Tensor(dy.storage(), sliced(dy.view(), axis, at, until)));
      at = until;
    }
  });
  return y;
}

std::vector<Tensor> split(const Tensor& x, const std::vector<std::int64_t>& widths) {
  std::int64_t total = 0;
  for (const std::int64_t width : widths) total += width;
  if (total != x.size(-1)) {
    fail("split: the widths add up to ", total, " but the last axis of ", x.shape().text(), " has ",
         x.size(-1));
  }
  std::vector<Tensor> parts;
  std::int64_t begin = 0;
  for (const std::int64_t width : widths) {
    parts.emplace_back(x.storage(), sliced(x.view(), -1, begin, begin + width));
    begin += width;
  }
  if (!recording({&x})) return parts;
  const auto whole = x.variable();
  const bool as_windows = x.view().is_dense() && whole->shape == x.shape() && !whole->whole &&
                          !whole->parameter && whole->parts.empty();
  if (!as_windows) {
    parts.clear();
    begin = 0;
    for (const std::int64_t width : widths) {
      parts.push_back(slice(x, -1, begin, begin + width));
      begin += width;
    }
    return parts;
  }
  std::vector<std::shared_ptr<Variable>> variables;
  begin = 0;
  for (Tensor& part : parts) {
    const auto& variable = track(part);
    variable->whole = whole;
    variable->begin = begin;
    variable->end = begin + part.size(-1);
    begin = variable->end;
    whole->parts.push_back(variable);
    variables.push_back(variable);
  }
  // The gradients lie in the whole's already; only parts that got none are still to be zeroed.
  Tape::current()->record(std::move(variables),
                          [whole, shape = x.shape()] { gathered(whole, shape); });
  return parts;
}

}  // namespace lathe
