// Weights at rest (Backend::hold) in the order in which few rows are multiplied fastest.
#pragma once

#include <lathe/tensor/shape.h>

#include <cstddef>
#include <vector>

#include "kernels/gemm.h"
#include "workspace.h"

namespace lathe {

class HeldWeights {
 public:
  void begin(const View& memory);  // dense
  void end();

  // product.b in that order, for gemm_held(); null where it does not lie in the memory at rest, or
  // there is no room: what a L2 does not keep is read faster where it lies.
  const float* of(const kernels::Gemm& product);

 private:
  struct Weight {
    const void* b;
    std::int64_t n, k, row, column;
    const float* held;  // null: no room
  };
  const float* hold(const kernels::Gemm& product);

  const std::byte* begin_ = nullptr;
  const std::byte* end_ = nullptr;
  std::vector<Weight> weights_;
  Workspace space_;
  std::size_t used_ = 0;  // floats
};

}  // namespace lathe
