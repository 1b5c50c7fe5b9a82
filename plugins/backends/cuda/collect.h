// One value from all threads of a warp or of a block, combined in a fixed order: every thread gets
// the same bits.
#pragma once

#include <device/block.h>

#include "functions.h"

namespace lathe::cuda {

struct Add {
  static LATHE_DEVICE float neutral() { return 0; }
  LATHE_DEVICE float operator()(float a, float b) const { return a + b; }
};
struct Larger {
  static LATHE_DEVICE float neutral() { return -INFINITY; }
  LATHE_DEVICE float operator()(float a, float b) const { return larger(a, b); }
};

// `combine` must not care which of its operands comes first.
template <class Value, class Combine>
LATHE_DEVICE Value over_warp(const Block& block, Value value, const Combine& combine) {
  for (int mask = warp_size / 2; mask > 0; mask /= 2) {
    value = combine(value, block.shuffle_xor(value, mask));
  }
  return value;
}

// `shared` holds one value for each warp; it may be used again after the call.
template <class Value, class Combine>
LATHE_DEVICE Value over_block(const Block& block, Value value, Value neutral, Value* shared,
                              const Combine& combine) {
  value = over_warp(block, value, combine);
  if (block.lane() == 0) shared[block.warp()] = value;
  block.barrier();
  value = block.lane() < block.threads() / warp_size ? shared[block.lane()] : neutral;
  value = over_warp(block, value, combine);
  block.barrier();
  return value;
}

// The same for a row that belongs to one warp or, `wide`, to the whole block.
template <class Combine>
LATHE_DEVICE float over_row(const Block& block, bool wide, float value, const Combine& combine) {
  return wide ? over_block(block, value, Combine::neutral(), block.shared<float>(), combine)
              : over_warp(block, value, combine);
}

}  // namespace lathe::cuda
