#include <gtest/gtest.h>
#include <lathe/base/error.h>
#include <lathe/base/permutation.h>
#include <lathe/base/random.h>

#include <algorithm>
#include <set>
#include <type_traits>
#include <vector>

namespace lathe {
namespace {

TEST(Philox, KnownAnswers) {  // Random123, tests/kat_vectors, philox4x32 with 10 rounds
  constexpr std::uint32_t ones = 0xffffffffu;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
            (PhiloxBlock{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}));
  EXPECT_EQ(philox({ones, ones, ones, ones}, {ones, ones}),
            (PhiloxBlock{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}));
  EXPECT_EQ(
      philox({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, {0xa4093822u, 0x299f31d0u}),
      (PhiloxBlock{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}));
}

TEST(RandomStream, IsItsKeyStepAndIndexAlone) {
  static_assert(std::is_trivially_copyable_v<RandomStream>);
  const RandomStream stream(7, "dropout", 3);
  EXPECT_EQ(stream.word(5), RandomStream(7, "dropout").at(3).block(1)[1]);
  EXPECT_EQ(stream.block(1), philox({1, 0, 3, 0}, stream.key));
  EXPECT_EQ(stream.at(1ull << 32).block(1ull << 33), philox({0, 2, 0, 1}, stream.key));
  std::set<std::array<std::uint32_t, 2>> keys;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    for (const char* name : {"", "a", "b", "1", "11"}) keys.insert(RandomStream(seed, name).key);
  }
  EXPECT_EQ(keys.size(), 500u);  // also 1 + "1/x" and 11 + "/x" stay apart
}

// Recorded runs depend on the rule; SHA-256("7/dropout") begins 5efca0e1ecbef644
TEST(RandomStream, KeyRuleIsFrozen) {
  const RandomStream stream(7, "dropout");
  EXPECT_EQ(stream.key[1], 0x5efca0e1u);
  EXPECT_EQ(stream.key[0], 0xecbef644u);
}

TEST(RandomStream, UniformFillsTheInterval) {
  const RandomStream stream(1, "uniform");
  constexpr int count = 200000, bins = 100;
  std::vector<int> histogram(bins), histogram53(bins), histogram_below(bins);
  for (std::uint64_t i = 0; i < count; ++i) {
    const float u = stream.uniform(i);
    const double v = stream.uniform53(i);
    ASSERT_TRUE(u >= 0.0f && u < 1.0f && v >= 0.0 && v < 1.0);
    ++histogram[static_cast<std::size_t>(u * bins)];
    ++histogram53[static_cast<std::size_t>(v * bins)];
    ++histogram_below[stream.below(bins, i)];
  }
  const auto chi_square = [](const std::vector<int>& counts) {
    const double expected = static_cast<double>(count) / bins;
    double sum = 0;
    for (const int c : counts) sum += (c - expected) * (c - expected) / expected;
    return sum;
  };
  // 99 degrees of freedom: the quantiles at 0.001 and 0.999 are 60.5 and 148.2.
  for (const auto* counts : {&histogram, &histogram53, &histogram_below}) {
    EXPECT_GT(chi_square(*counts), 60.5);
    EXPECT_LT(chi_square(*counts), 148.2);
  }
}

TEST(RandomStream, NormalHasItsMomentsAndTails) {
  const RandomStream stream(2, "normal");
  constexpr int count = 200000;
  double sums[5] = {}, beyond = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const double x = stream.normal(i);
    double power = 1;
    for (double& sum : sums) {
      sum += power;
      power *= x;
    }
    beyond += x > 1.959963984540054 ? 1 : 0;
  }
  // Four standard errors of each moment.
  const double error = 4 / std::sqrt(count);
  EXPECT_NEAR(sums[1] / count, 0, error);
  EXPECT_NEAR(sums[2] / count, 1, error * std::sqrt(2));
  EXPECT_NEAR(sums[3] / count, 0, error * std::sqrt(15));
  EXPECT_NEAR(sums[4] / count, 3, error * std::sqrt(96));
  EXPECT_NEAR(beyond / count, 0.025, error * std::sqrt(0.025 * 0.975));
  EXPECT_NE(stream.normal(0), stream.at(1).normal(0));
}

TEST(Permuted, IsOneToOne) {
  for (const std::uint64_t count : {1u, 2u, 3u, 4u, 5u, 7u, 16u, 17u, 100u, 1000u, 4097u}) {
    const RandomStream stream(3, "shuffle", count);
    const std::vector<std::uint64_t> whole = permutation(stream, count);
    ASSERT_EQ(whole.size(), count);
    std::vector<bool> seen(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t to = permuted(stream, i, count);
      ASSERT_LT(to, count);
      ASSERT_FALSE(seen[to]) << count << " " << i;
      ASSERT_EQ(whole[i], to) << count << " " << i;
      seen[to] = true;
    }
  }
  EXPECT_TRUE(permutation(RandomStream(3, "x"), 0).empty());
  EXPECT_THROW(permuted(RandomStream(), 3, 3), Error);
  EXPECT_THROW(permuted(RandomStream(), 0, 0), Error);
  const std::uint64_t huge = ~std::uint64_t{0};
  EXPECT_LT(permuted(RandomStream(3, "x"), huge - 1, huge), huge);
}

// Each of the 24 orders of four elements is equally likely over steps.
TEST(Permuted, OrdersAreEquallyLikely) {
  constexpr int trials = 24000;
  std::vector<std::vector<std::uint64_t>> orders;
  const RandomStream stream(4, "orders");
  for (std::uint64_t step = 0; step < trials; ++step) {
    std::vector<std::uint64_t> order(4);
    for (std::uint64_t i = 0; i < 4; ++i) order[i] = permuted(stream.at(step), i, 4);
    orders.push_back(order);
  }
  std::sort(orders.begin(), orders.end());
  double chi_square = 0;
  int kinds = 0;
  for (auto first = orders.begin(); first != orders.end(); ++kinds) {
    const auto last = std::upper_bound(first, orders.end(), *first);
    const double difference = static_cast<double>(last - first) - trials / 24.0;
    chi_square += difference * difference / (trials / 24.0);
    first = last;
  }
  EXPECT_EQ(kinds, 24);
  EXPECT_LT(chi_square, 49.7);  // 23 degrees of freedom at 0.999
}

}  // namespace
}  // namespace lathe
