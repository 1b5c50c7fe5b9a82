// What observations and actions are: one of n, a vector of numbers, or a token.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace lathe {

struct Space {
  enum class Kind : std::uint8_t {
    none,
    discrete,  // one of 0 ... size-1
    box,       // `size` numbers, each in low ... high
    tokens,    // a sequence of tokens (observation), or the next one (action); `size` is V
  };
  Kind kind = Kind::none;
  std::int64_t size = 0;
  std::vector<float> low, high;  // [size] of a box; infinite where it is open

  static Space discrete(std::int64_t count) { return {Kind::discrete, count, {}, {}}; }
  static Space tokens(std::int64_t vocabulary) { return {Kind::tokens, vocabulary, {}, {}}; }
  static Space box(std::vector<float> low, std::vector<float> high) {
    const auto size = static_cast<std::int64_t>(low.size());
    return {Kind::box, size, std::move(low), std::move(high)};
  }
  bool operator==(const Space& other) const = default;
};

}  // namespace lathe
