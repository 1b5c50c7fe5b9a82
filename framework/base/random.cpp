#include <lathe/base/error.h>
#include <lathe/base/hash.h>
#include <lathe/base/permutation.h>
#include <lathe/base/random.h>

#include <bit>
#include <cmath>
#include <numbers>

namespace lathe {

// The key is the first eight bytes of SHA-256("SEED/NAME"), seed in decimal: neighbouring seeds and
// similar names give unrelated streams, and no pair of them is special. Never change this: it would
// change every recorded run.
RandomStream::RandomStream(std::uint64_t seed, std::string_view name, std::uint64_t at_step)
    : step(at_step) {
  const std::uint64_t word = Sha256().update(cat(seed, '/', name)).first_word();
  key = {static_cast<std::uint32_t>(word), static_cast<std::uint32_t>(word >> 32)};
}

double RandomStream::normal(std::uint64_t index) const {
  const PhiloxBlock b = block(index);
  // In (0, 1], so that the logarithm is finite; 53 bits reach 8.57 standard deviations.
  const double radius_word =
      static_cast<double>((((std::uint64_t{b[0]} << 32) | b[1]) >> 11) + 1) * 0x1p-53;
  const double turn = static_cast<double>(((std::uint64_t{b[2]} << 32) | b[3]) >> 11) * 0x1p-53;
  return std::sqrt(-2.0 * std::log(radius_word)) * std::cos(2.0 * std::numbers::pi * turn);
}

namespace {
// A Feistel network over the next power of four: i is split into two halves of `half` bits.
struct Feistel {
  int half;
  std::uint64_t mask;
  std::uint64_t rounds;

  // The domain is below four times the count, so that the walk is short. Rounds are one-to-one
  // whatever the round function is. Over all keys, the orders of four elements are uneven by
  // 2^-(rounds - 2) (counted exactly), so small domains take more of them.
  explicit Feistel(std::uint64_t count)
      : half((static_cast<int>(std::bit_width(count - 1)) + 1) / 2),
        mask(half == 32 ? 0xffffffffu : (std::uint64_t{1} << half) - 1),
        rounds(half < 4 ? 16 : 6) {}

  static std::uint64_t mixed(const RandomStream& stream, std::uint64_t round, std::uint64_t right) {
    return stream.block((round << 32) | right)[0];
  }
  // `mix` gives the round function's bits of (round, right half).
  template <class Mix>
  std::uint64_t walked(std::uint64_t i, std::uint64_t count, const Mix& mix) const {
    do {
      std::uint64_t left = i >> half, right = i & mask;
      for (std::uint64_t round = 0; round < rounds; ++round) {
        const std::uint64_t old_left = left;
        left = right;
        right = old_left ^ (mix(round, right) & mask);
      }
      i = (left << half) | right;
    } while (i >= count);
    return i;
  }
};
}  // namespace

std::uint64_t permuted(const RandomStream& stream, std::uint64_t i, std::uint64_t count) {
  if (i >= count) fail("permuted: element ", i, " of ", count, " does not exist");
  return Feistel(count).walked(i, count, [&](std::uint64_t round, std::uint64_t right) {
    return Feistel::mixed(stream, round, right);
  });
}

std::vector<std::uint64_t> permutation(const RandomStream& stream, std::uint64_t count) {
  std::vector<std::uint64_t> order(count);
  if (count == 0) return order;
  const Feistel feistel(count);
  const std::uint64_t width = feistel.mask + 1;
  std::vector<std::uint32_t> table(feistel.rounds * width);
  for (std::uint64_t round = 0; round < feistel.rounds; ++round) {
    for (std::uint64_t right = 0; right < width; ++right) {
      table[round * width + right] =
          static_cast<std::uint32_t>(Feistel::mixed(stream, round, right));
    }
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    order[i] = feistel.walked(i, count, [&](std::uint64_t round, std::uint64_t right) {
      return std::uint64_t{table[round * width + right]};
    });
  }
  return order;
}

}  // namespace lathe
