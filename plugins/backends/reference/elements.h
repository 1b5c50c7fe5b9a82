// Elements of strided views as doubles: every sum below is in double and is rounded once, on store.
#pragma once

#include <lathe/tensor/shape.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

namespace lathe::reference {

// The type of statistics, biases and gradients of parameters beside elements of type T.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

// Nearest bf16, ties to even, in one rounding. Going through the nearest float would round twice;
// a float rounded to odd keeps on which side of a tie the double lies.
inline bf16 nearest_bf16(double value) {
  float odd = static_cast<float>(value);
  if (static_cast<double>(odd) != value && !std::isnan(value)) {
    auto word = std::bit_cast<std::uint32_t>(odd);
    if (std::abs(static_cast<double>(odd)) > std::abs(value)) --word;
    odd = std::bit_cast<float>(word | 1u);
  }
  return bf16(odd);
}

// One element in memory, read and assigned as a double. Beside an int in a conditional expression
// it would turn into an int: write 0.0 there (-Wconversion insists).
template <class T>
class Element {
 public:
  explicit Element(T* at) : at_(at) {}
  Element(const Element&) = default;

  operator double() const {
    if constexpr (std::is_same_v<T, bf16>) {
      return static_cast<double>(static_cast<float>(*at_));
    } else {
      return static_cast<double>(*at_);
    }
  }
  const Element& operator=(double value) const {
    if constexpr (std::is_same_v<T, bf16>) {
      *at_ = nearest_bf16(value);
    } else {
      *at_ = static_cast<T>(value);
    }
    return *this;
  }
  const Element& operator=(const Element& other) const {
    return *this = static_cast<double>(other);
  }

 private:
  T* at_;
};

// The double that an element of type T would hold.
template <class T>
double rounded_to(double value) {
  T element{};
  Element<T> at(&element);
  at = value;
  return at;
}

using Index = std::array<std::int64_t, max_rank>;

// A view with its element type: x(n, c) is an element. A view that is not there stays false.
template <class T>
class At {
 public:
  explicit At(const View& view) : strides_(view.strides) {
    if (view) data_ = view.as<T>();
  }
  explicit operator bool() const { return data_ != nullptr; }

  template <class... Places>
  Element<T> operator()(Places... places) const {
    std::size_t axis = 0;
    std::int64_t offset = 0;
    ((offset += strides_[axis++] * places), ...);
    return Element<T>(data_ + offset);
  }
  Element<T> operator[](const Index& index) const {
    return (*this)(index[0], index[1], index[2], index[3], index[4]);
  }

 private:
  T* data_ = nullptr;
  Strides strides_;
};

// Overwrites an element, or adds to it.
template <class T>
void put(const Element<T>& element, double value, bool add) {
  element = add ? element + value : value;
}

// Calls body(index) for every index of the shape in row-major order; once for a scalar.
template <class Body>
void for_each(const Shape& shape, Body body) {
  Index extent{1, 1, 1, 1, 1};
  for (int axis = 0; axis < shape.rank(); ++axis) {
    extent[static_cast<std::size_t>(axis)] = shape[axis];
  }
  Index i{};
  for (i[0] = 0; i[0] < extent[0]; ++i[0]) {
    for (i[1] = 0; i[1] < extent[1]; ++i[1]) {
      for (i[2] = 0; i[2] < extent[2]; ++i[2]) {
        for (i[3] = 0; i[3] < extent[3]; ++i[3]) {
          for (i[4] = 0; i[4] < extent[4]; ++i[4]) body(i);
        }
      }
    }
  }
}

// Calls body(std::type_identity<T>{}) with the element type of a dtype.
template <class Body>
void for_floating(DType type, Body body) {
  switch (type) {
    case DType::f32:
      return body(std::type_identity<float>{});
    case DType::bf16:
      return body(std::type_identity<bf16>{});
    case DType::f64:
      return body(std::type_identity<double>{});
    case DType::i32:
      fail("an op on floating numbers was given a tensor of i32");
  }
}
template <class Body>
void for_any(DType type, Body body) {
  if (type == DType::i32) return body(std::type_identity<std::int32_t>{});
  for_floating(type, body);
}

// A row number from an i32 view, or -1 for "none". Wrong numbers would write outside the table.
inline std::int64_t row_at(const At<std::int32_t>& index, std::int64_t n, std::int64_t rows,
                           const char* what) {
  const auto row = static_cast<std::int64_t>(static_cast<double>(index(n)));
  if (row >= rows) {
    fail(what, ": index ", row, " at position ", n, " is outside a table of ", rows, " rows");
  }
  return row < 0 ? -1 : row;
}

}  // namespace lathe::reference
