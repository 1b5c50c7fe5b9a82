// Which places are hidden, how often, and with what weight: by counting.
#include <gtest/gtest.h>
#include <lathe/base/error.h>
#include <lathe/data/packing.h>
#include <lathe/learn/masking.h>
#include <lathe/text/chars.h>

#include <cmath>
#include <map>
#include <set>

namespace lathe {
namespace {
using Ints = std::vector<std::int32_t>;
using Longs = std::vector<std::int64_t>;

// Ids 0..11 in this order, 12 the end, 13 padding, 14 the mask.
const CharsTokenizer& tokenizer() {
  static const CharsTokenizer one(U"abcdefghij .", true, true);
  return one;
}
constexpr std::int32_t end = 12, mask = 14;

// Rows of `length` places that are one piece each.
Batch rows_of(const std::vector<std::string>& texts, std::int64_t first_row = 0) {
  const auto length = static_cast<std::int64_t>(texts.at(0).size());
  Batch batch = padding_batch(static_cast<std::int64_t>(texts.size()), length);
  for (std::size_t row = 0; row < texts.size(); ++row) {
    const std::vector<float> weights(texts[row].size(), 1.0F);
    place_piece(batch, static_cast<std::int64_t>(row), 0, 0, tokenizer().encode(texts[row]),
                weights);
  }
  batch.first_row = first_row;
  drop_trivial_segments(batch);
  return batch;
}

// Row 0: "ab c" and its end with weights 0 1 1 2 1, then "dd"; row 1: "j" and padding.
Batch packed() {
  Batch batch = padding_batch(2, 8);
  Ints first = tokenizer().encode("ab c");
  first.push_back(end);
  place_piece(batch, 0, 0, 0, first, std::vector<float>{0, 1, 1, 2, 1});
  place_piece(batch, 0, 5, 1, tokenizer().encode("dd"), std::vector<float>{0.5F, 1});
  place_piece(batch, 1, 0, 0, tokenizer().encode("j"), std::vector<float>{1});
  return batch;
}

TEST(MaskPieces, AreWhatCountsAndIsNotSpecial) {
  const std::vector<MaskPiece> pieces = mask_pieces(packed(), tokenizer());
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[0].places, (Longs{1, 2, 3}));
  EXPECT_EQ(pieces[1].places, (Longs{5, 6}));
  EXPECT_EQ(pieces[1].begin, 5);
  EXPECT_EQ(pieces[2].row, 1);
  EXPECT_EQ(pieces[2].places, Longs{0});
  // b goes on with a word, but a does not count; d begins a piece and a word.
  EXPECT_EQ(pieces[0].in_word, (std::vector<std::uint8_t>{0, 0, 0}));
  EXPECT_EQ(pieces[1].in_word, (std::vector<std::uint8_t>{0, 1}));
  EXPECT_EQ(mask_pieces(packed(), tokenizer(), true)[0].places, (Longs{1, 2, 3, 4}));
  Batch without = packed();
  without.token_weights.clear();
  EXPECT_THROW(mask_pieces(without, tokenizer()), Error);
}

// Each place once, alone in its piece; pieces of a row share copies; nothing else changes.
TEST(HideEach, EachPlaceOnce) {
  const Batch batch = packed();
  const std::vector<MaskPiece> pieces = mask_pieces(batch, tokenizer());
  const std::vector<MaskCopy> copies = mask_copies(pieces);
  ASSERT_EQ(copies.size(), 4u);  // three of row 0, one of row 1
  const MaskedBatch masked = hide_each(batch, pieces, copies, tokenizer());
  EXPECT_EQ(masked.seen.rows, 4);
  EXPECT_EQ(masked.places, (Ints{1, 5, 8 + 2, 8 + 6, 16 + 3, 24 + 0}));
  EXPECT_EQ(masked.targets, (Ints{1, 3, 10, 3, 2, 9}));
  EXPECT_EQ(masked.weights, (std::vector<double>{1, 0.5, 1, 1, 2, 1}));
  EXPECT_EQ(masked.weight, 6.5);
  std::size_t hidden = 0;
  for (std::size_t n = 0; n < masked.seen.tokens.size(); ++n) {
    const std::size_t row = n / 8 == 3 ? 1 : 0;
    const std::size_t from = row * 8 + n % 8;
    EXPECT_EQ(masked.seen.segments[n], batch.segments[from]);
    EXPECT_EQ(masked.seen.positions[n], batch.positions[from]);
    const bool asked =
        std::count(masked.places.begin(), masked.places.end(), static_cast<std::int32_t>(n)) == 1;
    EXPECT_EQ(masked.seen.tokens[n], asked ? mask : batch.tokens[from]);
    hidden += asked;
  }
  EXPECT_EQ(hidden, 6u);
}

TEST(HideEach, CostsAsManyPassesAsPlaces) {
  const Batch batch = rows_of({"abcdefghij", "abcabcabca", "jjjjjjjjjj"});
  EXPECT_EQ(mask_copies(mask_pieces(batch, tokenizer())).size(), 30u);
}

std::vector<std::string> many(std::size_t count, const std::string& text) {
  return std::vector<std::string>(count, text);
}

// Even over the places (chi-square with 9 degrees of freedom: above 33 once in 10^4), and with the
// weight that makes the estimate unbiased.
TEST(HideSingle, IsEvenAndUnbiased) {
  const Batch batch = rows_of(many(5000, "abcdefghij"));
  const MaskedBatch masked =
      hide_single(batch, mask_pieces(batch, tokenizer()), {3, true}, tokenizer());
  ASSERT_EQ(masked.asked, 5000);
  EXPECT_EQ(masked.weight, 50000);
  std::vector<double> counts(10, 0);
  for (std::size_t row = 0; row < 5000; ++row) {
    const auto place = static_cast<std::size_t>(masked.places[row]) - 10 * row;
    EXPECT_EQ(masked.seen.tokens[10 * row + place], mask);
    EXPECT_EQ(masked.weights[row], 10);
    counts.at(place) += 1;
  }
  double surprise = 0;
  for (const double count : counts) surprise += std::pow(count - 500, 2) / 500;
  EXPECT_LT(surprise, 33);
}

// Rows 0..9 as one batch and as two; other rows, seeds and splits draw otherwise.
TEST(Masks, AreOfTheRowAlone) {
  const auto tokens = [](const Batch& batch, std::uint64_t seed, bool training, int how) {
    const std::vector<MaskPiece> pieces = mask_pieces(batch, tokenizer());
    const MaskDraws draws(seed, training);
    const Ints ordinary = ordinary_tokens(tokenizer());
    JointMasking joint;
    joint.share = 0.3;
    joint.unit = static_cast<JointMasking::Unit>(how);
    return how == 3   ? hide_single(batch, pieces, draws, tokenizer()).seen.tokens
           : how == 4 ? hide_diffusion(batch, pieces, false, draws, tokenizer()).seen.tokens
           : how == 5 ? hide_diffusion(batch, pieces, true, draws, tokenizer()).seen.tokens
                      : hide_joint(batch, pieces, joint, ordinary, draws, tokenizer()).seen.tokens;
  };
  const std::string text = "abc de.fghij abc";
  for (int how = 0; how < 6; ++how) {
    const Ints whole = tokens(rows_of(many(10, text)), 3, true, how);
    Ints parts = tokens(rows_of(many(4, text)), 3, true, how);
    const Ints rest = tokens(rows_of(many(6, text), 4), 3, true, how);
    parts.insert(parts.end(), rest.begin(), rest.end());
    EXPECT_EQ(parts, whole) << how;
    EXPECT_NE(tokens(rows_of(many(10, text), 10), 3, true, how), whole) << how;
    EXPECT_NE(tokens(rows_of(many(10, text)), 4, true, how), whole) << how;
    EXPECT_NE(tokens(rows_of(many(10, text)), 3, false, how), whole) << how;
  }
}

// Each place is hidden half of the time (t is uniform), its weight has mean 1: so the mean is that
// of a sum over the places. With k uniform the same, and every k is equally frequent.
TEST(HideDiffusion, SharesAndWeights) {
  constexpr double rows = 20000;
  const Batch batch = rows_of(many(20000, "abcd"));
  const std::vector<MaskPiece> pieces = mask_pieces(batch, tokenizer());
  for (const bool by_count : {false, true}) {
    const MaskedBatch masked = hide_diffusion(batch, pieces, by_count, {3, true}, tokenizer());
    EXPECT_EQ(masked.weight, 4 * rows);
    std::vector<double> hidden(4, 0), weight(4, 0), sizes(20000, 0);
    double square = 0;
    for (std::int64_t m = 0; m < masked.asked; ++m) {
      const auto n = static_cast<std::size_t>(masked.places[static_cast<std::size_t>(m)]);
      const double w = masked.weights[static_cast<std::size_t>(m)];
      EXPECT_EQ(masked.seen.tokens[n], mask);
      hidden[n % 4] += 1;
      weight[n % 4] += w;
      square += w * w / 4;
      sizes[n / 4] += 1;
    }
    const double error = std::sqrt(square) / rows;  // of a mean weight
    for (std::size_t place = 0; place < 4; ++place) {
      const double share = by_count ? 2.5 / 4 : 0.5;
      EXPECT_NEAR(hidden[place] / rows, share, 4.5 * std::sqrt(share * (1 - share) / rows));
      EXPECT_NEAR(weight[place] / rows, 1, 4.5 * error) << by_count;
    }
    std::map<double, double> of_size;
    for (const double size : sizes) of_size[size] += 1;
    // Both say: 0..4 hidden places are equally likely (1..4 by count).
    const double share = by_count ? 0.25 : 0.2;
    for (int size = by_count ? 1 : 0; size <= 4; ++size) {
      EXPECT_NEAR(of_size[size] / rows, share, 4.5 * std::sqrt(share * (1 - share) / rows));
    }
    EXPECT_EQ(masked.places.size() % 5000, 0u);  // filled up, to sixteenths of all places
    ASSERT_LT(masked.asked, std::ssize(masked.targets));
    EXPECT_EQ(masked.targets.back(), -1);
    EXPECT_EQ(masked.weights.back(), 0);
  }
}

// 15 % of the places; of these 80 % hidden, 10 % replaced by any of the 12 characters, 10 % left.
TEST(HideJoint, EightyTenTen) {
  const Batch batch = rows_of(many(4000, "abcdefghijabcdefghij"));
  const std::vector<MaskPiece> pieces = mask_pieces(batch, tokenizer());
  const Ints ordinary = ordinary_tokens(tokenizer());
  ASSERT_EQ(ordinary.size(), 12u);
  const MaskedBatch masked = hide_joint(batch, pieces, {}, ordinary, {3, true}, tokenizer());
  const auto chosen = static_cast<double>(masked.asked);
  EXPECT_EQ(chosen, 12000);  // 3 of 20 in each row
  EXPECT_EQ(masked.weight, chosen);
  double hidden = 0, same = 0, other = 0;
  std::map<std::int32_t, double> put;
  std::set<std::size_t> asked;
  for (std::size_t m = 0; m < 12000; ++m) {
    const auto n = static_cast<std::size_t>(masked.places[m]);
    EXPECT_EQ(masked.targets[m], batch.tokens[n]);
    const std::int32_t shown = masked.seen.tokens[n];
    hidden += shown == mask;
    same += shown == batch.tokens[n];
    other += shown != mask && shown != batch.tokens[n];
    if (shown != mask && shown != batch.tokens[n]) put[shown] += 1;
    asked.insert(n);
  }
  EXPECT_EQ(asked.size(), 12000u);
  const auto near = [&](double count, double share) {
    EXPECT_NEAR(count, chosen * share, 4.5 * std::sqrt(chosen * share * (1 - share)));
  };
  near(hidden, 0.8);
  near(same, 0.1 + 0.1 / 12);  // a random token is the old one once in 12 times
  near(other, 0.1 * 11 / 12);
  EXPECT_EQ(put.size(), 12u);
  for (std::size_t n = 0; n < batch.tokens.size(); ++n) {
    if (asked.contains(n)) continue;
    EXPECT_EQ(masked.seen.tokens[n], batch.tokens[n]);
  }
}

// 0.3 of 7 places: two or three, on the average 2.1. 0.01 of 7: one.
TEST(HideJoint, ShareHoldsOnAverage) {
  const Batch batch = rows_of(many(20000, "abcdefg"));
  const std::vector<MaskPiece> pieces = mask_pieces(batch, tokenizer());
  JointMasking with;
  with.share = 0.3;
  const Ints ordinary = ordinary_tokens(tokenizer());
  const auto asked = [&] {
    return static_cast<double>(
               hide_joint(batch, pieces, with, ordinary, {3, true}, tokenizer()).asked) /
           20000;
  };
  EXPECT_NEAR(asked(), 2.1, 4.5 * std::sqrt(0.09 / 20000));
  with.share = 0.01;
  EXPECT_EQ(asked(), 1);
}

const std::string sentence = "abcd ef ghi.j abc de.";  // words of 4 1 2 1 3 1 1 1 3 1 2 1
constexpr std::size_t words[] = {0, 4, 5, 7, 8, 11, 12, 13, 14, 17, 18, 20, 21};

TEST(HideJoint, WordsAreCoveredWhole) {
  const Batch batch = rows_of(many(2000, sentence));
  const std::vector<MaskPiece> pieces = mask_pieces(batch, tokenizer());
  JointMasking with;
  with.unit = JointMasking::Unit::word;
  with.share = 0.25;  // of 21: 5 or 6
  with.masked = 1;
  with.random = 0;
  const MaskedBatch masked =
      hide_joint(batch, pieces, with, ordinary_tokens(tokenizer()), {3, true}, tokenizer());
  std::vector<double> taken(12, 0);
  for (std::size_t row = 0; row < 2000; ++row) {
    std::size_t count = 0;
    for (std::size_t w = 0; w < 12; ++w) {
      std::size_t hidden = 0;
      for (std::size_t t = words[w]; t < words[w + 1]; ++t) {
        hidden += masked.seen.tokens[21 * row + t] == mask;
      }
      EXPECT_TRUE(hidden == 0 || hidden == words[w + 1] - words[w]) << row << " " << w;
      taken[w] += hidden > 0;
      count += hidden;
    }
    EXPECT_TRUE(count == 5 || count == 6) << count;  // single characters fill every gap
  }
  for (const double count : taken) EXPECT_GT(count, 200);  // long words come too
  // A word longer than the share is taken alone rather than nothing.
  const Batch one = rows_of(many(3, "abcdefghij"));
  const MaskedBatch whole = hide_joint(one, mask_pieces(one, tokenizer()), with,
                                       ordinary_tokens(tokenizer()), {3, true}, tokenizer());
  EXPECT_EQ(whole.asked, 30);
}

// Spans are runs of whole words with one fate; their length in words is geometric (p = 0.5, cut off
// after 3 words: 4/7, 2/7, 1/7), as seen where the budget is not what ends them.
TEST(HideJoint, SpansOfWords) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += i % 2 == 0 ? 'a' : '.';  // every character is a word
  const Batch batch = rows_of(many(600, text));
  JointMasking with;
  with.unit = JointMasking::Unit::span;
  with.share = 0.04;  // 8 places: spans seldom touch
  with.masked = 0.5;
  with.random = 0;
  with.span_stop = 0.5;
  with.span_words = 3;
  const MaskedBatch masked = hide_joint(batch, mask_pieces(batch, tokenizer()), with,
                                        ordinary_tokens(tokenizer()), {3, true}, tokenizer());
  EXPECT_EQ(masked.asked, 600 * 8);
  std::map<std::size_t, double> lengths;
  double all = 0, mixed = 0;
  for (std::size_t m = 0; m < static_cast<std::size_t>(masked.asked);) {
    std::size_t length = 1;
    const auto first = static_cast<std::size_t>(masked.places[m]);
    while (m + length < static_cast<std::size_t>(masked.asked) &&
           masked.places[m + length] == masked.places[m] + static_cast<std::int32_t>(length)) {
      ++length;
    }
    bool any_hidden = false, any_left = false;
    for (std::size_t t = 0; t < length; ++t) {
      const bool hidden = masked.seen.tokens[first + t] == mask;
      any_hidden = any_hidden || hidden;
      any_left = any_left || !hidden;
    }
    mixed += any_hidden && any_left;
    lengths[length] += 1;
    all += 1;
    m += length;
  }
  // The last of some 4.7 spans of a row is cut by the budget, and a few spans touch.
  EXPECT_NEAR(lengths[1] / all, 4.0 / 7, 0.08);
  EXPECT_NEAR(lengths[2] / all, 2.0 / 7, 0.06);
  EXPECT_NEAR(lengths[3] / all, 1.0 / 7, 0.06);
  EXPECT_LT(mixed / all, 0.06);  // only where two spans touch
}

TEST(Masks, NeedAMaskToken) {
  const CharsTokenizer without(U"ab", true);
  Batch batch = padding_batch(1, 2);
  place_piece(batch, 0, 0, 0, without.encode("ab"), std::vector<float>{1, 1});
  const std::vector<MaskPiece> pieces = mask_pieces(batch, without);
  try {
    hide_single(batch, pieces, {3, true}, without);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("tokenizer.mask = true"), std::string::npos);
  }
}

}  // namespace
}  // namespace lathe
