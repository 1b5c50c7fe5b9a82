// Filling in gaps with a model whose every answer is known: the chain of markov_field.h.
#include <gtest/gtest.h>
#include <lathe/base/file.h>
#include <lathe/config/toml.h>
#include <lathe/data/packing.h>
#include <lathe/learn/infill.h>
#include <lathe/text/chars.h>

#include <cmath>
#include <map>

#include "learn/markov_field.h"
#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::error_of;
using Longs = std::vector<std::int64_t>;
using Matrix = testing::MarkovField::Matrix;

// a is followed by b, b by c, c by a, nearly always; the more surely, the further on in the
// alphabet.
const Matrix turning = {{0.1, 0.8, 0.1}, {0.05, 0.05, 0.9}, {0.97, 0.02, 0.01}};
const Matrix mixed = {{0.7, 0.2, 0.1}, {0.3, 0.3, 0.4}, {0.05, 0.55, 0.4}};

class Known {
 public:
  explicit Known(const Matrix& chain, std::int64_t context = 12)
      : registry_(testing::built_plugins()),
        tokenizer_(U"abc", true, true),  // 3 the end, 4 padding, 5 the mask
        model_(chain, tokenizer_, context) {
    model_.build(parameters_, {});
    parameters_.allocate(std::shared_ptr<Backend>(registry_.create<Backend>("reference", Config())),
                         Precision::f64, 0);
    model_.set();
  }

  std::vector<FilledText> fill(const std::vector<std::string>& texts, const std::string& with,
                               const std::string& how, std::uint64_t seed = 0,
                               std::int64_t gap = 3) const {
    std::vector<GapText> read;
    for (const std::string& text : texts) read.push_back(read_gaps(text, gap, {}, tokenizer_));
    return fill_gaps(model_, parameters_, tokenizer_, read,
                     GenerationOptions(parse_toml(with, "test")),
                     UnmaskingOptions(parse_toml(how, "test")), seed);
  }

  Registry registry_;
  CharsTokenizer tokenizer_;
  testing::MarkovField model_;
  Parameters parameters_;
};

Longs places(const FilledText& text) {
  Longs all;
  for (const FilledPlace& one : text.filled) all.push_back(one.place);
  return all;
}
Longs rounds(const FilledText& text) {
  Longs all;
  for (const FilledPlace& one : text.filled) all.push_back(one.round);
  return all;
}
const std::string greedy = "temperature = 0.0";

