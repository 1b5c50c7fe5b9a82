// What the elementwise kernels get beyond the caller's arguments.
#pragma once

#include "blocks.h"
#include "elementwise.h"

namespace lathe::kernels {

struct ColumnSumTask {
  ColumnSum arguments;
  float* partials;  // [blocks of rows][width]
};

struct SquareSumTask {
  const float* x;
  std::size_t count;
  double* partials;  // [blocks]
};

}  // namespace lathe::kernels
