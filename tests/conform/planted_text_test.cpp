// The suites of tokenizers, datasets, feeds and rewards find planted faults.
#include <lathe/learn/feeds.h>
#include <lathe/learn/reward.h>
#include <lathe/text/bytes.h>

#include <algorithm>
#include <cctype>
#include <limits>

#include "planted.h"

namespace lathe {
namespace {
using testing::expect_said;
using testing::said_of;

enum class Fault { none, one, two, three, four };

// Bytes. one: capitals are lost; two: the text "<|endoftext|>" ends the text; three: an id outside
// for "z"; four: the texts of a second process are cut otherwise.
template <Fault fault>
class PlantedTokenizer final : public Tokenizer {
 public:
  std::vector<std::int32_t> encode(std::string_view text, Special special) const override {
    std::string changed(text);
    if (fault == Fault::one) {
      for (char& c : changed) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    std::vector<std::int32_t> ids =
        bytes_.encode(changed, fault == Fault::two ? Special::as_id : special);
    if (fault == Fault::three) {
      for (std::int32_t& id : ids) id = id == 'z' ? 900 : id;
    }
    return ids;
  }
  std::vector<std::int32_t> encode_parallel(std::string_view text, Special special) const override {
    std::vector<std::int32_t> ids = encode(text, special);
    if (fault == Fault::four) ids.pop_back();
    return ids;
  }
  std::string_view token(std::int32_t id) const override { return bytes_.token(id); }
  std::int64_t size() const override { return bytes_.size(); }
  std::int32_t end_id() const override { return bytes_.end_id(); }
  std::int32_t pad_id() const override { return bytes_.pad_id(); }
  std::int32_t special_id(std::string_view literal) const override {
    return bytes_.special_id(literal);
  }
  void save(const std::filesystem::path& folder) const override { bytes_.save(folder); }

 private:
  BytesTokenizer bytes_;
};

TEST(PlantedFaults, Tokenizers) {
  for (const char* test :
       {"round_trip", "bad_input", "specials", "saved", "parallel", "random_trip", "same_twice"}) {
    EXPECT_EQ((said_of<Tokenizer, PlantedTokenizer<Fault::none>>(test)), "") << test;
  }
  expect_said(said_of<Tokenizer, PlantedTokenizer<Fault::one>>("round_trip"),
              "encode and decode made a text of");
  expect_said(said_of<Tokenizer, PlantedTokenizer<Fault::one>>("random_trip"), "encode and decode");
  expect_said(said_of<Tokenizer, PlantedTokenizer<Fault::two>>("specials"),
              "the text <|endoftext|> became the special token 256");
  expect_said(said_of<Tokenizer, PlantedTokenizer<Fault::three>>("round_trip"), "gave the id 900");
  expect_said(said_of<Tokenizer, PlantedTokenizer<Fault::four>>("parallel"),
              "encode_parallel gives other ids");
}

// Numbers. one: another example each time; two: a token outside; three: an index outside is
// answered; four: a weight is missing.
template <Fault fault>
class Numbers final : public Dataset {
 public:
  void read(const DataContext& context) override { seed_ = context.seed; }
  std::vector<std::string_view> texts() const override { return {"0123456789"}; }
  void tokenise(const DataContext& context) override { tokenizer_ = context.tokenizer; }
  std::int64_t size(Split split) const override { return split == Split::train ? 20 : 5; }
  Example example(Split split, std::int64_t index) const override {
    if (fault != Fault::three && (index < 0 || index >= size(split))) fail("no example ", index);
    if (fault == Fault::one) index += ++calls_;
    Example example;
    const std::int64_t number = split == Split::train ? index : 100 + index;
    example.tokens = tokenizer_->encode(std::to_string(10 * number));
    if (fault == Fault::two) example.tokens.push_back(258);
    example.weights.assign(example.tokens.size() - (fault == Fault::four), 1.0f);
    return example;
  }