TEST(Gaps, AreReadFromTexts) {
  const Known known(mixed);
  const auto read = [&](const std::string& text, TextFrame frame = {}) {
    return read_gaps(text, 2, frame, known.tokenizer_);
  };
  using Ints = std::vector<std::int32_t>;
  const GapText behind = read("ab");
  EXPECT_EQ(behind.tokens, (Ints{0, 1, 5, 5}));
  EXPECT_EQ(behind.around, (std::vector<std::string>{"ab", ""}));
  EXPECT_EQ(behind.hidden, (std::vector<Longs>{{2, 3}}));
  const GapText inside = read("a___b[MASK]c", {.begin = false, .end = true});
  EXPECT_EQ(inside.tokens, (Ints{0, 5, 5, 1, 5, 2, 3}));
  EXPECT_EQ(inside.around, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(inside.hidden, (std::vector<Longs>{{1, 2}, {4}}));
  const GapText joined = read("[MASK]<|mask|>_____a");  // five underscores are one gap
  EXPECT_EQ(joined.tokens, (Ints{5, 5, 5, 5, 0}));
  EXPECT_EQ(joined.hidden, (std::vector<Longs>{{0, 1, 2, 3}}));
  EXPECT_EQ(error_of([&] { read_gaps("a", 0, {}, known.tokenizer_); }),
            "a gap of no tokens leaves nothing to write");
  EXPECT_EQ(error_of([&] { read("a", {.begin = true}); }),
            "the tokenizer has no begin token to put around a text");
}

// Order, tokens and chances, by summing the chances of all 3^n texts anew in each round.
TEST(Unmasking, TakesThePlacesInTheirOrder) {
  const auto expect = [](const FilledText& filled, const char* text, const Longs& order,
                         const std::vector<double>& chances) {
    EXPECT_EQ(filled.text, text);
    EXPECT_EQ(places(filled), order);
    for (std::size_t i = 0; i < chances.size(); ++i) {
      EXPECT_NEAR(std::exp(filled.filled.at(i).log_probability), chances[i], 1e-6) << i;
      EXPECT_EQ(filled.filled.at(i).sampled_log_probability, 0);
    }
  };
  const Known known(turning), other(mixed);
  const auto one = [](const Known& chain, const char* text, const char* order, std::int64_t gap) {
    return chain.fill({text}, greedy, cat("order = \"", order, "\""), 0, gap).at(0);
  };
  expect(one(known, "c___", "confidence", 4), "cabca", {1, 2, 3, 4}, {0.97, 0.8, 0.9, 0.97});
  expect(one(known, "c___bca", "confidence", 3), "cacabca", {1, 3, 2},
         {0.8967667, 0.8502024, 0.6598639});
  // The likeliest token is one thing, and how little is open is another.
  expect(one(other, "c___a", "confidence", 3), "cbaaa", {3, 1, 2}, {0.6129202, 0.6032562, 0.65625});
  expect(one(other, "c___a", "entropy", 3), "cbaaa", {3, 2, 1}, {0.6129202, 0.5278492, 0.75});
  expect(one(other, "b[MASK]ac[MASK]c", "confidence", 1), "baacbc", {1, 4}, {0.65625, 4.0 / 7});
  expect(one(other, "b[MASK]ac[MASK]c", "entropy", 1), "baacbc", {4, 1}, {4.0 / 7, 0.65625});
}

TEST(Unmasking, SharesPlacesOutAmongRounds) {
  const Known known(turning);
  const auto filled = [&](const char* how, std::int64_t gap) {
    return known.fill({"c___"}, greedy, cat("order = \"left\"\n", how), 0, gap).at(0);
  };
  EXPECT_EQ(rounds(filled("rounds = 0", 4)), (Longs{0, 1, 2, 3}));
  EXPECT_EQ(rounds(filled("rounds = 1", 4)), (Longs{0, 0, 0, 0}));
  EXPECT_EQ(rounds(filled("rounds = 2", 5)), (Longs{0, 0, 0, 1, 1}));  // 5 - floor(5 / 2) = 3
  EXPECT_EQ(rounds(filled("rounds = 3", 4)), (Longs{0, 0, 1, 2}));     // left: 2, 1, 0
  EXPECT_EQ(rounds(filled("rounds = 9", 3)), (Longs{0, 1, 2}));
  EXPECT_EQ(places(filled("rounds = 2", 5)), (Longs{1, 2, 3, 4, 5}));
  EXPECT_EQ(filled("rounds = 0", 4).text, "cabca");
}

// One token a round, in an order that does not depend on what is written, at temperature 1: texts
// come as often as the chain makes them. All 81 of 4 letters, 4000 draws: Pearson's statistic has
// 80 degrees of freedom, and exceeds 80 + 5 sqrt(160) once in 10^5 times.
TEST(Unmasking, DrawsTextsAsOftenAsTheyAre) {
  const Known known(mixed);
  for (const char* order : {"random", "left"}) {
    constexpr int count = 4000;
    const auto all = known.fill(std::vector<std::string>(count, "___"), "temperature = 1.0",
                                cat("order = \"", order, "\""), 7, 4);
    std::map<std::string, int> seen;
    for (const FilledText& one : all) ++seen[one.text];
    double statistic = 0, total = 0;
    for (std::size_t code = 0; code < 81; ++code) {
      std::string text;
      for (std::size_t i = 0, rest = code; i < 4; ++i, rest /= 3) text += "abc"[rest % 3];
      const double expected = count * known.model_.chance(known.tokenizer_.encode(text));
      const auto found = seen.find(text);
      const double times = found == seen.end() ? 0 : found->second;
      statistic += std::pow(times - expected, 2) / expected;
      total += times;
    }
    EXPECT_EQ(total, count);
    EXPECT_LT(statistic, 80 + 5 * std::sqrt(160.0)) << order;
    EXPECT_GT(statistic, 80 - 5 * std::sqrt(160.0)) << order;
  }
}

// The chance of what was written, in the order of writing, is that of the text.
TEST(Unmasking, TellsHowLikelyEachTokenWas) {
  const Known known(mixed);
  const auto all = known.fill({"___", "___"}, "temperature = 1.0", "order = \"entropy\"", 3, 5);
  for (const FilledText& one : all) {
    double sum = 0;
    for (const FilledPlace& place : one.filled) {
      sum += place.log_probability;
      EXPECT_NEAR(place.log_probability, place.sampled_log_probability, 1e-6);
    }
    // In f32 beyond the model: logits are handed over so.
    EXPECT_NEAR(sum, std::log(known.model_.chance(known.tokenizer_.encode(one.text))), 1e-5);
  }
  EXPECT_NE(all[0].text, all[1].text);
}

TEST(Unmasking, DependsOnTheSeedAlone) {
  const Known known(mixed);
  const std::string with = "temperature = 1.5", how = "order = \"random\"";
  const auto one = known.fill({"a___", "c___b"}, with, how, 5, 6);
  const auto shorter = known.fill({"abab___abab", "c___b", "a"}, with, how, 5, 4);
  const auto longer = known.fill({"abcab___", "c___b"}, with, how, 5, 6);
  EXPECT_EQ(one[1].text, longer[1].text);
  EXPECT_EQ(one[1].text.front(), 'c');
  EXPECT_EQ(one[1].text.back(), 'b');
  EXPECT_EQ(one[1].text.size(), 8u);
  EXPECT_EQ(shorter[1].text.size(), 6u);
  EXPECT_EQ(shorter[0].text.substr(8), "abab");
  EXPECT_NE(one[0].text, known.fill({"a___"}, with, how, 6, 6)[0].text);
}

// un is followed by ##want, that by ran: the space in front of the gap is not of the text.
TEST(Unmasking, WritesWordPieces) {
  Known known(turning);
  const testing::TemporaryFolder folder;
  write_durably(folder / "vocab.txt", "un\n##want\nran\n[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
  const auto pieces = load_tokenizer(folder / "vocab.txt");
  testing::MarkovField model(turning, *pieces, 8);
  Parameters parameters;
  model.build(parameters, {});
  parameters.allocate(
      std::shared_ptr<Backend>(known.registry_.create<Backend>("reference", Config())),
      Precision::f64, 0);
  model.set();
  const std::vector<GapText> texts = {read_gaps("Un [MASK] ran", 1, {}, *pieces),
                                      read_gaps("un [MASK][MASK]", 1, {}, *pieces)};
  EXPECT_EQ(texts[0].tokens, (std::vector<std::int32_t>{0, 7, 2}));
  const auto filled =
      fill_gaps(model, parameters, *pieces, texts, GenerationOptions(parse_toml(greedy, "test")),
                UnmaskingOptions(Config::table({})), 0);
  EXPECT_EQ(filled[0].text, "unwant ran");
  EXPECT_EQ(filled[1].text, "unwant ran");
}

TEST(Unmasking, RefusesWhatDoesNotFit) {
  const Known known(mixed, 5);
  EXPECT_EQ(error_of([&] { known.fill({"abc___"}, greedy, ""); }),
            "a text of 6 tokens, gaps included, is longer than the model's context of 5: shorten "
            "it, or write fewer tokens");
}

}  // namespace
}  // namespace lathe
