// The small functions of drawing, and where the temporaries of recorded work lie.
#include "sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include <lathe/base/error.h>

#include "temporaries.h"

namespace lathe::cuda {
namespace {
TEST(Sampling, BitsAreOrderedAsNumbersAre) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> rising = {-infinity, -1e300, -2, -1,  -5e-324,
                                      0,         5e-324, 1,  1.5, infinity};
  for (std::size_t i = 1; i < rising.size(); ++i) {
    EXPECT_LT(ordered(rising[i - 1]), ordered(rising[i])) << rising[i];
  }
  EXPECT_EQ(ordered(-0.0), ordered(0.0));
  EXPECT_EQ(next_above(1.5), std::nextafter(1.5, 2.0));
}

TEST(Sampling, AStreamInWordsIsTheStream) {
  const RandomStream random(7, "words", 0x123456789abcdefULL);
  const auto word = [](std::uint64_t value) { return static_cast<std::int32_t>(value); };
  EXPECT_EQ(two_words(word(random.step), word(random.step >> 32)), random.step);
  EXPECT_EQ(two_words(-1, 4), 0x4ffffffffULL);
}

TEST(Sampling, TheFirstThatPassesAndItsRest) {
  const std::vector<double> weights = {0, 2, 0, 3, 1, 0};
  const auto at = [&](double draw) {
    double rest = draw;
    const int token = passes(6, rest, [&](int i) { return weights[static_cast<std::size_t>(i)]; });
    return std::pair(token, rest);
  };
  EXPECT_EQ(at(0), std::pair(1, 0.0));
  EXPECT_EQ(at(1.5), std::pair(1, 1.5));
  EXPECT_EQ(at(2), std::pair(3, 0.0));
  EXPECT_EQ(at(4.5), std::pair(3, 2.5));
  EXPECT_EQ(at(5.5), std::pair(4, 0.5));
  EXPECT_EQ(at(6), std::pair(4, 1.0));  // rounding left a rest: the last that can be drawn
}

TEST(Sampling, SegmentsAreWholeWarpsAndFewEnough) {
  for (const int count : {1, 31, 32, 8192, 8193, 50257, 151936}) {
    const int length = segment_length(count, 256);
    EXPECT_EQ(length % 32, 0);
    EXPECT_LE((count + length - 1) / length, 256) << count;
  }
}

TEST(Temporaries, AreServedAsTheyWereNoted) {
  Temporaries some;
  int outside[3];
  some.begin_noting();
  some.note_take(&outside[0], 300);  // at 0, 512 bytes
  some.note_take(&outside[1], 256);  // at 512
  EXPECT_FALSE(some.give(&outside[0]));
  some.note_take(&outside[2], 700);  // does not fit at 0: at 768
  EXPECT_FALSE(some.give(&outside[2]));
  EXPECT_FALSE(some.all_given());
  EXPECT_FALSE(some.give(&outside[1]));
  some.end_noting();
  EXPECT_TRUE(some.all_given());
  EXPECT_EQ(some.bytes(), 768U + 768U);
  EXPECT_EQ(some.sizes(), (std::vector<std::size_t>{300, 256, 700}));

  std::vector<std::byte> block(some.bytes());
  some.begin_serving(block.data());
  void* const first = some.take(300);
  void* const second = some.take(256);
  EXPECT_EQ(first, block.data());
  EXPECT_EQ(second, block.data() + 512);
  EXPECT_TRUE(some.give(first));
  EXPECT_EQ(some.take(700), block.data() + 768);
  EXPECT_THROW(some.take(1), Error);  // nothing more was noted
  EXPECT_TRUE(some.give(&outside[0]));
  EXPECT_EQ(some.unserved(), (std::vector<void*>{&outside[0]}));
  some.end_serving();
  some.begin_serving(block.data());
  EXPECT_THROW(some.take(301), Error);
}

}  // namespace
}  // namespace lathe::cuda
