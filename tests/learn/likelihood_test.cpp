// Likelihoods of tokens: against single forward passes of one text each, against a chain in closed
// form, and the same bits in any company.
#include <gtest/gtest.h>
#include <lathe/base/threads.h>
#include <lathe/learn/likelihood.h>
#include <lathe/learn/objective.h>
#include <lathe/text/chars.h>

#include <cmath>

#include "learn/markov_field.h"
#include "learn/single_forward.h"
#include "models/gradient_check.h"

namespace lathe {
namespace {
using testing::single;
using testing::Tiny;
using Ints = std::vector<std::int32_t>;
using Longs = std::vector<std::int64_t>;
using Lists = std::vector<std::vector<double>>;

const char* const tiny_encoder = R"(
seed = 4
[data]
use = "sums"
digits = 2
train = 60
validation = 20
[tokenizer]
use = "chars"
specials = true
mask = true
[feed]
use = "rows"
[model]
use = "encoder"
style = "bert"
layers = 2
heads = 2
width = 8
hidden = 10
deviation = 0.3
[objective]
use = "masked"
[train]
batch = 2
length = 12
)";
std::unique_ptr<Session> session_of(Tiny& tiny, std::vector<std::string> changes, bool exact) {
  if (exact) {
    changes.insert(changes.end(), {"backend.use=reference", "train.precision=f64"});
  }
  auto session = tiny.session(changes);
  if (exact) testing::stir(session->parameters);
  return session;
}

// Texts of different lengths; the third is asked for two places alone, the fourth for none.
std::vector<LikelihoodRow> rows_of(const Tokenizer& tokenizer, bool causal) {
  std::vector<LikelihoodRow> rows;
  for (const char* text : {"12+34=46", "9+9=18", "10+70=80", "1+1", "55+5=60"}) {
    LikelihoodRow row{.tokens = tokenizer.encode(text), .places = {}};
    row.tokens.push_back(tokenizer.end_id());
    row.places = places_of_text(row.tokens, tokenizer, causal);
    rows.push_back(row);
  }
  rows[2].places = {3, 7};
  rows[3].places = {};
  return rows;
}

Lists scores(const Session& session, const std::vector<LikelihoodRow>& rows,
             LikelihoodOptions options = {}) {
  return Likelihood(*session.model, session.parameters, *session.tokenizer, options)
      .log_probabilities(rows);
}

void expect_near(const Lists& values, const Lists& expected, double tolerance) {
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t r = 0; r < values.size(); ++r) {
    ASSERT_EQ(values[r].size(), expected[r].size()) << r;
    for (std::size_t i = 0; i < values[r].size(); ++i) {
      EXPECT_NEAR(values[r][i], expected[r][i], tolerance * std::abs(expected[r][i]))
          << r << " " << i;
    }
  }
}

TEST(Likelihood, PlacesOfText) {
  const CharsTokenizer tokenizer(U"ab", true, true);  // 2 the end, 3 padding, 4 the mask
  EXPECT_EQ(places_of_text(Ints{2, 0, 1, 0, 2}, tokenizer, false), (Longs{1, 2, 3}));
  EXPECT_EQ(places_of_text(Ints{0, 1, 2, 4, 0}, tokenizer, true), (Longs{1, 4}));
  EXPECT_EQ(places_of_text(Ints{}, tokenizer, true), Longs{});
}

TEST(Likelihood, OfBothSidesIsOneSingleForwardAPlace) {
  Tiny tiny(tiny_encoder);
  const auto session = session_of(tiny, {}, true);
  const auto rows = rows_of(*session->tokenizer, false);
  ASSERT_EQ(rows[0].places.size(), 8u);
  Lists expected;
  for (const LikelihoodRow& row : rows) {
    expected.emplace_back();
    for (const std::int64_t place : row.places) {
      Ints seen = row.tokens;
      const std::int32_t token =
          std::exchange(seen[static_cast<std::size_t>(place)], session->tokenizer->mask_id());
      expected.back().push_back(single(*session, seen, place, token));
    }
  }
  expect_near(scores(*session, rows), expected, 1e-12);
  expect_near(scores(*session, rows, {.places = 20}), expected, 1e-12);
}

