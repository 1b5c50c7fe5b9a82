// Writing text, with a model whose next token is known: hidden state = one-hot of the last token,
// head [j, i] = logit of token j after token i.
#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/learn/generation.h>
#include <lathe/text/chars.h>

#include <cmath>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::error_of;
using Ids = std::vector<std::int32_t>;

class Markov final : public Model {
 public:
  Markov(std::int64_t vocabulary, std::int64_t context)
      : vocabulary_(vocabulary), context_(context) {}

  void build(Parameters& parameters, const ModelFit&) override {
    table_ = &parameters.matrix("table", {vocabulary_, vocabulary_}, Initial::zeros());
    head_ = &parameters.matrix("head", {vocabulary_, vocabulary_}, Initial::zeros());
  }
  Tensor hidden(const ModelInput& input) const override {
    return embedding(input.tokens, table_->value);
  }
  const Parameter& head() const override { return *head_; }
  std::int64_t context() const override { return context_; }
  KeyValueCache make_cache(const std::shared_ptr<Backend>&, DType, std::int64_t,
                           std::int64_t) const override {
    return {};
  }

 private:
  std::int64_t vocabulary_, context_;
  Parameter* table_ = nullptr;
  Parameter* head_ = nullptr;
};

// After 'a' comes 'b', ..., after 'j' the end token; the other logits are random and small.
class Generation : public ::testing::Test {
 protected:
  explicit Generation(std::int64_t context = 64)
      : registry_(testing::built_plugins()),
        tokenizer_(U"abcdefghij", true),
        model_(tokenizer_.size(), context) {
    model_.build(parameters_, {});
    parameters_.allocate(std::shared_ptr<Backend>(registry_.create<Backend>("reference", Config())),
                         Precision::f32, 0);
    const std::int64_t size = tokenizer_.size();
    auto* table = parameters_.find("table")->master.view().as<float>();
    head_ = parameters_.find("head")->master.view().as<float>();
    const RandomStream random(1, "markov");
    for (std::int64_t i = 0; i < size; ++i) {
      table[i * size + i] = 1;
      for (std::int64_t j = 0; j < size; ++j) {
        head_[j * size + i] = random.uniform(static_cast<std::uint64_t>(j * size + i));
      }
      head_[(i + 1) % size * size + i] = 3;
    }
  }

  std::vector<Completion> write(const std::vector<std::string>& prompts, const std::string& options,
                                std::uint64_t seed = 0,
                                const Generator::Listener& listener = {}) const {
    std::vector<Ids> ids;
    for (const std::string& prompt : prompts) ids.push_back(tokenizer_.encode(prompt));
    const Generator generator(model_, parameters_, tokenizer_);
    return generator.complete(ids, GenerationOptions(parse_toml(options, "test")), seed, listener);
  }

  double log_probability(std::int32_t before, std::int32_t token) const {
    const std::int64_t size = tokenizer_.size();
    double sum = 0;
    for (std::int64_t j = 0; j < size; ++j) {
      sum += std::exp(static_cast<double>(head_[j * size + before]));
    }
    return static_cast<double>(head_[token * size + before]) - std::log(sum);
  }

  Registry registry_;
  CharsTokenizer tokenizer_;
  Markov model_;
  Parameters parameters_;
  float* head_ = nullptr;
};

const std::string greedy = "temperature = 0.0\n";

TEST_F(Generation, WritesTheMostLikely) {
  const auto done = write({"a", "cd"}, greedy + "tokens = 4");
  EXPECT_EQ(done[0].text, "bcde");
  EXPECT_EQ(done[0].reason, Completion::Reason::length);
  EXPECT_EQ(done[1].text, "efgh");
  Ids all = tokenizer_.encode("abcde");
  EXPECT_EQ(done[0].tokens, Ids(all.begin() + 1, all.end()));
  double sum = 0, expected = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    sum += done[0].log_probabilities[i];
    expected += log_probability(all[i], all[i + 1]);
    EXPECT_EQ(done[0].sampled_log_probabilities[i], 0);
  }
  EXPECT_NEAR(sum, expected, 1e-6);
}

TEST_F(Generation, StopsAtTheEndToken) {
  const auto done = write({"h"}, greedy + "tokens = 9");
  EXPECT_EQ(done[0].text, "ij");
  EXPECT_EQ(done[0].reason, Completion::Reason::end);
  EXPECT_EQ(done[0].tokens, (Ids{8, 9, tokenizer_.end_id()}));
  EXPECT_EQ(done[0].log_probabilities.size(), 3u);
  const auto on = write({"h"}, greedy + "tokens = 5\nstop_at_end = false");
  EXPECT_EQ(on[0].tokens.size(), 5u);
  EXPECT_EQ(on[0].reason, Completion::Reason::length);
}

