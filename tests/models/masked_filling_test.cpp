// Objective "masked": what its evaluation fills in, against single forward passes in f64.
#include <gtest/gtest.h>
#include <lathe/learn/masking.h>

#include <algorithm>
#include <cmath>

#include "models/masked_support.h"

namespace lathe {
namespace {
using testing::pass_of;
using testing::session_of;
using testing::surprise;
using testing::Tiny;
using testing::tiny_masked;

// All counted places are hidden; then the place and the ordinary token of the greatest chance, by a
// forward pass each, until none is left. A batch whose first row is what comes out, and whose
// second differs from it at one place, has one row right.
TEST(Masked, ExactMatchFillsInTheMostCertainPlaceFirst) {
  Tiny tiny(tiny_masked);
  const auto session = session_of(tiny, {"data.loss=responses", "objective.exact_match=true"});
  const Tokenizer& tokenizer = *session->tokenizer;
  Batch batch = session->feed->batch(0);
  const std::vector<MaskPiece> pieces = mask_pieces(batch, tokenizer);
  ASSERT_EQ(pieces.size(), 2u);
  double places = 0;
  for (const MaskPiece& piece : pieces) {
    Batch shown = batch;
    const auto at = [&](std::int64_t place) {
      return static_cast<std::size_t>(piece.row * batch.length + place);
    };
    std::vector<std::int64_t> left = piece.places;
    for (const std::int64_t place : left) shown.tokens[at(place)] = tokenizer.mask_id();
    while (!left.empty()) {
      double best = -1;
      std::int64_t best_place = -1;
      std::int32_t best_token = -1;
      for (const std::int64_t place : left) {
        double ordinary = 0;
        std::vector<double> chances;
        for (std::int32_t token = 0; token < tokenizer.size(); ++token) {
          const bool counts = !tokenizer.is_special(token);
          chances.push_back(counts ? std::exp(-surprise(*session, shown, piece.row, place, token))
                                   : 0);
          ordinary += chances.back();
        }
        const auto most = std::max_element(chances.begin(), chances.end());
        if (*most / ordinary <= best) continue;
        best = *most / ordinary;
        best_place = place;
        best_token = static_cast<std::int32_t>(most - chances.begin());
      }
      shown.tokens[at(best_place)] = best_token;
      std::erase(left, best_place);
      ++places;
    }
    for (const std::int64_t place : piece.places) {
      batch.tokens[at(place)] = shown.tokens[at(place)];
    }
  }
  const std::size_t changed =
      static_cast<std::size_t>(pieces[1].row * batch.length + pieces[1].places.back());
  batch.tokens[changed] = batch.tokens[changed] == 0 ? 1 : 0;
  const NoGradient silent;
  const Loss loss = session->objective->evaluate(batch, pass_of(*session, false));
  ASSERT_EQ(loss.metrics.size(), 2u);
  EXPECT_EQ(loss.metrics[0].name, "accuracy");
  EXPECT_EQ(loss.metrics[0].sum, places - 1);
  EXPECT_EQ(loss.metrics[0].weight, places);
  EXPECT_EQ(loss.metrics[1].name, "exact_match");
  EXPECT_EQ(loss.metrics[1].sum, 1);
  EXPECT_EQ(loss.metrics[1].weight, 2);
}

}  // namespace
}  // namespace lathe