// 12+34=46: with the 1 the 2 is hidden, with the 2 nothing else, with + nothing else.
TEST(Likelihood, HidesTheRestOfAWord) {
  Tiny tiny(tiny_encoder);
  const auto session = session_of(tiny, {}, true);
  const std::int32_t mask = session->tokenizer->mask_id();
  const std::vector<std::pair<std::string, Ints>> hidden = {{"12+34=46", {1, 0, 0, 1, 0, 0, 1, 0}},
                                                            {"9+123", {0, 0, 2, 1, 0}}};
  for (const auto& [text, further] : hidden) {
    LikelihoodRow row{.tokens = session->tokenizer->encode(text), .places = {}};
    std::vector<double> expected;
    for (std::size_t i = 0; i < further.size(); ++i) {
      Ints seen = row.tokens;
      for (std::size_t k = i; k <= i + static_cast<std::size_t>(further[i]); ++k) seen[k] = mask;
      row.places.push_back(static_cast<std::int64_t>(i));
      expected.push_back(single(*session, seen, row.places.back(), row.tokens[i]));
    }
    expect_near(scores(*session, {row}, {.word_left_to_right = true}), {expected}, 1e-12);
    // Asked for one place alone, what is hidden beside it stays the same.
    row.places = {0};
    expect_near(scores(*session, {row}, {.word_left_to_right = true}), {{expected[0]}}, 1e-12);
  }
}

TEST(Likelihood, OfADecoderIsTheChainRule) {
  Tiny tiny(tiny_encoder);
  const auto session = session_of(tiny, testing::tiny_decoder, true);
  const auto rows = rows_of(*session->tokenizer, true);
  ASSERT_EQ(rows[0].places.size(), 7u);
  Lists expected;
  for (const LikelihoodRow& row : rows) {
    expected.emplace_back();
    for (const std::int64_t place : row.places) {
      const Ints before(row.tokens.begin(), row.tokens.begin() + place);
      expected.back().push_back(
          single(*session, before, place - 1, row.tokens[static_cast<std::size_t>(place)]));
    }
  }
  expect_near(scores(*session, rows), expected, 1e-12);
  expect_near(scores(*session, rows, {.places = 1}), expected, 1e-12);
}

// The longest text first, all together, one by one; one thread or two.
TEST(Likelihood, HasTheSameBitsInAnyCompany) {
  Tiny tiny(tiny_encoder);
  for (const bool causal : {false, true}) {
    for (const char* precision : {"f32", "bf16"}) {
      std::vector<std::string> changes = {cat("train.precision=", precision)};
      if (causal)
        changes.insert(changes.end(), testing::tiny_decoder.begin(), testing::tiny_decoder.end());
      const auto session = session_of(tiny, changes, false);
      const auto rows = rows_of(*session->tokenizer, causal);
      const Lists together = scores(*session, rows);
      EXPECT_NE(together[0], together[2]);
      for (const int threads : {1, 2}) {
        set_threads(threads);
        EXPECT_EQ(scores(*session, rows, {.places = 1}), together) << precision;
        EXPECT_EQ(scores(*session, rows, {.places = 33}), together) << precision;
        Lists turned = scores(*session, {rows.rbegin(), rows.rend()});
        EXPECT_EQ(Lists(turned.rbegin(), turned.rend()), together) << precision;
      }
    }
  }
}

// The pseudo-likelihood of a chain is in closed form.
TEST(Likelihood, OfAMarkovChainIsKnown) {
  Registry registry(testing::built_plugins());
  const CharsTokenizer tokenizer(U"abc", true, true);
  testing::MarkovField model({{0.7, 0.2, 0.1}, {0.3, 0.3, 0.4}, {0.05, 0.55, 0.4}}, tokenizer, 9);
  Parameters parameters;
  model.build(parameters, {});
  parameters.allocate(std::shared_ptr<Backend>(registry.create<Backend>("reference", Config())),
                      Precision::f64, 0);
  model.set();
  std::vector<LikelihoodRow> rows;
  Lists expected;
  for (const char* text : {"abcca", "c", "bbacabcab"}) {
    rows.push_back({.tokens = tokenizer.encode(text), .places = {}});
    rows.back().places = places_of_text(rows.back().tokens, tokenizer, false);
    expected.emplace_back();
    for (std::size_t t = 0; t < rows.back().tokens.size(); ++t) {
      expected.back().push_back(std::log(model.conditional(rows.back().tokens, t)));
    }
  }
  std::vector<std::int64_t> heard;
  const Lists values = Likelihood(model, parameters, tokenizer, {.places = 27})
                           .log_probabilities(rows, [&](std::int64_t n) { heard.push_back(n); });
  expect_near(values, expected, 1e-12);
  // Nine copies of nine tokens in three passes, then five of five and the one letter.
  EXPECT_EQ(heard, (Longs{3, 6, 9, 14, 15}));
}

