// Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011).
//
// There is no generator to carry about or to save: a number is a pure function of
// (seed, stream name, step, index). Removing a component never shifts another's stream, threads
// need no order, and a resumed run needs only its step.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace lathe {

using PhiloxBlock = std::array<std::uint32_t, 4>;

// The ten rounds. Known-answer vectors: tests/base/random_test.cpp.
constexpr PhiloxBlock philox(PhiloxBlock counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t first = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t second = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(second >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(second),
               static_cast<std::uint32_t>(first >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(first)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

// One stream of numbers at one step; the index (64 bits) picks the number.
// Trivially copyable, so that kernels take it by value.
struct RandomStream {
  std::array<std::uint32_t, 2> key{};  // from seed and stream name
  std::uint64_t step = 0;

  RandomStream() = default;
  RandomStream(std::uint64_t seed, std::string_view name, std::uint64_t at_step = 0);

  RandomStream at(std::uint64_t other_step) const {
    RandomStream copy = *this;
    copy.step = other_step;
    return copy;
  }

  // Four independent words; block b covers the indices 4b to 4b+3.
  constexpr PhiloxBlock block(std::uint64_t b) const {
    return philox({static_cast<std::uint32_t>(b), static_cast<std::uint32_t>(b >> 32),
                   static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32)},
                  key);
  }
  constexpr std::uint32_t word(std::uint64_t index) const { return block(index / 4)[index % 4]; }
  // Uniform in [0, 1): the upper 24 bits, exact in f32.
  constexpr float uniform(std::uint64_t index) const {
    return static_cast<float>(word(index) >> 8) * 0x1p-24f;
  }
  // Uniform in [0, 1) with 53 bits, from the whole block of this index.
  constexpr double uniform53(std::uint64_t index) const {
    const PhiloxBlock b = block(index);
    return static_cast<double>(((std::uint64_t{b[0]} << 32) | b[1]) >> 11) * 0x1p-53;
  }
  // Uniform integer in [0, bound), bound > 0, by a 64-bit multiply; bias below 2^-32 * bound.
  constexpr std::uint64_t below(std::uint64_t bound, std::uint64_t index) const {
    const PhiloxBlock b = block(index);
    const std::uint64_t bits = (std::uint64_t{b[0]} << 32) | b[1];
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(bits) * bound) >> 64);
  }
  // Standard normal by Box-Muller in double precision, from the whole block of this index.
  double normal(std::uint64_t index) const;
};

// The i-th element of a pseudo-random permutation of 0..count-1, in constant memory: a Feistel
// network over the next power of four, walked until it lands inside (cycle walking).
std::uint64_t permuted(const RandomStream& stream, std::uint64_t i, std::uint64_t count);

}  // namespace lathe
