// bleu, chrf and rouge against recorded numbers of sacrebleu and rouge_score.
#include <lathe/base/json.h>

#include "plugins/rewards/bleu.cpp"
#include "plugins/rewards/chrf.cpp"
#include "plugins/rewards/rouge.cpp"
#include "rewards/support.h"

namespace lathe {
namespace {

const Json& recorded() {
  static const Json json = read_json(LATHE_FIXTURES "/rewards/scores.json");
  return json;
}

Completions recorded_pairs() {
  std::vector<std::string> texts, answers;
  for (const Json& pair : recorded().at("pairs")) {
    texts.push_back(pair.at(0));
    answers.push_back(pair.at(1));
  }
  return testing::completions_of(texts, answers);
}

// Each set of options of the fixture; the record is `scale` times the reward.
template <class Type>
void expect_recorded(const std::string& reward, double scale) {
  const Completions pairs = recorded_pairs();
  std::size_t compared = 0;
  for (const auto& [options, expected] : recorded().at(reward).items()) {
    auto made = testing::made<Type>(options);
    const std::vector<double> values = testing::values_of(made, pairs);
    ASSERT_EQ(values.size(), expected.size());
    for (std::size_t m = 0; m < values.size(); ++m) {
      EXPECT_NEAR(values[m] * scale, static_cast<double>(expected[m]), 1e-10 * scale)
          << options << "\n"
          << pairs.texts[m] << "\n"
          << pairs.answers[m];
      ++compared;
    }
  }
  EXPECT_GE(compared, 80U);
}

TEST(Bleu, EqualsSacrebleu) { expect_recorded<Bleu>("bleu", 100); }
TEST(Chrf, EqualsSacrebleu) { expect_recorded<Chrf>("chrf", 100); }
TEST(Rouge, EqualsRougeScore) { expect_recorded<Rouge>("rouge", 1); }

// 3 of 4 words, 1 of 3 pairs; shorter than the answer: exp(1 - 5/4).
TEST(Bleu, ByHand) {
  const auto values = testing::values<Bleu>("order = 2\n", {"a b x c"}, {"a b c d e"});
  EXPECT_NEAR(values[0], std::exp(-0.25) * std::sqrt(3.0 / 4 * 1 / 3), 1e-15);
}

TEST(Rouge, ByHand) {
  const std::string text = "one two three four", answer = "two one three";
  EXPECT_NEAR(testing::values<Rouge>("", {text}, {answer})[0],
              2 * 0.5 * (2.0 / 3) / (0.5 + 2.0 / 3), 1e-15);
  EXPECT_EQ(
      testing::values<Rouge>("kind = \"rouge1\"\nmeasure = \"recall\"\n", {text}, {answer})[0], 1);
  EXPECT_EQ(testing::values<Rouge>("kind = \"rouge2\"\n", {text}, {answer})[0], 0);
}

// Characters: 2 of 3 and 1 of 2; precision and recall differ by the longer answer.
TEST(Chrf, ByHand) {
  const auto values = testing::values<Chrf>("char_order = 2\n", {"abx"}, {"abcd"});
  const double precision = (2.0 / 3 + 1.0 / 2) / 2, recall = (2.0 / 4 + 1.0 / 3) / 2;
  EXPECT_NEAR(values[0], 5 * precision * recall / (4 * precision + recall), 1e-15);
}

TEST(Overlap, WithoutAnAnswerDoesNotApply) {
  for (const double value : {testing::values<Bleu>("", {"a", "a"}, {"", "a"})[0],
                             testing::values<Chrf>("", {"a", "a"}, {"", "a"})[0],
                             testing::values<Rouge>("", {"a", "a"}, {"", "a"})[0]}) {
    EXPECT_FALSE(applicable(value));
  }
}

}  // namespace
}  // namespace lathe
