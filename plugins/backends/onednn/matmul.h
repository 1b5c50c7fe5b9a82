// Matrix products by oneDNN's matmul primitive, 2.6 and 3.x alike.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/gemm.h"

namespace lathe {

// Keeps one primitive per shape and number of threads. A primitive that oneDNN can only run with its
// reference loops (hundreds of times slower) is an Error, not a surprise. Products that sum over
// many rows (gradients of weights) are cut into blocks that are added in order, since oneDNN's own
// cut of a long sum depends on the number of threads. Left to the plugin's own kernel: sums over
// many rows into bf16 (blocks would round), a residual, repeated rows (stride 0), no elements.
class OnednnMatmul {
 public:
  OnednnMatmul();
  ~OnednnMatmul();
  OnednnMatmul(const OnednnMatmul&) = delete;
  OnednnMatmul& operator=(const OnednnMatmul&) = delete;

  // False when the product has a form that is left to the plugin's own kernel.
  bool run(const kernels::Gemm& gemm);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lathe
