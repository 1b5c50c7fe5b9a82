// The small functions of drawing a token.
#pragma once

#include <device/qualifiers.h>
#include <lathe/tensor/sampling.h>

#include <bit>
#include <cstdint>

namespace lathe::cuda {

LATHE_HOST_DEVICE std::uint64_t two_words(std::int32_t low, std::int32_t high) {
  return static_cast<std::uint32_t>(low) |
         static_cast<std::uint64_t>(static_cast<std::uint32_t>(high)) << 32;
}

// Bits that are ordered as the numbers are; +0 and -0 are equal, as the host has them.
LATHE_HOST_DEVICE std::uint64_t ordered(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value + 0.0);
  return bits >> 63 != 0 ? ~bits : bits | std::uint64_t{1} << 63;
}

// The next larger one; of a number that is not negative.
LATHE_HOST_DEVICE double next_above(double value) {
  return std::bit_cast<double>(std::bit_cast<std::uint64_t>(value) + 1);
}

struct Largest {
  double value;
  int index;
};
// Of equal ones the first; what is no number never wins.
LATHE_HOST_DEVICE Largest larger_of(const Largest& a, const Largest& b) {
  if (b.value > a.value || (b.value == a.value && b.index < a.index)) return b;
  return a;
}

struct Plus {
  template <class T>
  LATHE_HOST_DEVICE T operator()(T a, T b) const {
    return a + b;
  }
};

// Some tokens: how many, and their weight.
struct Weighed {
  int count;
  double mass;
};

// A beginning of the tokens in their order: all with a larger score, those with this one up to an
// id, and of these the ones of at least some weight.
struct Kept {
  std::uint64_t key;  // bits of the score, see ordered()
  int id;
  double least;

  LATHE_HOST_DEVICE bool has(std::uint64_t score, int token) const {
    return score > key || (score == key && token <= id);
  }
};

struct Drawn {
  int token;
  double probability;
};

// Ids of a segment, so that there are at most `most` segments; whole warps of them.
LATHE_HOST_DEVICE int segment_length(int count, int most) {
  const int length = (count + most - 1) / most;
  return (length + 31) / 32 * 32;
}

// The first whose cumulative weight passes `rest`, of which the weights before it are taken off;
// the last with any weight where rounding leaves a rest.
template <class Weight>
LATHE_HOST_DEVICE int passes(int count, double& rest, const Weight& weight) {
  int last = 0;
  double spared = rest;  // before `last` was taken off
  for (int i = 0; i < count; ++i) {
    const double w = weight(i);
    if (w <= 0) continue;
    last = i;
    spared = rest;
    if (rest < w) break;
    rest -= w;
  }
  rest = spared;
  return last;
}

}  // namespace lathe::cuda
