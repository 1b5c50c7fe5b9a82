#include <lathe/tensor/shape.h>

#include <algorithm>

namespace lathe {
namespace {
std::size_t at(int axis) { return static_cast<std::size_t>(axis); }

int from_front(const View& view, int axis) {
  const int rank = view.shape.rank();
  const int front = axis < 0 ? axis + rank : axis;
  if (front < 0 || front >= rank) fail("axis ", axis, " of a tensor ", view.shape.text());
  return front;
}
}  // namespace

std::string Shape::text() const {
  std::string text = "[";
  for (int axis = 0; axis < rank_; ++axis) {
    text += cat(axis == 0 ? "" : ", ", (*this)[axis]);
  }
  return text + "]";
}

Strides dense_strides(const Shape& shape) {
  Strides strides{};
  std::int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[at(axis)] = step;
    step *= shape[axis];
  }
  return strides;
}

bool View::is_dense() const {
  std::int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    if (shape[axis] != 1 && strides[at(axis)] != step) return count() == 0;
    step *= shape[axis];
  }
  return true;
}

View dense_view(void* data, DType dtype, const Shape& shape) {
  return View{data, dtype, shape, dense_strides(shape)};
}

// Old axes are walked in groups that hold as many elements as groups of new axes; a group can be
// cut anew without a copy when its own strides are those of a dense block.
View reshaped(const View& view, const Shape& shape) {
  if (view.count() != shape.count()) {
    fail("cannot view a tensor ", view.shape.text(), " as ", shape.text(), ": ", view.count(),
         " elements are not ", shape.count());
  }
  if (view.count() == 0 || view.is_dense()) return dense_view(view.data, view.dtype, shape);
  Shape extents;  // of the axes with more than one element: the strides of others mean nothing
  Strides strides{};
  for (int axis = 0; axis < view.shape.rank(); ++axis) {
    if (view.shape[axis] == 1) continue;
    strides[at(extents.rank())] = view.strides[at(axis)];
    extents.push_back(view.shape[axis]);
  }
  View result{view.data, view.dtype, shape, {}};
  int from = 0;
  int to = 0;
  while (to < shape.rank()) {
    int from_end = std::min(from + 1, extents.rank());
    int to_end = to + 1;
    std::int64_t old_count = from < extents.rank() ? extents[from] : 1;
    std::int64_t new_count = shape[to];
    while (old_count != new_count) {
      if (old_count < new_count) {
        old_count *= extents[from_end++];
      } else {
        new_count *= shape[to_end++];
      }
    }
    for (int axis = from; axis + 1 < from_end; ++axis) {
      if (strides[at(axis)] != strides[at(axis + 1)] * extents[axis + 1]) {
        fail("cannot view a strided tensor ", view.shape.text(), " as ", shape.text(),
             ": copy it with contiguous() first");
      }
    }
    std::int64_t step = from_end > from ? strides[at(from_end - 1)] : 1;
    for (int axis = to_end - 1; axis >= to; --axis) {
      result.strides[at(axis)] = step;
      step *= shape[axis];
    }
    from = from_end;
    to = to_end;
  }
  return result;
}

View sliced(const View& view, int axis, std::int64_t begin, std::int64_t end) {
  const int front = from_front(view, axis);
  if (begin < 0 || begin > end || end > view.shape[front]) {
    fail("cannot take ", begin, " to ", end, " of axis ", axis, " of a tensor ", view.shape.text());
  }
  View part = view;
  part.shape[front] = end - begin;
  part.data = static_cast<std::byte*>(view.data) +
              begin * view.strides[at(front)] * static_cast<std::int64_t>(size_of(view.dtype));
  return part;
}

View transposed(const View& view, int a, int b) {
  View turned = view;
  const int first = from_front(view, a);
  const int second = from_front(view, b);
  std::swap(turned.shape[first], turned.shape[second]);
  std::swap(turned.strides[at(first)], turned.strides[at(second)]);
  return turned;
}

View broadcast(const View& view, const Shape& shape) {
  View wide{view.data, view.dtype, shape, {}};
  const int missing = shape.rank() - view.shape.rank();
  bool fits = missing >= 0;
  for (int axis = 0; fits && axis < view.shape.rank(); ++axis) {
    const std::int64_t extent = view.shape[axis];
    fits = extent == shape[axis + missing] || extent == 1;
    wide.strides[at(axis + missing)] =
        extent == 1 && shape[axis + missing] != 1 ? 0 : view.strides[at(axis)];
  }
  if (!fits) fail("cannot repeat a tensor ", view.shape.text(), " to ", shape.text());
  return wide;
}

Shape broadcast_shape(const Shape& a, const Shape& b) {
  Shape result;
  const int rank = std::max(a.rank(), b.rank());
  for (int axis = -rank; axis < 0; ++axis) {
    const std::int64_t left = axis + a.rank() >= 0 ? a[axis] : 1;
    const std::int64_t right = axis + b.rank() >= 0 ? b[axis] : 1;
    if (left != right && left != 1 && right != 1) {
      fail("the shapes ", a.text(), " and ", b.text(), " do not broadcast");
    }
    result.push_back(left == 1 ? right : left);
  }
  return result;
}

}  // namespace lathe
