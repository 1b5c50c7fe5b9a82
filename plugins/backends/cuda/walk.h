// Going through the elements of several strided views at once: the map from the number of an
// element to its place in each view.
#pragma once

#include <device/qualifiers.h>
#include <lathe/tensor/shape.h>

#include <array>
#include <cstdint>

namespace lathe::cuda {

// Element `number` (row-major) of `count` lies `at(view, number)` elements after the start of a
// view. Axes that lie one behind the other in all views are one axis here.
template <int views>
struct Walk {
  std::int64_t count = 1;
  int rank = 0;
  bool narrow = true;  // 32 bits hold every number: division is much cheaper so
  std::int64_t extent[max_rank] = {};
  std::int64_t stride[views][max_rank] = {};

  struct Places {
    std::int64_t at[views];
  };

  LATHE_HOST_DEVICE Places places(std::int64_t number) const {
    return narrow ? split(static_cast<std::uint32_t>(number)) : split(number);
  }
  // Every view lies densely, or repeats one element.
  bool flat() const {
    if (rank > 1) return false;
    for (int view = 0; view < views; ++view) {
      if (rank == 1 && stride[view][0] != 1 && stride[view][0] != 0) return false;
    }
    return true;
  }
  bool dense(int view) const { return rank == 0 || stride[view][0] == 1; }

 private:
  template <class Number>
  LATHE_HOST_DEVICE Places split(Number number) const {
    Places result{};
    for (int axis = rank - 1; axis >= 0; --axis) {
      const Number size = static_cast<Number>(extent[axis]);
      const Number rest = number / size;
      const std::int64_t index = static_cast<std::int64_t>(number - rest * size);
      for (int view = 0; view < views; ++view) result.at[view] += index * stride[view][axis];
      number = rest;
    }
    return result;
  }
};

// The walk through `shape` with each view's own strides, which may be 0 where it repeats.
template <int views>
Walk<views> walk_of(const Shape& shape, const std::array<const Strides*, views>& strides) {
  Walk<views> walk;
  walk.count = shape.count();
  walk.narrow = walk.count < (std::int64_t{1} << 31);
  const auto index = [](int axis) { return static_cast<std::size_t>(axis); };
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const std::int64_t extent = shape[axis];
    if (extent == 1) continue;
    bool joins = walk.rank > 0;
    for (std::size_t view = 0; view < index(views) && joins; ++view) {
      joins = walk.stride[view][walk.rank - 1] == (*strides[view])[index(axis)] * extent;
    }
    const int last = joins ? walk.rank - 1 : walk.rank++;
    walk.extent[last] = joins ? walk.extent[last] * extent : extent;
    for (std::size_t view = 0; view < index(views); ++view) {
      walk.stride[view][last] = (*strides[view])[index(axis)];
    }
  }
  return walk;
}

}  // namespace lathe::cuda
