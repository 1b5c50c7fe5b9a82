// Rewards on the form of a completion: length, repetition, regex, contains, format.
#include <lathe/text/chars.h>

#include "plugins/rewards/contains.cpp"
#include "plugins/rewards/format.cpp"
#include "plugins/rewards/length.cpp"
#include "plugins/rewards/regex.cpp"
#include "plugins/rewards/repetition.cpp"
#include "rewards/support.h"

namespace lathe {
namespace {

using testing::error_of;
using testing::values;
using Values = std::vector<double>;

TEST(LengthReward, ByHand) {
  const std::vector<std::string> texts = {"", "ab cd", "äöü ß"};
  EXPECT_EQ(values<LengthReward>("price = 0.5\n", texts), (Values{0, -2.5, -4.5}));  // bytes
  EXPECT_EQ(values<LengthReward>("price = 0.5\nunit = \"characters\"\n", texts),
            (Values{0, -2.5, -2.5}));
  EXPECT_EQ(values<LengthReward>("price = 1.0\nunit = \"words\"\nbudget = 1\n", texts),
            (Values{0, -1, -1}));
  EXPECT_EQ(values<LengthReward>("price = 1.0\nunit = \"words\"\ntarget = 1\n", texts),
            (Values{-1, -1, -1}));
  EXPECT_EQ(values<LengthReward>("price = 1.0\nunit = \"characters\"\nmost = 3.0\n", texts),
            (Values{0, -3, -3}));
  EXPECT_EQ(values<LengthReward>("price = -1.0\nunit = \"words\"\n", texts), (Values{0, 2, 2}));
  EXPECT_EQ(error_of([] { testing::made<LengthReward>("budget = 1\ntarget = 2\n"); }),
            "exp.toml:1:1: reward 'length' has a budget and a target: give one of them");
}

TEST(LengthReward, LeavesTheEndTokenOut) {
  const CharsTokenizer letters(U"abc", true);  // the end token is 3
  auto reward = testing::made<LengthReward>("price = 1.0\n");
  RewardContext context;
  context.tokenizer = &letters;
  reward.open(context);
  Completions completions = testing::completions_of({"ab", "ab"});
  completions.tokens = {{0, 1, 3}, {0, 1}};
  completions.ended = {1, 0};
  EXPECT_EQ(testing::values_of(reward, completions), (Values{-2, -2}));
}

TEST(Repetition, ByHand) {
  const std::vector<std::string> texts = {"a b a B a b", "a b c", "a b", "", "x x x x"};
  // ab ba ab ba ab: 2 of 5 are distinct.
  EXPECT_EQ(values<Repetition>("n = 2\n", texts), (Values{-0.6, 0, 0, 0, -2.0 / 3}));
  // ab ba aB Ba ab: 4 of 5.
  EXPECT_EQ(values<Repetition>("n = 2\nignore_case = false\n", texts),
            (Values{-0.2, 0, 0, 0, -2.0 / 3}));
  EXPECT_EQ(values<Repetition>("n = 1\nunit = \"characters\"\n", {"aab\nä", "aaaa"}),
            (Values{-0.2, -0.75}));
  EXPECT_EQ(values<Repetition>("n = 2\nunit = \"tokens\"\n", {"abab"}), (Values{-1.0 / 3}));
}

TEST(Regex, ByHand) {
  const std::vector<std::string> texts = {"ab12", "12", "abc", "1 22 333", "\xff 7"};
  EXPECT_EQ(values<Regex>("pattern = '\\d+'\n", texts), (Values{1, 1, 0, 1, 1}));
  EXPECT_EQ(values<Regex>("pattern = '\\d+'\nsays = \"absent\"\n", texts), (Values{0, 0, 1, 0, 0}));
  EXPECT_EQ(values<Regex>("pattern = '\\d+|c'\nsays = \"whole\"\n", texts),
            (Values{0, 1, 0, 0, 0}));
  EXPECT_EQ(values<Regex>("pattern = '\\d+'\nsays = \"count\"\n", texts), (Values{1, 1, 0, 3, 1}));
  EXPECT_EQ(values<Regex>("pattern = '\\d+'\nsays = \"count\"\nmost = 2\n", texts),
            (Values{1, 1, 0, 2, 1}));
  // Empty matches: before each character and at the end.
  EXPECT_EQ(values<Regex>("pattern = 'x*'\nsays = \"count\"\n", {"äb", ""}), (Values{3, 1}));
  const std::string broken = error_of([] { testing::made<Regex>("pattern = '('\n"); });
  EXPECT_TRUE(broken.starts_with("exp.toml:1:1: reward 'regex': the pattern '(' is not a regular"))
      << broken;
}

// An expression that would try 2^n ways ends, and says that it has no opinion.
TEST(Regex, GivesUpWhereMatchingExplodes) {
  auto reward = testing::made<Regex>("pattern = '^(a|a)*$'\n");
  const Completions completions = testing::completions_of({std::string(60, 'a') + "b", "aa"});
  const Scores scores = testing::scores_of(reward, completions);
  EXPECT_FALSE(applicable(scores.values[0]));
  EXPECT_EQ(scores.values[1], 1);
  ASSERT_EQ(scores.metrics.size(), 1U);
  EXPECT_EQ(scores.metrics[0].name, "gave_up");
  EXPECT_EQ(scores.metrics[0].sum, 1);
  EXPECT_EQ(scores.metrics[0].weight, 2);
}

TEST(Contains, ByHand) {
  const std::vector<std::string> texts = {"Thank you, please.", "pleased to thank", "", "PLEASE"};
  const std::string words = "words = [\"please\", \"thank you\"]\n";
  EXPECT_EQ(values<Contains>(words, texts), (Values{1, 0, 0, 1}));
  EXPECT_EQ(values<Contains>(words + "need = \"all\"\n", texts), (Values{1, 0, 0, 0}));
  EXPECT_EQ(values<Contains>(words + "need = \"none\"\n", texts), (Values{0, 1, 1, 0}));
  EXPECT_EQ(values<Contains>(words + "need = \"share\"\n", texts), (Values{1, 0, 0, 0.5}));
  EXPECT_EQ(values<Contains>(words + "ignore_case = false\n", texts), (Values{1, 0, 0, 0}));
  EXPECT_EQ(values<Contains>(words + "whole_words = false\n", texts), (Values{1, 1, 0, 1}));
  EXPECT_EQ(values<Contains>("words = [\"!\"]\n", {"yes!", "yes"}), (Values{1, 0}));
  EXPECT_EQ(error_of([] { testing::made<Contains>("words = [\"a\", \"\"]\n"); }),
            "exp.toml:1:1: reward 'contains': one of the words is empty");
}

TEST(Format, KeepsToATemplate) {
  const std::string tags = "template = \"<think>{}</think> <answer>{}</answer>\"\n";
  const std::vector<std::string> texts = {
      "<think>why</think><answer>4</answer>",
      " <think>why\nnot</think>\n<answer> 4 </answer>\n",
      "<think>why</think> so <answer>4</answer>",    // something between
      "<think>why</think><answer>4</answer> and",    // something behind
      "well <think>why</think><answer>4</answer>",   // something before
      "<think> </think><answer>4</answer>",          // nothing thought
      "<answer>4</answer><think>why</think>",        // another order
      "<think>a<think>b</think><answer>4</answer>",  // twice
      "<think>why</think><answer>4",                 // not closed
      "",
  };
  EXPECT_EQ(values<Format>(tags, texts), (Values{1, 1, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(values<Format>(tags + "partial = true\n", texts),
            (Values{1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.375, 0.375, 0}));
  EXPECT_EQ(values<Format>("template = \"Answer: {}\"\n", {"Answer: 3", "Answer:", "3"}),
            (Values{1, 0, 0}));
  EXPECT_EQ(values<Format>("template = \"{} #### {}\"\n", {"so #### 3", "#### 3"}), (Values{1, 0}));
}

TEST(Format, AsksForJson) {
  const std::vector<std::string> texts = {R"( {"a": [1, 2]} )", R"({"a": 1)", "",
                                          R"({"a":1,"a":2})"};
  EXPECT_EQ(values<Format>("json = \"text\"\n", texts), (Values{1, 0, 0, 0}));
  EXPECT_EQ(values<Format>("json = \"last\"\ntemplate = \"say {} as {} end\"\n",
                           {"say x as [1] end", "say [1] as x end", "say x as \xff end"}),
            (Values{1, 0, 0}));
}

TEST(Format, RefusesWhatAsksForNothing) {
  EXPECT_EQ(error_of([] { testing::made<Format>("partial = true\n"); }),
            "exp.toml:1:1: reward 'format' asks for nothing: give a template, or json = \"text\"");
  EXPECT_EQ(error_of([] { testing::made<Format>("template = \"x\"\njson = \"last\"\n"); }),
            "exp.toml:1:1: reward 'format': json = \"last\" needs a template with {}");
  EXPECT_EQ(error_of([] { testing::made<Format>("template = \"a {} ab\"\n"); }),
            "exp.toml:1:1: reward 'format': the part \"a\" of the template is in another one, "
            "\"ab\": parts must differ");
}

}  // namespace
}  // namespace lathe
