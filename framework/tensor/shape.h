// Extents of a tensor, and a strided view of memory: what a backend sees of a tensor.
#pragma once

#include <lathe/base/error.h>
#include <lathe/tensor/dtype.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace lathe {

inline constexpr int max_rank = 5;

// Up to five extents; rank 0 is a scalar. An extent may be 0.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents) {
    for (const std::int64_t extent : extents) push_back(extent);
  }

  int rank() const { return rank_; }
  // Negative axes count from the end.
  std::int64_t operator[](int axis) const { return extents_[index(axis)]; }
  std::int64_t& operator[](int axis) { return extents_[index(axis)]; }
  void push_back(std::int64_t extent) {
    if (rank_ == max_rank) fail("a tensor has at most ", max_rank, " axes");
    if (extent < 0) fail("a tensor cannot have the extent ", extent);
    extents_[static_cast<std::size_t>(rank_++)] = extent;
  }
  // Number of elements; 1 for a scalar.
  std::int64_t count() const {
    std::int64_t product = 1;
    for (int axis = 0; axis < rank_; ++axis) product *= (*this)[axis];
    return product;
  }
  std::string text() const;  // "[2, 3]"

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    for (int axis = 0; axis < a.rank_; ++axis) {
      if (a[axis] != b[axis]) return false;
    }
    return true;
  }

 private:
  std::size_t index(int axis) const {
    const int from_front = axis < 0 ? axis + rank_ : axis;
    if (from_front < 0 || from_front >= rank_) fail("axis ", axis, " of a tensor of rank ", rank_);
    return static_cast<std::size_t>(from_front);
  }

  std::array<std::int64_t, max_rank> extents_{};
  int rank_ = 0;
};

// Distance between neighbours along each axis, in elements; 0 repeats (broadcast).
using Strides = std::array<std::int64_t, max_rank>;

Strides dense_strides(const Shape& shape);

// A strided block of elements, owned by somebody else. `data` may be device memory.
struct View {
  void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;
  Strides strides{};

  explicit operator bool() const { return data != nullptr; }
  std::int64_t count() const { return shape.count(); }
  std::int64_t stride(int axis) const {
    return strides[static_cast<std::size_t>(axis < 0 ? axis + shape.rank() : axis)];
  }
  bool is_dense() const;  // row-major without holes

  // The elements as T; the dtype must be T's. Only for memory the host can read.
  template <class T>
  T* as() const {
    if (dtype != dtype_of<T>::value) {
      fail("a tensor of ", name_of(dtype), " was read as ", name_of(dtype_of<T>::value));
    }
    return static_cast<T*>(data);
  }
};

View dense_view(void* data, DType dtype, const Shape& shape);
// The same elements under another shape of equal count, when strides allow it without a copy.
View reshaped(const View& view, const Shape& shape);
// Elements [begin, end) along one axis.
View sliced(const View& view, int axis, std::int64_t begin, std::int64_t end);
// Two axes exchanged.
View transposed(const View& view, int a, int b);
// The view repeated to a larger shape: axes align at the end, extent 1 repeats (NumPy's rule).
View broadcast(const View& view, const Shape& shape);
Shape broadcast_shape(const Shape& a, const Shape& b);

}  // namespace lathe
