// The plain functions under the kernels of attention and of the head: fragment layouts, running
// softmax, which blocks see each other. Nothing here runs a kernel.
#include <gtest/gtest.h>

#include <lathe/base/random.h>

#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "tiles.h"

namespace lathe::cuda {
namespace {

template <class At>
std::set<std::pair<int, int>> places(int values, const At& at) {
  std::set<std::pair<int, int>> found;
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < values; ++i) {
      const FragmentPlace place = at(lane, i);
      found.emplace(place.row, place.column);
    }
  }
  return found;
}
std::set<std::pair<int, int>> all_places(int rows, int columns) {
  std::set<std::pair<int, int>> all;
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) all.emplace(row, column);
  }
  return all;
}

TEST(Fragments, CoverTheirTilesOnce) {
  EXPECT_EQ(places(8, place_in_a), all_places(16, 16));
  EXPECT_EQ(places(4, place_in_b), all_places(16, 8));
  EXPECT_EQ(places(4, place_in_c), all_places(16, 8));
  for (const bool transposed : {false, true}) {
    const auto at = [&](int lane, int i) { return place_in_matrix(lane, i, transposed); };
    EXPECT_EQ(places(2, at), all_places(8, 8));
  }
}

// Values of the figures in the PTX ISA, section "Matrix Fragments for mma.m16n8k16": lane 5 is
// group 1, thread 1 of it.
TEST(Fragments, LieWhereTheInstructionSetSays) {
  EXPECT_EQ(place_in_a(5, 0), (FragmentPlace{1, 2}));
  EXPECT_EQ(place_in_a(5, 1), (FragmentPlace{1, 3}));
  EXPECT_EQ(place_in_a(5, 2), (FragmentPlace{9, 2}));
  EXPECT_EQ(place_in_a(5, 4), (FragmentPlace{1, 10}));
  EXPECT_EQ(place_in_a(5, 7), (FragmentPlace{9, 11}));
  EXPECT_EQ(place_in_b(5, 0), (FragmentPlace{2, 1}));
  EXPECT_EQ(place_in_b(5, 1), (FragmentPlace{3, 1}));
  EXPECT_EQ(place_in_b(5, 3), (FragmentPlace{11, 1}));
  EXPECT_EQ(place_in_c(5, 1), (FragmentPlace{1, 3}));
  EXPECT_EQ(place_in_c(5, 2), (FragmentPlace{9, 2}));
  EXPECT_EQ(place_in_matrix(5, 1, false), (FragmentPlace{1, 3}));
  EXPECT_EQ(place_in_matrix(5, 1, true), (FragmentPlace{3, 1}));
}

// What lets the weights of a tile go into the next product without leaving their lanes: two C
// fragments side by side are one A fragment.
TEST(Fragments, TwoResultsAreOneOperand) {
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 8; ++i) {
      const FragmentPlace in_c = place_in_c(lane, i % 4);
      EXPECT_EQ(place_in_a(lane, i), (FragmentPlace{in_c.row, in_c.column + 8 * (i / 4)}));
    }
  }
}

// ldmatrix gives B fragments: of rows that are the product's columns as they lie, of rows that are
// its inner dimension transposed.
TEST(Fragments, LoadedMatricesAreOperands) {
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const FragmentPlace in_b = place_in_b(lane, i);
      const FragmentPlace by_column = place_in_matrix(lane, i % 2, false);
      EXPECT_EQ(in_b, (FragmentPlace{by_column.column + 8 * (i / 2), by_column.row}));
      const FragmentPlace by_row = place_in_matrix(lane, i % 2, true);
      EXPECT_EQ(in_b, (FragmentPlace{by_row.row + 8 * (i / 2), by_row.column}));
    }
  }
}

struct Truth {
  double log_sum, entropy;
};
Truth truth_of(const std::vector<float>& x) {
  double most = -INFINITY, sum = 0, entropy = 0;
  for (const float value : x) most = std::max(most, static_cast<double>(value));
  for (const float value : x) sum += std::exp(static_cast<double>(value) - most);
  const double all = most + std::log(sum);
  for (const float value : x) {
    const double log_p = static_cast<double>(value) - all;
    if (!std::isinf(log_p)) entropy -= std::exp(log_p) * log_p;
  }
  return {all, entropy};
}
std::vector<float> drawn(int count, float spread) {
  const RandomStream random(3, "tiles");
  std::vector<float> x;
  for (int i = 0; i < count; ++i) {
    x.push_back(spread * (random.uniform(static_cast<std::uint64_t>(i)) - 0.5F));
  }
  return x;
}
Softmax softmax_of(std::span<const float> x) {
  Softmax softmax;
  for (std::size_t i = 0; i + 4 <= x.size(); i += 4) {
    softmax.add<4>({x[i], x[i + 1], x[i + 2], x[i + 3]});
  }
  return softmax;
}

