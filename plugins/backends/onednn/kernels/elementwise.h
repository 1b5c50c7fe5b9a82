// Flat loops (add, cast, fill), column sums and the sum of squares.
#pragma once

#include <lathe/tensor/dtype.h>

#include <cstddef>

namespace lathe::kernels {

// y = a + b; y may be a or b.
struct Add {
  DType dtype = DType::f32;
  std::size_t count = 0;
  const void* a = nullptr;
  const void* b = nullptr;
  void* y = nullptr;
};

// y = x in another type, rounded to nearest even.
struct Cast {
  DType from = DType::f32;
  DType to = DType::bf16;
  std::size_t count = 0;
  const void* x = nullptr;
  void* y = nullptr;
};

struct Fill {
  DType dtype = DType::f32;
  std::size_t count = 0;
  float value = 0;
  void* y = nullptr;
};

// out[c] += the sum of x[r, c] over the rows, in blocks of 64 rows whose f32 sums are added in
// order (the gradient of a bias).
struct ColumnSum {
  DType dtype = DType::f32;
  std::size_t rows = 0;
  std::size_t width = 0;
  std::size_t stride = 0;  // elements from row to row, at least width
  const void* x = nullptr;
  float* out = nullptr;
};

void add(const Add& arguments);
void cast(const Cast& arguments);
void fill(const Fill& arguments);
void column_sum(const ColumnSum& arguments);

struct SquareSum {
  double sum;
  bool finite;  // every element is finite; sum is then finite, too
};

// The sum of x^2, each square exact in double; one partial per 16384 elements, added in order.
SquareSum sum_of_squares(const float* x, std::size_t count);

}  // namespace lathe::kernels