TEST_F(Generation, StopsAtTextsThatSpanTokens) {
  EXPECT_EQ(write({"a"}, greedy + "tokens = 9\nstop = [\"def\"]")[0].text, "bc");
  EXPECT_EQ(write({"a"}, greedy + "tokens = 9\nstop = [\"def\"]")[0].reason,
            Completion::Reason::stop);
  EXPECT_EQ(write({"a"}, greedy + "tokens = 9\nstop = [\"fg\", \"de\"]")[0].text, "bc");
  EXPECT_EQ(write({"a"}, greedy + "tokens = 9\nstop = [\"cdef\", \"def\", \"f\"]")[0].text, "b");
  EXPECT_EQ(write({"a"}, greedy + "tokens = 3\nstop = [\"def\"]")[0].text, "bcd");
  EXPECT_EQ(write({"ab"}, greedy + "tokens = 3\nstop = [\"abc\"]")[0].text, "cde");  // prompt: no
}

// What could become a stop text is not shown before it is known.
TEST_F(Generation, HoldsBackWhileStreaming) {
  const auto heard = [&](const std::string& options) {
    std::vector<std::string> pieces;
    write({"a"}, greedy + options, 0,
          [&](std::size_t, std::string_view text) { pieces.emplace_back(text); });
    return pieces;
  };
  using Pieces = std::vector<std::string>;
  EXPECT_EQ(heard("tokens = 4"), (Pieces{"b", "c", "d", "e"}));
  EXPECT_EQ(heard("tokens = 6\nstop = [\"def\"]"), (Pieces{"b", "c"}));
  EXPECT_EQ(heard("tokens = 5\nstop = [\"dex\"]"), (Pieces{"b", "c", "def"}));
  EXPECT_EQ(heard("tokens = 3\nstop = [\"def\"]"), (Pieces{"b", "c", "d"}));
}

TEST_F(Generation, DependsOnTheSeedAlone) {
  const std::string options = "tokens = 30\nstop_at_end = false\ntemperature = 1.5";
  const auto one = write({"a", "b"}, options, 5), same = write({"a", "b"}, options, 5);
  EXPECT_EQ(one[0].tokens, same[0].tokens);
  EXPECT_EQ(one[1].tokens, same[1].tokens);
  EXPECT_NE(one[0].tokens, one[1].tokens);
  EXPECT_NE(one[0].tokens, write({"a", "b"}, options, 6)[0].tokens);
  EXPECT_EQ(one[1].tokens, write({"efgh", "b", "c"}, options, 5)[1].tokens);
  for (std::size_t i = 1; i < 30; ++i) {
    EXPECT_NEAR(one[0].log_probabilities[i],
                log_probability(one[0].tokens[i - 1], one[0].tokens[i]), 1e-6);
  }
}

TEST_F(Generation, OfNothing) {
  EXPECT_TRUE(write({}, "").empty());
  EXPECT_EQ(write({"a"}, "tokens = 0")[0].text, "");
  EXPECT_EQ(error_of([&] {
              write({"a", ""}, "");
            }),
            "a prompt has no tokens: begin with at least one character");
}

class ShortGeneration : public Generation {
 protected:
  ShortGeneration() : Generation(6) {}
};

// With 6 places, the last token that can be fed is the sixth; one more is written after it.
TEST_F(ShortGeneration, StopsWhenTheContextIsFull) {
  const auto done = write({"abcd", "a"}, greedy + "tokens = 5\noverflow = \"stop\"");
  EXPECT_EQ(done[0].text, "efg");
  EXPECT_EQ(done[0].reason, Completion::Reason::context);
  EXPECT_EQ(done[1].text, "bcdef");
  EXPECT_EQ(done[1].reason, Completion::Reason::length);
  const std::string message =
      error_of([&] { write({"abcdefg"}, "tokens = 1\noverflow = \"stop\""); });
  EXPECT_EQ(message,
            "a prompt of 7 tokens is longer than the context of 6; shorten it, or set overflow = "
            "\"slide\"");
}

TEST_F(ShortGeneration, SlidesOn) {
  const auto done = write({"ab"}, greedy + "tokens = 8");
  EXPECT_EQ(done[0].text, "cdefghij");
  EXPECT_EQ(write({"abcdefgh"}, greedy + "tokens = 2")[0].text, "ij");
}

}  // namespace
}  // namespace lathe
