#include <gtest/gtest.h>
#include <lathe/base/random.h>
#include <lathe/learn/feeds.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "base/temporary_folder.h"

namespace lathe {

namespace {

using testing::error_of;
using Ints = std::vector<std::int32_t>;
using Floats = std::vector<float>;
using Indices = std::vector<std::int64_t>;

// Given examples, or a running text, in both splits.
class Given final : public Dataset {
 public:
  void read(const DataContext&) override {}
  std::vector<std::string_view> texts() const override { return {}; }
  void tokenise(const DataContext&) override {}
  std::int64_t size(Split) const override { return static_cast<std::int64_t>(examples.size()); }
  Example example(Split, std::int64_t index) const override {
    return examples[static_cast<std::size_t>(index)];
  }
  std::span<const std::int32_t> stream(Split) const override { return text; }

  std::vector<Example> examples;
  Ints text;
};

Given stream_of(std::int32_t size) {
  Given data;
  data.text.resize(static_cast<std::size_t>(size));
  std::iota(data.text.begin(), data.text.end(), 100);
  return data;
}

// Example i has tokens 10 i, 10 i + 1, ...; the first two are the prompt.
Given examples_of(const std::vector<int>& lengths) {
  Given data;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    Example example;
    for (int t = 0; t < lengths[i]; ++t) {
      example.tokens.push_back(static_cast<std::int32_t>(10 * i) + t);
      example.weights.push_back(t < 2 ? 0.0f : 1.0f);
    }
    example.prompt = 2;
    data.examples.push_back(example);
  }
  return data;
}

FeedContext context_of(const Given& data, std::int64_t rows, std::int64_t length, bool shuffle) {
  FeedContext context;
  context.dataset = &data;
  context.rows = rows;
  context.length = length;
  context.shuffle = shuffle;
  context.seed = 7;
  return context;
}

Config option(const char* key, const char* value) {
  return Config().with(key, Config::text(value));
}

bool same(const Batch& left, const Batch& right) {
  return left.rows == right.rows && left.length == right.length && left.tokens == right.tokens &&
         left.targets == right.targets && left.weights == right.weights &&
         left.positions == right.positions && left.segments == right.segments &&
         left.examples == right.examples;
}

// Batches asked for in any order, and by a feed opened anew, are the same.
template <class AnyFeed>
void expect_pure(const Config& config, const FeedContext& context) {
  AnyFeed feed(config), other(config);
  feed.open(context);
  other.open(context);
  std::vector<Batch> batches;
  for (std::int64_t n = 0; n < 9; ++n) batches.push_back(feed.batch(n));
  for (const std::int64_t n : {8, 0, 5, 5, 3}) {
    EXPECT_TRUE(same(other.batch(n), batches[static_cast<std::size_t>(n)])) << n;
  }
}

TEST(WindowsFeed, CutsAtRandomPlaces) {
  const Given data = stream_of(20);
  WindowsFeed feed{Config()};
  feed.open(context_of(data, 2, 4, true));
  EXPECT_EQ(feed.batches(), 2);  // 4 windows of 4 in 19 targets
  std::map<std::int32_t, int> starts;
  for (std::int64_t n = 0; n < 400; ++n) {
    const Batch batch = feed.batch(n);
    ASSERT_EQ(batch.rows, 2);
    ASSERT_EQ(batch.length, 4);
    EXPECT_TRUE(batch.segments.empty());
    EXPECT_EQ(batch.examples, (Indices{-1, -1}));
    EXPECT_EQ(batch.weights, Floats(8, 1.0f));
    EXPECT_EQ(batch.positions, (Ints{0, 1, 2, 3, 0, 1, 2, 3}));
    for (std::size_t b = 0; b < 2; ++b) {
      const std::int32_t start = batch.tokens[4 * b];
      const auto row = static_cast<std::uint64_t>(2 * n) + b;
      EXPECT_EQ(start, 100 + static_cast<std::int32_t>(RandomStream(7, "feed").below(16, row)));
      ++starts[start];
      for (std::size_t t = 0; t < 4; ++t) {
        EXPECT_EQ(batch.tokens[4 * b + t], start + static_cast<std::int32_t>(t));
        EXPECT_EQ(batch.targets[4 * b + t], start + static_cast<std::int32_t>(t) + 1);
      }
    }
  }
  // Every start of 0..S-T-1 and no other; 50 expected of each, sd 6.8.
  EXPECT_EQ(starts.size(), 16u);
  EXPECT_EQ(starts.begin()->first, 100);
  EXPECT_EQ(starts.rbegin()->first, 115);
  for (const auto& [start, count] : starts) EXPECT_NEAR(count, 50, 30) << start;
}

TEST(WindowsFeed, SmallerBatchesHoldTheSameRows) {
  const Given data = stream_of(50);
  for (const char* sampling : {"random", "epoch"}) {
    WindowsFeed whole(option("sampling", sampling)), halves(option("sampling", sampling));
    whole.open(context_of(data, 4, 6, true));
    halves.open(context_of(data, 2, 6, true));
    for (std::int64_t n = 0; n < 6; ++n) {
      Ints tokens = halves.batch(2 * n).tokens;
      const Ints second = halves.batch(2 * n + 1).tokens;
      tokens.insert(tokens.end(), second.begin(), second.end());
      EXPECT_EQ(whole.batch(n).tokens, tokens);
    }
  }
}

TEST(WindowsFeed, EpochCoversEachWindowOnce) {
  const Given data = stream_of(23);  // 22 targets: 5 windows of 4, 2 left over
  WindowsFeed feed(option("sampling", "epoch"));
  feed.open(context_of(data, 1, 4, true));
  EXPECT_EQ(feed.batches(), 5);
  std::vector<std::int32_t> cuts;
  std::vector<Ints> orders;
  for (std::int64_t epoch = 0; epoch < 12; ++epoch) {
    Ints starts;
    for (std::int64_t n = 0; n < 5; ++n) starts.push_back(feed.batch(5 * epoch + n).tokens[0]);
    orders.push_back(starts);
    std::sort(starts.begin(), starts.end());
    cuts.push_back(starts[0] - 100);
    for (std::int32_t i = 1; i < 5; ++i) {
      EXPECT_EQ(starts[static_cast<std::size_t>(i)], starts[0] + 4 * i);
    }
  }
  EXPECT_EQ(*std::min_element(cuts.begin(), cuts.end()), 0);
  EXPECT_EQ(*std::max_element(cuts.begin(), cuts.end()), 2);
  EXPECT_NE(orders[0], orders[1]);
}

TEST(WindowsFeed, PassesOnceInOrderWithoutShuffling) {
  const Given data = stream_of(12);  // 11 targets: 4 + 4 + 3
  WindowsFeed feed{Config()};
  feed.open(context_of(data, 2, 4, false));
  EXPECT_EQ(feed.batches(), 2);
  const Batch first = feed.batch(0);
  EXPECT_EQ(first.tokens, (Ints{100, 101, 102, 103, 104, 105, 106, 107}));
  EXPECT_EQ(first.targets, (Ints{101, 102, 103, 104, 105, 106, 107, 108}));
  EXPECT_TRUE(first.segments.empty());
  const Batch last = feed.batch(1);
  EXPECT_EQ(last.rows, 1);
  EXPECT_EQ(last.tokens, (Ints{108, 109, 110, 0}));
  EXPECT_EQ(last.targets, (Ints{109, 110, 111, -1}));
  EXPECT_EQ(last.weights, (Floats{1, 1, 1, 0}));
  EXPECT_EQ(last.segments, (Ints{0, 0, 0, -1}));
  EXPECT_EQ(last.positions, (Ints{0, 1, 2, 0}));
  EXPECT_TRUE(same(feed.batch(3), last));
}

TEST(WindowsFeed, NamesWhatIsTooShort) {
  Given data = stream_of(8);
  WindowsFeed feed{Config()};
  EXPECT_EQ(error_of([&] { feed.open(context_of(data, 1, 8, true)); }),
            "feed windows: the training split has 8 tokens, but windows of 8 need at least 9: make "
            "the windows shorter or give more text");
  feed.open(context_of(data, 1, 7, true));
  EXPECT_EQ(feed.batch(3).tokens, (Ints{100, 101, 102, 103, 104, 105, 106}));
  EXPECT_EQ(error_of([&] { feed.open(context_of(Given(), 1, 8, false)); }),
            "feed windows: the training split of the dataset is empty: give more data, or hold out "
            "another share of it");
  EXPECT_EQ(error_of([&] { feed.open(context_of(examples_of({3}), 1, 8, false)); }),
            "feed windows: the dataset has no running text in its training split: use the feed "
            "'rows' or 'packed', or a dataset of running text");
  EXPECT_EQ(error_of([&] { feed.open(context_of(data, 0, 8, true)); }),
            "feed: batches of 0 rows of 8 tokens are impossible: both must be at least 1");
}

TEST(RowsFeed, HoldsOneExampleARow) {
  const Given data = examples_of({4, 3, 5});
  RowsFeed feed{Config()};
  feed.open(context_of(data, 2, 5, false));
  EXPECT_EQ(feed.batches(), 2);
  const Batch first = feed.batch(0);
  EXPECT_EQ(first.tokens, (Ints{0, 1, 2, 3, 0, 10, 11, 12, 0, 0}));
  EXPECT_EQ(first.targets, (Ints{-1, 2, 3, -1, -1, -1, 12, -1, -1, -1}));
  EXPECT_EQ(first.weights, (Floats{0, 1, 1, 0, 0, 0, 1, 0, 0, 0}));
  EXPECT_EQ(first.positions, (Ints{0, 1, 2, 3, 0, 0, 1, 2, 0, 0}));
  EXPECT_EQ(first.segments, (Ints{0, 0, 0, 0, -1, 0, 0, 0, -1, -1}));
  EXPECT_EQ(first.examples, (Indices{0, 1}));
  const Batch last = feed.batch(1);
  EXPECT_EQ(last.rows, 1);
  EXPECT_EQ(last.tokens, (Ints{20, 21, 22, 23, 24}));
  EXPECT_EQ(last.targets, (Ints{-1, 22, 23, 24, -1}));
  EXPECT_TRUE(last.segments.empty());
}

TEST(RowsFeed, PadsToTheLongest) {
  const Given data = examples_of({4, 3, 5});
  RowsFeed feed(option("pad", "longest"));
  feed.open(context_of(data, 2, 8, false));
  EXPECT_EQ(feed.batch(0).length, 4);
  EXPECT_EQ(feed.batch(0).tokens, (Ints{0, 1, 2, 3, 10, 11, 12, 0}));
  EXPECT_EQ(feed.batch(1).length, 5);
}

TEST(RowsFeed, CutsOrNamesTheLongOne) {
  const Given data = examples_of({4, 3, 5, 6});
  RowsFeed strict{Config()};
  EXPECT_EQ(error_of([&] { strict.open(context_of(data, 2, 4, true)); }),
            "feed: training example 2 has 5 tokens, more than a row of 4: make rows longer or set "
            "too_long = \"cut\"");
  RowsFeed cutting(option("too_long", "cut"));
  cutting.open(context_of(data, 2, 4, false));
  EXPECT_EQ(cutting.batch(1).tokens, (Ints{20, 21, 22, 23, 30, 31, 32, 33}));
  EXPECT_EQ(cutting.batch(1).targets, (Ints{-1, 22, 23, -1, -1, 32, 33, -1}));
}

TEST(RowsFeed, SeesEachExampleOnceAnEpoch) {
  const Given data = examples_of(std::vector<int>(10, 3));
  RowsFeed feed{Config()};
  feed.open(context_of(data, 4, 3, true));
  EXPECT_EQ(feed.batches(), 3);
  Indices seen;
  for (std::int64_t n = 0; n < 10; ++n) {
    const Batch batch = feed.batch(n);
    EXPECT_EQ(batch.rows, 4);  // always full
    for (std::size_t b = 0; b < 4; ++b) EXPECT_EQ(batch.tokens[3 * b], 10 * batch.examples[b]);
    seen.insert(seen.end(), batch.examples.begin(), batch.examples.end());
  }
  Indices all(10);
  std::iota(all.begin(), all.end(), 0);
  for (std::ptrdiff_t epoch = 0; epoch < 4; ++epoch) {
    Indices one(seen.begin() + 10 * epoch, seen.begin() + 10 * (epoch + 1));
    EXPECT_NE(one, all);
    std::sort(one.begin(), one.end());
    EXPECT_EQ(one, all);
  }
  EXPECT_NE(Indices(seen.begin(), seen.begin() + 10),
            Indices(seen.begin() + 10, seen.begin() + 20));
}

TEST(RowsFeed, NamesAnEmptySplit) {
  RowsFeed feed{Config()};
  EXPECT_EQ(error_of([&] { feed.open(context_of(Given(), 2, 4, true)); }),
            "feed: the training split of the dataset is empty: give more data, or hold out another "
            "share of it");
  EXPECT_EQ(error_of([&] { feed.open(context_of(stream_of(9), 2, 4, true)); }),
            "feed: the dataset has no examples in its training split: a running text needs the "
            "feed 'windows'");
  const Given hollow = examples_of({3, 0});
  EXPECT_EQ(error_of([&] { feed.open(context_of(hollow, 2, 4, true)); }),
            "feed: training example 1 has no tokens");
}

TEST(PackedFeed, PacksWithSeams) {
  const Given data = examples_of({2, 4, 3, 3});
  PackedFeed feed{Config()};
  feed.open(context_of(data, 2, 6, false));
  // 4 (then 2), 3 + 3.
  EXPECT_EQ(feed.batches(), 1);
  const Batch batch = feed.batch(0);
  EXPECT_EQ(batch.rows, 2);
  EXPECT_EQ(batch.tokens, (Ints{10, 11, 12, 13, 0, 1, 20, 21, 22, 30, 31, 32}));
  EXPECT_EQ(batch.targets, (Ints{-1, 12, 13, -1, -1, -1, -1, 22, -1, -1, 32, -1}));
  EXPECT_EQ(batch.weights, (Floats{0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0}));
  EXPECT_EQ(batch.positions, (Ints{0, 1, 2, 3, 0, 1, 0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(batch.segments, (Ints{0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(batch.examples, (Indices{1, 2}));
}

TEST(PackedFeed, SeesEachExampleOnceAnEpoch) {
  std::vector<int> lengths;
  for (int i = 0; i < 60; ++i) lengths.push_back(2 + i * 7 % 11);
  const Given data = examples_of(lengths);
  PackedFeed feed{Config()};
  feed.open(context_of(data, 1, 16, true));
  const std::int64_t rows = feed.batches();
  EXPECT_EQ(rows, 27);  // 419 tokens; 26.2 rows is the bound
  std::vector<Ints> epochs;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    Ints first_tokens;
    for (std::int64_t r = 0; r < rows; ++r) {
      const Batch batch = feed.batch(epoch * rows + r);
      for (std::size_t t = 0; t < 16; ++t) {
        const bool is_padding = !batch.segments.empty() && batch.segments[t] < 0;
        if (!is_padding && batch.positions[t] == 0) first_tokens.push_back(batch.tokens[t]);
      }
    }
    epochs.push_back(first_tokens);
    std::sort(first_tokens.begin(), first_tokens.end());
    ASSERT_EQ(first_tokens.size(), 60u);
    for (std::size_t i = 0; i < 60; ++i) {
      EXPECT_EQ(first_tokens[i], static_cast<std::int32_t>(10 * i));
    }
  }
  EXPECT_NE(epochs[0], epochs[1]);
}

TEST(PackedFeed, CutsTheLongOne) {
  const Given data = examples_of({2, 9});
  PackedFeed feed(option("too_long", "cut"));
  feed.open(context_of(data, 2, 6, false));
  EXPECT_EQ(feed.batch(0).tokens, (Ints{10, 11, 12, 13, 14, 15, 0, 1, 0, 0, 0, 0}));
  PackedFeed strict{Config()};
  EXPECT_EQ(error_of([&] { strict.open(context_of(data, 2, 6, false)); }),
            "feed: training example 1 has 9 tokens, more than a row of 6: make rows longer or set "
            "too_long = \"cut\"");
}

TEST(Feeds, ArePureFunctionsOfTheBatch) {
  const Given text = stream_of(40);
  const Given rows = examples_of({4, 3, 5, 2, 6, 3, 4});
  expect_pure<WindowsFeed>(Config(), context_of(text, 3, 5, true));
  expect_pure<WindowsFeed>(option("sampling", "epoch"), context_of(text, 3, 5, true));
  expect_pure<WindowsFeed>(Config(), context_of(text, 3, 5, false));
  expect_pure<RowsFeed>(Config(), context_of(rows, 3, 6, true));
  expect_pure<RowsFeed>(option("pad", "longest"), context_of(rows, 3, 6, false));
  expect_pure<PackedFeed>(Config(), context_of(rows, 3, 8, true));
  expect_pure<PackedFeed>(Config(), context_of(rows, 3, 8, false));
  RowsFeed feed{Config()};
  feed.open(context_of(rows, 3, 6, true));
  EXPECT_EQ(error_of([&] { feed.batch(-1); }), "feed: there is no batch -1");
}

TEST(Feeds, DifferBySeed) {
  const Given data = examples_of(std::vector<int>(50, 3));
  FeedContext context = context_of(data, 10, 3, true);
  RowsFeed one{Config()}, two{Config()};
  one.open(context);
  context.seed = 8;
  two.open(context);
  EXPECT_NE(one.batch(0).examples, two.batch(0).examples);
}

}  // namespace

}  // namespace lathe
