#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/text/chars.h>

#include <set>
#include <string>

#include "base/temporary_folder.h"
#include "datasets/plugin_source.h"
#include "plugins/datasets/sums.cpp"

namespace lathe {

namespace {

using testing::error_of;

// The dataset with the character tokenizer that it teaches.
struct Fixture {
  explicit Fixture(const std::string& options, std::uint64_t seed = 1)
      : data(parse_toml(options, "exp.toml")) {
    DataContext context;
    context.seed = seed;
    data.read(context);
    tokenizer.train(data.texts());
    context.tokenizer = &tokenizer;
    data.tokenise(context);
  }
  Example at(Split split, std::int64_t index) const { return data.example(split, index); }
  std::string text(const Example& example) const { return tokenizer.decode(example.tokens); }

  SumsDataset data;
  CharsTokenizer tokenizer{parse_toml("specials = true\n", "exp.toml")};
};

// a, b and what is written after the equals sign.
struct Parsed {
  std::int64_t left, right;
  std::string answer;
};
Parsed parsed(const std::string& text, char operation) {
  const std::size_t sign = text.find(operation), equals = text.find('=');
  const std::string end = "<|endoftext|>";
  EXPECT_TRUE(text.ends_with(end));
  return {std::stoll(text.substr(0, sign)), std::stoll(text.substr(sign + 1, equals - sign - 1)),
          text.substr(equals + 1, text.size() - end.size() - equals - 1)};
}

TEST(SumsDataset, AnswersAreRight) {
  const Fixture sums("digits = 3\ntrain = 300\nvalidation = 50\n");
  for (std::int64_t i = 0; i < 300; ++i) {
    const Example example = sums.at(Split::train, i);
    const Parsed problem = parsed(sums.text(example), '+');
    EXPECT_EQ(std::to_string(problem.left + problem.right), problem.answer);
    EXPECT_EQ(example.answer, problem.answer);
  }
}

TEST(SumsDataset, LearnsTheAnswerAndTheEnd) {
  const Fixture sums("digits = 2\ntrain = 50\nvalidation = 5\nreversed = true\npadded = true\n");
  EXPECT_EQ(sums.tokenizer.size(), 12 + 2);
  for (std::int64_t i = 0; i < 50; ++i) {
    const Example example = sums.at(Split::train, i);
    EXPECT_EQ(example.tokens.size(), 10u);  // 12+34=640 and the end
    EXPECT_EQ(example.prompt, 6);
    EXPECT_EQ(example.weights, (std::vector<float>{0, 0, 0, 0, 0, 0, 1, 1, 1, 1}));
    EXPECT_EQ(example.tokens.back(), sums.tokenizer.end_id());
    const Parsed problem = parsed(sums.text(example), '+');
    const std::string forward(problem.answer.rbegin(), problem.answer.rend());
    EXPECT_EQ(std::stoll(forward), problem.left + problem.right);
  }
  const Fixture whole("digits = 1\ntrain = 5\nvalidation = 5\nloss = \"all\"\n");
  const Example example = whole.at(Split::train, 0);
  EXPECT_EQ(example.weights, std::vector<float>(example.tokens.size(), 1.0f));
}

TEST(SumsDataset, SplitsShareNoProblem) {
  const Fixture sums("digits = 1\noperation = \"*\"\ntrain = 60\nvalidation = 40\n");
  std::set<std::string> seen;
  for (std::int64_t i = 0; i < 40; ++i) seen.insert(sums.text(sums.at(Split::validation, i)));
  EXPECT_EQ(seen.size(), 40u);
  for (std::int64_t i = 0; i < 60; ++i) {
    const std::string text = sums.text(sums.at(Split::train, i));
    const Parsed problem = parsed(text, '*');
    EXPECT_EQ(std::to_string(problem.left * problem.right), problem.answer);
    seen.insert(text);
  }
  EXPECT_EQ(seen.size(), 100u);  // all there are
}

TEST(SumsDataset, MoreTrainingLeavesTheHeldOutProblems) {
  const Fixture few("train = 10\nvalidation = 20\n"), many("train = 10000\nvalidation = 20\n");
  const Fixture other("train = 10\nvalidation = 20\n", 2);
  for (std::int64_t i = 0; i < 20; ++i) {
    EXPECT_EQ(few.at(Split::validation, i).tokens, many.at(Split::validation, i).tokens);
  }
  EXPECT_EQ(few.at(Split::train, 9).tokens, many.at(Split::train, 9).tokens);
  EXPECT_NE(few.at(Split::validation, 0).tokens, other.at(Split::validation, 0).tokens);
}

TEST(SumsDataset, NamesTooManyProblems) {
  EXPECT_EQ(error_of([] { Fixture("digits = 1\ntrain = 80\nvalidation = 21\n"); }),
            "dataset sums: train = 80 and validation = 21 together exceed the 100 problems of 1 "
            "digits: ask for fewer or for more digits");
}

}  // namespace

}  // namespace lathe
