// Reductions, softmax, and rows picked from tables.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/elementwise.h"
#include "kernels/softmax.h"
#include "onednn.h"
#include "strided.h"

namespace lathe {
namespace {
// The value at `place` (row-major in `shape`) of a view.
std::int64_t offset_of(const Shape& shape, const Strides& strides, std::int64_t place) {
  std::int64_t offset = 0;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    offset += place % shape[axis] * strides[static_cast<std::size_t>(axis)];
    place /= shape[axis];
  }
  return offset;
}

// One result after the other, each summed by one thread in row-major order, in double.
template <class T>
void reduce_of(Reduce op, const View& x, const View& y) {
  Shape inner;  // the reduced axes
  Strides inner_strides{};
  for (int axis = 0; axis < x.shape.rank(); ++axis) {
    if (y.shape[axis] == x.shape[axis]) continue;
    inner_strides[static_cast<std::size_t>(inner.rank())] = x.stride(axis);
    inner.push_back(x.shape[axis]);
  }
  const std::int64_t count = inner.count();
  const std::int64_t width = inner.rank() == 0 ? 1 : inner[-1];
  const std::int64_t step =
      inner.rank() == 0 ? 0 : inner_strides[static_cast<std::size_t>(inner.rank() - 1)];
  const std::int64_t grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(count, 1));
  const bool dense = y.is_dense();
  parallel_for(y.count(), grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t place = begin; place < end; ++place) {
      const T* from = x.as<T>() + offset_of(y.shape, x.strides, place);
      double total = op == Reduce::sum ? 0 : -std::numeric_limits<double>::infinity();
      for (std::int64_t row = 0; row < count; row += width) {
        const T* line = row == 0 ? from : from + offset_of(inner, inner_strides, row);
        for (std::int64_t i = 0; i < width; ++i) {
          const double value = static_cast<double>(to_float(line[i * step]));
          if (op == Reduce::sum) {
            total += value;
          } else {
            total = std::isnan(value) || value > total ? value : total;
          }
        }
      }
      y.as<T>()[dense ? place : offset_of(y.shape, y.strides, place)] =
          from_float<T>(static_cast<float>(total));
    }
  });
}

// The rows of the last axis lie one behind the other, whatever the axes before.
bool rows_follow(const View& view) {
  if (view.shape.rank() < 1 || (view.stride(-1) != 1 && view.shape[-1] != 1)) return false;
  return view.is_dense();
}

std::size_t size(std::int64_t value) { return static_cast<std::size_t>(value); }
}  // namespace

void OnednnBackend::reduce(Reduce op, const View& x, const View& y) {
  with_type(x.dtype, [&](auto tag) { reduce_of<decltype(tag)>(op, x, y); });
}

void OnednnBackend::softmax(const View& x, const View& y) {
  if (x.count() == 0) return;
  if (!rows_follow(x) || !rows_follow(y)) {
    Workspace space;
    const View dense = dense_view(space.get(size(y.count()) * size_of(y.dtype)), y.dtype, y.shape);
    copy(x, dense);
    softmax(dense, dense);
    return copy(dense, y);
  }
  const std::size_t width = size(x.shape[-1]);
  kernels::softmax_forward({.dtype = x.dtype,
                            .log = false,
                            .rows = size(x.count()) / width,
                            .width = width,
                            .x_stride = width,
                            .y_stride = width,
                            .x = x.data,
                            .y = y.data});
}

void OnednnBackend::softmax_gradient(const View& y, const View& dy, const Target& dx) {
  if (y.count() == 0) return;
  Workspace own;
  const std::size_t bytes = size(y.count()) * size_of(y.dtype);
  const auto dense = [&](const View& view, Workspace& space) {
    if (rows_follow(view)) return view;
    View copied = dense_view(space.get(bytes), view.dtype, view.shape);
    copy(view, copied);
    return copied;
  };
  Workspace y_space;
  Workspace dy_space;
  const View from = dense(y, y_space);
  const View gradient = dense(dy, dy_space);
  const bool direct = !dx.add && rows_follow(dx.view);
  const View to = direct ? dx.view : dense_view(own.get(bytes), y.dtype, y.shape);
  const std::size_t width = size(y.shape[-1]);
  kernels::softmax_backward({.dtype = y.dtype,
                             .log = false,
                             .rows = size(y.count()) / width,
                             .width = width,
                             .y = from.data,
                             .dy = gradient.data,
                             .dx = to.data});
  if (direct) return;
  if (dx.add) {
    binary(Binary::add, dx.view, to, dx.view);
  } else {
    copy(to, dx.view);
  }
}

void OnednnBackend::gather(const View& table, const View& index, const View& y) {
  const std::int64_t rows = index.shape[0];
  const std::int64_t width = table.shape[1];
  const std::int32_t* picks = index.as<std::int32_t>();
  with_type(table.dtype, [&](auto tag) {
    using T = decltype(tag);
    const std::int64_t grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(width, 1));
    parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n = begin; n < end; ++n) {
        const std::int64_t row = picks[n * index.stride(0)];
        if (row >= table.shape[0]) {
          fail("gather: index ", row, " at ", n, " is outside of ", table.shape[0], " rows");
        }
        const T* from = table.as<T>() + std::max<std::int64_t>(row, 0) * table.stride(0);
        T* to = y.as<T>() + n * y.stride(0);
        for (std::int64_t c = 0; c < width; ++c) {
          to[c * y.stride(1)] = row < 0 ? from_float<T>(0) : from[c * table.stride(1)];
        }
      }
    });
  });
}

// Threads share columns, never rows: each element of the table is added to in the order of n.
void OnednnBackend::scatter_add(const View& rows, const View& index, const View& table) {
  const std::int64_t count = index.shape[0];
  const std::int64_t width = table.shape[1];
  const std::int32_t* picks = index.as<std::int32_t>();
  const auto scatter = [&](auto from_tag, auto to_tag) {
    using From = decltype(from_tag);
    using To = decltype(to_tag);
    parallel_for(width, 64, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n = 0; n < count; ++n) {
        const std::int64_t row = picks[n * index.stride(0)];
        if (row < 0) continue;
        if (row >= table.shape[0]) {
          fail("scatter_add: index ", row, " at ", n, " is outside of ", table.shape[0], " rows");
        }
        const From* from = rows.as<From>() + n * rows.stride(0);
        To* to = table.as<To>() + row * table.stride(0);
        for (std::int64_t c = begin; c < end; ++c) {
          To& sum = to[c * table.stride(1)];
          sum = from_float<To>(to_float(sum) + to_float(from[c * rows.stride(1)]));
        }
      }
    });
  };
  with_type(rows.dtype,
            [&](auto from) { with_type(table.dtype, [&](auto to) { scatter(from, to); }); });
}

void OnednnBackend::kv_append(const View& x, const View& position, const View& cache) {
  const std::int64_t length = x.shape[1];
  const std::int32_t* first = position.as<std::int32_t>();
  for (std::int64_t b = 0; b < x.shape[0]; ++b) {
    const std::int64_t begin = first[b * position.stride(0)];
    if (begin < 0 || begin + length > cache.shape[1]) {
      fail("kv_append: ", length, " tokens at ", begin, " do not fit a cache of ", cache.shape[1]);
    }
    copy(sliced(x, 0, b, b + 1), sliced(sliced(cache, 0, b, b + 1), 1, begin, begin + length));
  }
}

}  // namespace lathe
