#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/text/chars.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/temporary_folder.h"
#include "datasets/plugin_source.h"
#include "plugins/datasets/sort.cpp"

namespace lathe {

namespace {

using testing::error_of;

struct Fixture {
  Fixture(const std::string& options, std::uint64_t seed, bool specials = false)
      : data(parse_toml(options, "exp.toml")),
        tokenizer(Config().with("specials", Config::boolean(specials))) {
    DataContext context;
    context.seed = seed;
    data.read(context);
    tokenizer.train(data.texts());
    context.tokenizer = &tokenizer;
    data.tokenise(context);
  }

  SortDataset data;
  CharsTokenizer tokenizer;
};

TEST(SortDataset, IsMinGptsTask) {
  const Fixture sort("", 1);
  EXPECT_EQ(sort.tokenizer.size(), 3);
  EXPECT_EQ(sort.data.size(Split::train), 10000);
  EXPECT_EQ(sort.data.size(Split::validation), 5000);
  std::array<int, 3> counts{};
  for (std::int64_t i = 0; i < 1000; ++i) {
    const Example example = sort.data.example(Split::train, i);
    ASSERT_EQ(example.tokens.size(), 12u);
    EXPECT_EQ(example.prompt, 6);
    EXPECT_EQ(example.weights, (std::vector<float>{0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1}));
    std::vector<std::int32_t> sorted(example.tokens.begin(), example.tokens.begin() + 6);
    for (const std::int32_t digit : sorted) ++counts[static_cast<std::size_t>(digit)];
    std::sort(sorted.begin(), sorted.end());
    EXPECT_TRUE(std::equal(sorted.begin(), sorted.end(), example.tokens.begin() + 6));
    EXPECT_EQ(example.answer, sort.tokenizer.decode(sorted));
  }
  for (const int count : counts) EXPECT_NEAR(count, 2000, 200);
}

TEST(SortDataset, SplitsShareNoInputWhateverTheSeed) {
  std::set<std::string> train, validation;
  for (const std::uint64_t seed : {1u, 2u}) {
    const Fixture sort("", seed);
    const auto input_of = [&](Split split, std::int64_t i) {
      const Example example = sort.data.example(split, i);
      return sort.tokenizer.decode(std::span(example.tokens).first(6));
    };
    for (std::int64_t i = 0; i < 5000; ++i) {
      train.insert(input_of(Split::train, i));
      validation.insert(input_of(Split::validation, i));
    }
  }
  for (const std::string& input : validation) EXPECT_EQ(train.count(input), 0u) << input;
  EXPECT_EQ(train.size() + validation.size(), 729u);  // every input is somewhere
  EXPECT_NEAR(static_cast<double>(validation.size()), 729.0 / 4, 50);
}

TEST(SortDataset, EndsOnDemandAndDependsOnTheSeed) {
  const Fixture sort("length = 3\ndigits = 10\nend = true\n", 1, true);
  const Example example = sort.data.example(Split::validation, 4);
  EXPECT_EQ(example.tokens.size(), 7u);
  EXPECT_EQ(example.tokens.back(), sort.tokenizer.end_id());
  EXPECT_EQ(example.weights, (std::vector<float>{0, 0, 0, 1, 1, 1, 1}));
  EXPECT_EQ(sort.data.example(Split::validation, 4).tokens, example.tokens);
  const Fixture same("length = 3\ndigits = 10\nend = true\n", 1, true);
  const Fixture other("length = 3\ndigits = 10\nend = true\n", 2, true);
  std::vector<std::int32_t> first, again, others;
  for (std::int64_t i = 0; i < 10; ++i) {
    first.push_back(sort.data.example(Split::train, i).tokens[0]);
    again.push_back(same.data.example(Split::train, i).tokens[0]);
    others.push_back(other.data.example(Split::train, i).tokens[0]);
  }
  EXPECT_EQ(first, again);
  EXPECT_NE(first, others);
}

TEST(SortDataset, NamesTooFewInputs) {
  EXPECT_EQ(error_of([] { Fixture("length = 3\ndigits = 2\n", 1); }),
            "dataset sort: length = 3 and digits = 2 give too few inputs to hold some out: make "
            "one of them larger");
}

}  // namespace

}  // namespace lathe