TEST(Likelihood, RefusesWhatItCannotAnswer) {
  Tiny tiny(tiny_encoder);
  const auto session = session_of(tiny, {}, false);
  const auto causal = session_of(tiny, testing::tiny_decoder, false);
  const auto refusal = [&](const Session& with, const LikelihoodRow& row) {
    return testing::error_of([&] { scores(with, {row}); });
  };
  EXPECT_EQ(refusal(*session, {.tokens = Ints(13, 1), .places = {0}}),
            "text 0 has 13 tokens, but the model reads at most 12: cut it into windows");
  EXPECT_EQ(refusal(*session, {.tokens = {1, 2}, .places = {2}}),
            "text 0 of 2 tokens is asked for its place 2: places rise, and lie in 0 .. 1");
  EXPECT_EQ(refusal(*session, {.tokens = {1, 2}, .places = {1, 1}}),
            "text 0 of 2 tokens is asked for its place 1: places rise, and lie in 0 .. 1");
  EXPECT_EQ(refusal(*causal, {.tokens = {1, 2}, .places = {0}}),
            "text 0 of 2 tokens is asked for its place 0: places rise, and lie in 1 .. 1");
  EXPECT_EQ(testing::error_of([&] { scores(*causal, {}, {.word_left_to_right = true}); }),
            "words are read from left to right by a decoder as it is: hiding the rest of a word is "
            "for models that see both sides");
}

TEST(TextWindows, AskForEachTokenOnce) {
  const auto text = [](const std::vector<TextWindow>& windows) {
    std::string all;
    for (const TextWindow& w : windows) {
      all += cat("[", w.begin, " ", w.end, ") ", w.from, "..", w.to, "; ");
    }
    return all;
  };
  EXPECT_EQ(text(text_windows(0, 4, 2, true)), "");
  EXPECT_EQ(text(text_windows(4, 4, 2, true)), "[0 4) 0..4; ");
  EXPECT_EQ(text(text_windows(9, 4, 2, true)), "[0 4) 0..4; [2 6) 4..6; [4 8) 6..8; [5 9) 8..9; ");
  EXPECT_EQ(text(text_windows(9, 4, 2, false)), "[0 4) 0..3; [2 6) 3..5; [4 8) 5..6; [5 9) 6..9; ");
  EXPECT_EQ(text(text_windows(9, 4, 4, false)), "[0 4) 0..4; [4 8) 4..6; [5 9) 6..9; ");
  EXPECT_EQ(text(text_windows(3, 8, 8, false)), "[0 3) 0..3; ");
  EXPECT_EQ(testing::error_of([] { text_windows(9, 4, 5, false); }),
            "windows of 4 tokens cannot be 5 apart: 1 to 4 can");
  EXPECT_EQ(testing::error_of([] { text_windows(9, 4, 4, true); }),
            "windows of 4 tokens cannot be 4 apart: 1 to 3 can");
}

// Places 0 .. 8 in the windows [0 4) 0..3, [2 6) 3..5, [4 8) 5..6, [5 9) 6..9; 5 and 7 are not
// asked.
TEST(TextWindows, MakeRowsOfAText) {
  const LikelihoodRow text{.tokens = {10, 11, 12, 13, 14, 15, 16, 17, 18},
                           .places = {0, 1, 2, 3, 4, 6, 8}};
  const auto rows = in_windows(text, 4, 2, false);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].tokens, (Ints{10, 11, 12, 13}));
  EXPECT_EQ(rows[0].places, (Longs{0, 1, 2}));
  EXPECT_EQ(rows[1].tokens, (Ints{12, 13, 14, 15}));
  EXPECT_EQ(rows[1].places, (Longs{1, 2}));
  EXPECT_EQ(rows[2].tokens, (Ints{15, 16, 17, 18}));
  EXPECT_EQ(rows[2].places, (Longs{1, 3}));
  EXPECT_EQ(in_windows(text, 9, 3, false).at(0).places, text.places);
}

}  // namespace
}  // namespace lathe
