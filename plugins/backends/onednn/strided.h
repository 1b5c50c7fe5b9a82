// Loops over strided views: the innermost axis in one tight loop, the others spread over threads.
#pragma once

#include <lathe/base/threads.h>
#include <lathe/tensor/shape.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace lathe {

// Calls body(offsets, inner) for ranges of rows of the shape: offsets[i] is where view i's row
// begins, in elements. Rows are the last axis.
template <std::size_t count, class Body>
void for_each_row(const Shape& shape, const std::array<const Strides*, count>& strides,
                  const Body& body) {
  const int rank = shape.rank();
  const std::int64_t inner = rank == 0 ? 1 : shape[rank - 1];
  const std::int64_t rows = inner == 0 ? 0 : shape.count() / inner;
  const std::int64_t grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(inner, 1));
  parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      std::array<std::int64_t, count> offsets{};
      std::int64_t rest = row;
      for (int axis = rank - 2; axis >= 0; --axis) {
        const std::int64_t place = rest % shape[axis];
        rest /= shape[axis];
        for (std::size_t i = 0; i < count; ++i) {
          offsets[i] += place * (*strides[i])[static_cast<std::size_t>(axis)];
        }
      }
      body(offsets, row);
    }
  });
}

inline std::int64_t inner_size(const Shape& shape) {
  return shape.rank() == 0 ? 1 : shape[shape.rank() - 1];
}
inline std::int64_t inner_stride(const View& view) {
  return view.shape.rank() == 0 ? 0 : view.stride(-1);
}

// Calls f(type tag) with the element type of the dtype.
template <class F>
void with_type(DType type, const F& f) {
  switch (type) {
    case DType::f32:
      return f(float{});
    case DType::bf16:
      return f(bf16{});
    case DType::i32:
      return f(std::int32_t{});
    case DType::f64:
      return f(double{});
  }
}

template <class T>
float to_float(T value) {
  return static_cast<float>(value);
}
template <class T>
T from_float(float value) {
  return static_cast<T>(value);
}

}  // namespace lathe