TEST(RunningSoftmax, AgreesWithTwoPassesInDouble) {
  for (const float spread : {0.0F, 1.0F, 20.0F, 160.0F}) {
    std::vector<float> x = drawn(400, spread);
    x[7] = -INFINITY;  // a masked value
    const Truth truth = truth_of(x);
    const Softmax whole = softmax_of(x);
    // 400 additions of positive numbers, each within half a unit of 2^-23 of the sum.
    const double bound = 400 * std::ldexp(1.0, -24) * (1 + std::abs(truth.log_sum));
    EXPECT_NEAR(static_cast<double>(whole.log_sum()), truth.log_sum, bound) << spread;
    EXPECT_NEAR(static_cast<double>(whole.entropy()), truth.entropy, 10 * bound) << spread;
  }
}

TEST(RunningSoftmax, MergesInAnySplit) {
  const std::vector<float> x = drawn(400, 30);
  const Truth truth = truth_of(x);
  for (const std::size_t split : {4u, 36u, 200u, 396u}) {
    const auto left = softmax_of(std::span(x).first(split));
    const auto right = softmax_of(std::span(x).subspan(split));
    for (const Softmax& whole : {merged(left, right), merged(right, left)}) {
      EXPECT_NEAR(static_cast<double>(whole.log_sum()), truth.log_sum, 1e-5 * truth.log_sum);
      EXPECT_NEAR(static_cast<double>(whole.entropy()), truth.entropy, 2e-5);
    }
  }
}

TEST(RunningSoftmax, OfNothingStaysNothing) {
  Softmax nothing;
  nothing.add<2>({-INFINITY, -INFINITY});
  EXPECT_EQ(nothing.sum, 0);
  EXPECT_EQ(nothing.log_sum(), -INFINITY);
  Softmax one;
  one.add<1>({-3.5F});
  for (const Softmax& whole : {merged(nothing, one), merged(one, nothing)}) {
    EXPECT_EQ(whole.most, -3.5F);
    EXPECT_EQ(whole.sum, 1);
    EXPECT_EQ(whole.entropy(), 0);
  }
  EXPECT_EQ(merged(nothing, nothing).log_sum(), -INFINITY);
}

// The rule itself, query by query and key by key.
bool sees(std::int64_t t, std::int64_t s, std::int64_t offset, bool causal) {
  return !causal || s <= offset + t;
}

TEST(Blocks, AreThoseThatSeeEachOther) {
  for (const bool causal : {false, true}) {
    for (const std::int64_t offset : {0, 1, 17, 200}) {
      for (const std::int64_t S : {1, 31, 32, 33, 100}) {
        for (const std::int64_t T : {1, 15, 16, 50}) {
          for (std::int64_t first = 0; first < T; first += 16) {
            const std::int64_t last = std::min(first + 15, T - 1);
            const Span keys = key_blocks(last, S, offset, causal, 32);
            for (std::int64_t n = 0; n * 32 < S; ++n) {
              bool any = false, all = true;
              for (std::int64_t t = first; t <= last; ++t) {
                for (std::int64_t s = n * 32; s < std::min(n * 32 + 32, S); ++s) {
                  (sees(t, s, offset, causal) ? any : all) = sees(t, s, offset, causal);
                }
              }
              EXPECT_EQ(n >= keys.begin && n < keys.end, any) << T << " " << S << " " << offset;
              const bool whole = n * 32 + 31 < S;
              EXPECT_EQ(sees_all(first, n * 32 + 31, S, offset, causal), all && whole);
            }
          }
          for (std::int64_t first = 0; first < S; first += 32) {
            const Span queries = query_blocks(first, T, offset, causal, 16);
            for (std::int64_t m = 0; m * 16 < T; ++m) {
              bool any = false;
              for (std::int64_t t = m * 16; t < std::min(m * 16 + 16, T); ++t) {
                any |= sees(t, first, offset, causal);
              }
              EXPECT_EQ(m >= queries.begin && m < queries.end, any) << T << " " << S;
            }
          }
        }
      }
    }
  }
}

TEST(Blocks, LongestFirstIsEveryBlockOnce) {
  std::set<std::int64_t> seen;
  for (std::int64_t i = 0; i < 7; ++i) seen.insert(longest_first(i, 7));
  EXPECT_EQ(seen.size(), 7u);
  EXPECT_EQ(longest_first(0, 7), 6);
  EXPECT_EQ(longest_first(6, 7), 0);
}

TEST(Heads, ShareKeyHeadsInGroups) {
  const std::array<std::int64_t, 6> expected{0, 0, 0, 1, 1, 1};
  for (std::int64_t h = 0; h < 6; ++h) {
    EXPECT_EQ(key_head(h, 6, 2), expected[static_cast<std::size_t>(h)]);
    EXPECT_EQ(key_head(h, 6, 6), h);
    EXPECT_EQ(key_head(h, 6, 1), 0);
  }
}

}  // namespace
}  // namespace lathe::cuda
