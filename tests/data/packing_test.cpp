#include <gtest/gtest.h>
#include <lathe/base/random.h>
#include <lathe/data/packing.h>

#include <numeric>

#include "base/temporary_folder.h"

namespace lathe {

namespace {

using Rows = std::vector<std::vector<std::int64_t>>;
using Ints = std::vector<std::int32_t>;
using Floats = std::vector<float>;

TEST(Packing, TakesTheLongestFirstAndTheFullestRow) {
  // 7 opens row 0 (room 3); 6 opens row 1 (room 4); 4 fills row 1; 3 fills row 0; 2 opens row 2.
  EXPECT_EQ(best_fit_decreasing(std::vector<std::int64_t>{3, 7, 2, 6, 4}, 10),
            (Rows{{1, 0}, {3, 4}, {2}}));
  // First fit would put the 3 beside the 5; best fit prefers the row with the least room.
  EXPECT_EQ(best_fit_decreasing(std::vector<std::int64_t>{5, 6, 3}, 9), (Rows{{1, 2}, {0}}));
}

TEST(Packing, FillsARowExactlyAndKeepsTheOrderOfEquals) {
  EXPECT_EQ(best_fit_decreasing(std::vector<std::int64_t>{4, 2, 2, 4}, 4),
            (Rows{{0}, {3}, {1, 2}}));
  EXPECT_TRUE(best_fit_decreasing(std::vector<std::int64_t>{}, 4).empty());
}

TEST(Packing, NumberOfRowsIgnoresTheOrder) {
  const RandomStream lengths_stream(1, "lengths");
  std::vector<std::int64_t> lengths;
  for (std::uint64_t i = 0; i < 500; ++i) {
    lengths.push_back(1 + static_cast<std::int64_t>(lengths_stream.below(30, i)));
  }
  const std::size_t rows = best_fit_decreasing(lengths, 32).size();
  for (std::uint64_t epoch = 0; epoch < 5; ++epoch) {
    std::vector<std::int64_t> shuffled;
    for (std::uint64_t i = 0; i < lengths.size(); ++i) {
      shuffled.push_back(lengths[permuted(RandomStream(epoch, "order"), i, lengths.size())]);
    }
    const Rows packed = best_fit_decreasing(shuffled, 32);
    EXPECT_EQ(packed.size(), rows);
    std::vector<int> seen(lengths.size(), 0);
    for (const auto& row : packed) {
      std::int64_t places = 0;
      for (const std::int64_t item : row) {
        places += shuffled[static_cast<std::size_t>(item)];
        ++seen[static_cast<std::size_t>(item)];
      }
      EXPECT_LE(places, 32);
    }
    EXPECT_EQ(seen, std::vector<int>(lengths.size(), 1));
  }
  // Almost no room is lost on such lengths.
  const std::int64_t total = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  EXPECT_LE(static_cast<double>(rows), 1.02 * static_cast<double>(total) / 32 + 1);
}

TEST(Packing, RefusesWhatDoesNotFit) {
  EXPECT_EQ(testing::error_of([] {
              best_fit_decreasing(std::vector<std::int64_t>{2, 5}, 4);
            }),
            "packing: item 1 has 5 places; expected 1 to 4");
}

TEST(Packing, PlacesPiecesWithSeams) {
  Batch batch = padding_batch(2, 5);
  place_piece(batch, 0, 0, 0, Ints{7, 8, 9}, Floats{1, 0, 1});
  place_piece(batch, 0, 3, 1, Ints{4, 5}, Floats{1, 0.5f});
  place_piece(batch, 1, 0, 0, Ints{6}, Floats{1});
  EXPECT_EQ(batch.tokens, (Ints{7, 8, 9, 4, 5, 6, 0, 0, 0, 0}));
  EXPECT_EQ(batch.targets, (Ints{-1, 9, -1, 5, -1, -1, -1, -1, -1, -1}));
  EXPECT_EQ(batch.weights, (Floats{0, 1, 0, 0.5f, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(batch.positions, (Ints{0, 1, 2, 0, 1, 0, 0, 0, 0, 0}));
  EXPECT_EQ(batch.segments, (Ints{0, 0, 0, 1, 1, 0, -1, -1, -1, -1}));
  drop_trivial_segments(batch);
  EXPECT_EQ(batch.segments.size(), 10u);
  EXPECT_EQ(testing::error_of([&] {
              place_piece(batch, 0, 4, 2, Ints{1, 2}, Floats{1, 1});
            }),
            "a piece of 2 tokens and 2 weights at place 4 does not fit a row of 5");
}

TEST(Packing, DropsSegmentsOfWholeRows) {
  Batch batch = padding_batch(1, 2);
  place_piece(batch, 0, 0, 0, Ints{7, 8}, Floats{1, 1});
  drop_trivial_segments(batch);
  EXPECT_TRUE(batch.segments.empty());
}

}  // namespace

}  // namespace lathe
