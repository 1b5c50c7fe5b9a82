// exact_match, numeric_match, and what rewards do where there is no answer.
#include <cstdlib>

#include "plugins/datasets/jsonl.cpp"
#include "plugins/rewards/exact_match.cpp"
#include "plugins/rewards/numeric_match.cpp"
#include "rewards/support.h"

namespace lathe {
namespace {

using testing::error_of;
using testing::values;
using Values = std::vector<double>;

TEST(ExactMatch, ByHand) {
  const std::vector<std::string> texts = {"42", " 42\n", "4 2", "420", "Yes", ""};
  const std::vector<std::string> answers = {"42", "42", "42", "42", "yes", "x"};
  EXPECT_EQ(values<ExactMatch>("", texts, answers), (Values{1, 1, 0, 0, 0, 0}));
  EXPECT_EQ(values<ExactMatch>("strip = false\n", texts, answers), (Values{1, 0, 0, 0, 0, 0}));
  EXPECT_EQ(values<ExactMatch>("ignore_case = true\n", texts, answers), (Values{1, 1, 0, 0, 1, 0}));
  EXPECT_EQ(values<ExactMatch>("after = \"=\"\n", {"1+1=2", "2", "1=2=3", "x = 2 "},
                               {"2", "2", "3", "2"}),
            (Values{1, 0, 1, 1}));
}

TEST(ExactMatch, ComparesWithOtherColumns) {
  Completions completions = testing::completions_of({"a", "b", "c"}, {"x", "x", "x"});
  completions.columns["colour"] = {"a", "", "x"};
  auto reward = testing::made<ExactMatch>("column = \"colour\"\n");
  const Values found = testing::values_of(reward, completions);
  EXPECT_EQ(found[0], 1);
  EXPECT_FALSE(applicable(found[1]));
  EXPECT_EQ(found[2], 0);
}

TEST(ExactMatch, SaysWhatThereIsWhereNoRowHasTheColumn) {
  Completions completions = testing::completions_of({"a", "b"}, {"", ""});
  completions.columns["colour"] = {"", ""};
  completions.columns["size"] = {"", "1"};
  auto reward = testing::made<ExactMatch>("");
  EXPECT_EQ(error_of([&] { testing::scores_of(reward, completions); }),
            "reward 'exact_match' compares with the column 'answer', which no row has; there are: "
            "colour, size. Set its option `column`, or give the data such a column");
  auto misspelt = testing::made<ExactMatch>("column = \"color\"\n");
  completions.answers[0] = "a";
  EXPECT_EQ(error_of([&] { testing::scores_of(misspelt, completions); }),
            "reward 'exact_match' compares with the column 'color', which no row has; there are: "
            "answer, colour, size. Set its option `column`, or give the data such a column");
  // The data have the column, though not here.
  completions.answers[0] = "";
  completions.columns["answer"] = {"", ""};
  EXPECT_FALSE(applicable(testing::scores_of(reward, completions).values[0]));
}

// The final number as the reward reads it: the one that it calls equal.
bool reads(const std::string& text, const std::string& number, const std::string& options = "") {
  return values<NumericMatch>(options, {text}, {number})[0] == 1;
}

TEST(NumericMatch, ReadsNumbers) {
  EXPECT_TRUE(reads("so #### 70,000", "70000"));
  EXPECT_TRUE(reads("#### $1,234,567.50.", "1234567.5"));
  EXPECT_TRUE(reads("#### -3", "-3"));
  EXPECT_FALSE(reads("#### -3", "3"));
  EXPECT_FALSE(reads("#### 3", "-3"));
  EXPECT_TRUE(reads("#### -$3.00", "-3"));
  EXPECT_TRUE(reads("it costs \u22125", "-5"));
  EXPECT_TRUE(reads("a 1 b 2 #### 3 and 4", "3"));  // the first one after the mark
  EXPECT_TRUE(reads("#### 3 no, #### 4", "4"));     // after the last mark
  EXPECT_TRUE(reads("first 12, then 18.", "18"));   // without the mark: the last number
  EXPECT_TRUE(reads("16-3", "3"));                  // an operator is no sign
  EXPECT_TRUE(reads("1,2", "2"));                   // a list is not one number
  EXPECT_TRUE(reads("007.500", "7.5"));
  EXPECT_TRUE(reads(".5", "0.50"));
  EXPECT_TRUE(reads("-0", "0"));
  EXPECT_TRUE(reads("12345678901234567890123", "12,345,678,901,234,567,890,123"));
  EXPECT_FALSE(reads("12345678901234567890123", "12345678901234567890124"));
  EXPECT_FALSE(reads("no number", "1"));
  EXPECT_FALSE(reads("", "0"));
  EXPECT_FALSE(reads("the answer is 3", "3", "needs_mark = true\n"));
  EXPECT_TRUE(reads("Answer: 3 of 4", "3", "mark = \"Answer:\"\n"));
  EXPECT_TRUE(reads("0.33", "0.333", "tolerance = 0.01\n"));
  EXPECT_FALSE(reads("0.31", "0.333", "tolerance = 0.01\n"));
}

TEST(NumericMatch, ScoresAndDoesNotApply) {
  const Values found = values<NumericMatch>("for_number = 0.25\n", {"1", "2", "none", "1"},
                                            {"#### 1", "1", "1", "nothing"});
  EXPECT_EQ(found[0], 1);
  EXPECT_EQ(found[1], 0.25);
  EXPECT_EQ(found[2], 0);
  EXPECT_FALSE(applicable(found[3]));
}

// All 8,319 answers against the rule of GSM8K's authors: what follows "#### ", without commas.
TEST(NumericMatch, ReadsAllOfGsm8k) {
  const char* root = std::getenv("LATHE_DATA");
  if (root == nullptr) GTEST_SKIP() << "skipped: no data";
  const BytesTokenizer tokenizer{Config()};
  JsonlDataset data(
      parse_toml("file = \"gsm8k/train-7000.jsonl.gz\"\n"
                 "validation_file = \"gsm8k/test.jsonl\"\n"
                 "prompt = \"question\"\ncompletion = \"answer\"\n",
                 "exp.toml"));
  DataContext context;
  context.folder = root;
  data.read(context);
  context.tokenizer = &tokenizer;
  data.tokenise(context);
  std::vector<std::string> whole, bare, wrong, answers;
  for (const Split split : {Split::train, Split::validation}) {
    for (std::int64_t i = 0; i < data.size(split); ++i) {
      answers.push_back(data.example(split, i).answer);
      std::string number = answers.back().substr(answers.back().find("#### ") + 5);
      std::erase(number, ',');
      whole.push_back(answers.back());
      bare.push_back("The answer is $" + number + ".");
      wrong.push_back("#### 1" + number);
    }
  }
  ASSERT_EQ(answers.size(), 8319U);
  NumericMatch reward(parse_toml("", "exp.toml"));
  const auto score = [&](const std::vector<std::string>& texts) {
    return testing::scores_of(reward, testing::completions_of(texts, answers)).values;
  };
  EXPECT_EQ(score(whole), Values(8319, 1.0));
  EXPECT_EQ(score(wrong), Values(8319, 0.0));
  const Values by_last = score(bare);
  for (std::size_t m = 0; m < by_last.size(); ++m) EXPECT_EQ(by_last[m], 1) << bare[m];
}

}  // namespace
}  // namespace lathe
