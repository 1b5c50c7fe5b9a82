// What the encoder has beside its blocks, which other tests hold to BERT: repeats and the score.
#include <gtest/gtest.h>
#include <lathe/data/packing.h>

#include <algorithm>
#include <fstream>

#include "datasets/plugin_source.h"
#include "models/masked_support.h"
#include "plugins/models/encoder.cpp"

namespace lathe {
namespace {
using testing::Tiny;
using testing::tiny_masked;
using Ints = std::vector<std::int32_t>;

Ints runs_of(std::string_view text, std::size_t length, std::int32_t most,
             const Ints& segments = {}) {
  return repeated_runs(Ints(text.begin(), text.end()), segments, length, most);
}

TEST(Encoder, FindsRunsThatStandEarlier) {
  EXPECT_EQ(runs_of("abcdabce", 8, 5), (Ints{0, 0, 0, 0, 1, 2, 3, 0}));
  EXPECT_EQ(runs_of("abcdabce", 8, 2), (Ints{0, 0, 0, 0, 1, 2, 2, 0}));
  EXPECT_EQ(runs_of("aaaa", 4, 9), (Ints{0, 1, 2, 3}));  // a run may overlap itself
  EXPECT_EQ(runs_of("abxbabab", 8, 9), (Ints{0, 0, 0, 1, 1, 2, 2, 3}));
  EXPECT_EQ(runs_of("abbaabba", 4, 9), (Ints{0, 0, 1, 1, 0, 0, 1, 1}));  // rows are apart
}

TEST(Encoder, RunsStayInTheirPiece) {
  EXPECT_EQ(runs_of("ababab", 6, 9, {0, 0, 0, 1, 1, 1}), (Ints{0, 0, 1, 0, 0, 1}));
  EXPECT_EQ(runs_of("ababaa", 6, 9, {0, 0, 0, 0, -1, -1}), (Ints{0, 0, 1, 2, 0, 0}));
}

// On every row of 0 and 1, against a search that follows the definition word by word.
TEST(Encoder, RunsAgainstTheDefinition) {
  constexpr std::size_t length = 9;
  for (std::int32_t number = 0; number < 1 << length; ++number) {
    Ints tokens(length);
    for (std::size_t t = 0; t < length; ++t) tokens[t] = number >> t & 1;
    Ints expected(length, 0);
    for (std::size_t t = 0; t < length; ++t) {
      for (std::size_t k = 1; k <= std::min<std::size_t>(t + 1, 3); ++k) {
        const auto end = tokens.begin() + static_cast<std::ptrdiff_t>(t);  // where runs must end
        const auto first = end + 1 - static_cast<std::ptrdiff_t>(k);
        if (std::search(tokens.begin(), end, first, end + 1) != end) {
          expected[t] = static_cast<std::int32_t>(k);
        }
      }
    }
    EXPECT_EQ(repeated_runs(tokens, {}, length, 3), expected) << number;
  }
}

TEST(Encoder, RepeatsKnowNothingOfOtherPieces) {
  Tiny tiny(tiny_masked);
  const auto session = testing::session_of(tiny, {"model.repeats=3"});
  const Ints left = {1, 2, 1, 2}, right = {2, 1, 2};
  const auto hidden_of = [&](const std::vector<Ints>& pieces) {
    const NoGradient off_tape;
    std::int64_t length = 0;
    for (const Ints& piece : pieces) length += std::ssize(piece);
    Batch batch = padding_batch(1, length);
    std::int64_t at = 0;
    std::int32_t segment = 0;
    for (const Ints& piece : pieces) {
      place_piece(batch, 0, at, segment++, piece, std::vector<float>(piece.size(), 1));
      at += std::ssize(piece);
    }
    const DeviceBatch device(batch, session->parameters);
    return session->model->hidden(device.input).values();
  };
  std::vector<double> apart = hidden_of({left});
  const std::vector<double> second = hidden_of({right});
  apart.insert(apart.end(), second.begin(), second.end());
  const std::vector<double> together = hidden_of({left, right});
  ASSERT_EQ(together.size(), apart.size());
  for (std::size_t i = 0; i < apart.size(); ++i) EXPECT_NEAR(together[i], apart[i], 1e-12) << i;
}

TEST(Encoder, GradientsOfRepeats) {
  testing::expect_exact_gradients(tiny_masked, {"model.repeats=2"});
}

TEST(Encoder, GradientsOfScores) {
  const testing::TemporaryFolder folder;
  std::ofstream(folder / "pairs.jsonl")
      << R"({"prompt": "abc", "chosen": "abb", "rejected": "ba"})" << '\n'
      << R"({"prompt": "cba", "chosen": "c", "rejected": "cbab"})" << '\n';
  const std::string experiment = R"(
[data]
use = "preferences"
file = ")" + (folder / "pairs.jsonl") +
                                 R"("
validation = 0.0
[tokenizer]
use = "chars"
specials = true
[feed]
use = "pairs"
[model]
use = "encoder"
layers = 1
heads = 2
width = 8
hidden = 10
deviation = 0.3
repeats = 2
[objective]
use = "reward_model"
centring = 0.3
[train]
batch = 2
length = 9
)";
  testing::expect_exact_gradients(experiment, {});
}

TEST(Encoder, BertHasNoRepeats) {
  Tiny tiny(tiny_masked);
  EXPECT_NE(testing::error_of([&] {
              testing::session_of(tiny, {"model.style=bert", "model.repeats=2"});
            }).find("style = \"bert\" fixes repeats to 0, not 2"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