 private:
  std::uint64_t seed_ = 0;
  mutable std::int64_t calls_ = 0;
  const Tokenizer* tokenizer_ = nullptr;
};

TEST(PlantedFaults, Datasets) {
  for (const char* test : {"examples", "pure", "outside", "held_out", "same_twice"}) {
    EXPECT_EQ((said_of<Dataset, Numbers<Fault::none>>(test)), "") << test;
  }
  expect_said(said_of<Dataset, Numbers<Fault::one>>("pure"), "when it is asked for again");
  expect_said(said_of<Dataset, Numbers<Fault::two>>("examples"), "has a token outside");
  expect_said(said_of<Dataset, Numbers<Fault::three>>("outside"), "gave training example -1 of 20");
  expect_said(said_of<Dataset, Numbers<Fault::four>>("examples"), "weights for");
}

// Rows. one: follows the calls, not the number; two: the last, smaller batch is dropped; three: a
// weight beside the target -1; four: an example twice, and another never.
template <Fault fault>
class PlantedFeed final : public Feed {
 public:
  PlantedFeed() : rows_(Config()) {}
  void open(const FeedContext& context) override {
    context_ = context;
    rows_.open(context);
  }
  std::int64_t batches() const override {
    const std::int64_t whole = context_.dataset->size(context_.split) / context_.rows;
    return fault == Fault::two ? std::max<std::int64_t>(1, whole) : rows_.batches();
  }
  Batch batch(std::int64_t number) override {
    if (fault == Fault::one) number = calls_++;
    Batch batch = rows_.batch(fault == Fault::four ? number / 2 : number);
    if (fault == Fault::three) {
      for (std::size_t n = 0; n < batch.weights.size(); ++n) {
        if (batch.targets[n] == -1) batch.weights[n] = 1;
      }
    }
    return batch;
  }

 private:
  FeedContext context_;
  RowsFeed rows_;
  std::int64_t calls_ = 0;
};

TEST(PlantedFaults, Feeds) {
  for (const char* test : {"batches", "pure", "resumes", "whole", "epoch", "same_twice"}) {
    EXPECT_EQ((said_of<Feed, PlantedFeed<Fault::none>>(test)), "") << test;
  }
  expect_said(said_of<Feed, PlantedFeed<Fault::one>>("pure"), "asked for out of order");
  expect_said(said_of<Feed, PlantedFeed<Fault::two>>("whole"), "counts other targets");
  expect_said(said_of<Feed, PlantedFeed<Fault::three>>("batches"), "a weight beside the target -1");
  expect_said(said_of<Feed, PlantedFeed<Fault::four>>("epoch"), "shows an example twice");
}

// The share of the letter e. one: less the mean of the batch; two: infinite for no text; three:
// remembers; four: a value per token too few.
template <Fault fault>
class Letters final : public Reward {
 public:
  void score(const Completions& completions, Scores& scores) override {
    double mean = 0;
    for (std::size_t m = 0; m < completions.size(); ++m) {
      const std::string& text = completions.texts[m];
      const auto count = static_cast<double>(std::count(text.begin(), text.end(), 'e'));
      scores.values[m] = count / static_cast<double>(text.size() + 1);
      if (fault == Fault::two && text.empty()) {
        scores.values[m] = std::numeric_limits<double>::infinity();
      }
      if (fault == Fault::three) scores.values[m] += static_cast<double>(++seen_);
      if (fault == Fault::four) {
        scores.per_token.emplace_back(completions.tokens[m].size() / 2, 0.0f);
      }
      mean += scores.values[m] / static_cast<double>(completions.size());
    }
    for (double& value : scores.values) value -= fault == Fault::one ? mean : 0;
  }

 private:
  std::int64_t seen_ = 0;
};

TEST(PlantedFaults, Rewards) {
  for (const char* test :
       {"values", "pure", "singles", "order", "nothing", "without_answers", "same_twice"}) {
    EXPECT_EQ((said_of<Reward, Letters<Fault::none>>(test)), "") << test;
  }
  expect_said(said_of<Reward, Letters<Fault::one>>("singles"), "alone, ");
  expect_said(said_of<Reward, Letters<Fault::two>>("values"),
              "the value of completion 2 is infinite");
  expect_said(said_of<Reward, Letters<Fault::three>>("pure"), "when it is scored again");
  expect_said(said_of<Reward, Letters<Fault::three>>("order"), "in another order");
  expect_said(said_of<Reward, Letters<Fault::four>>("values"), "tokens of completion");
}

}  // namespace
}  // namespace lathe
