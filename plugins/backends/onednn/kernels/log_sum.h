// The log-sum-exp of a row in one pass over memory. For *_kernel.cpp only.
#pragma once

#include "loops.h"

namespace lathe::kernels::LATHE_ISA {

// Elements whose maximum is found before their exponentials are summed: the second reading finds
// them in the first-level cache.
inline constexpr std::size_t log_sum_block = 2048;

// The largest lane; NaN where it belongs is left to the exponentials.
template <class T>
static inline __attribute__((always_inline)) float maximum_of(const T* x, std::size_t width) {
  const float lowest = -__builtin_inff();
  four top = all_four(lowest);
  each_vector_of_four(width, [&](std::size_t i, auto n, int k) {
    top.at[k] = max(keep(load(x + i, n), n, broadcast(lowest)), top.at[k]);
  });
  return largest(top);
}

// log of one positive number, by the same steps as the lanes.
LATHE_INLINE float log_of(float x) { return first_lane(log(broadcast(x))); }

// A running sum of exp(x - top) over blocks; a higher maximum rescales what was summed before.
struct LogSum {
  float top = -__builtin_inff();
  float total = 0;

  // The factor for earlier sums when a block with maximum `highest` joins. A row of -infinity
  // keeps top finite, so that exp(-infinity - top) is 0 and not NaN.
  inline __attribute__((always_inline)) float raise(float highest) {
    if (!(highest > top)) return 1;
    const float factor = first_lane(exp(broadcast(top - highest)));
    top = highest;
    return factor;
  }
  // What is subtracted from every x of the block.
  inline __attribute__((always_inline)) float shift() const {
    return top == -__builtin_inff() ? 0.0f : top;
  }
  inline __attribute__((always_inline)) float value() const { return shift() + log_of(total); }
};

}  // namespace lathe::kernels::LATHE_ISA
