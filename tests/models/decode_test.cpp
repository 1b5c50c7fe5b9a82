// Decoding through the cache gives the very bits of a full pass, whatever shares the batch.
#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/learn/generation.h>

#include <bit>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::Tiny;
using Ids = std::vector<std::int32_t>;
using Bits = std::vector<std::uint64_t>;

constexpr std::int64_t longest = 75;  // beyond one block of keys

// Untrained but stirred, so that the logits spread and no two tokens tie.
std::unique_ptr<Session> session_of(Tiny& tiny, const std::vector<std::string>& options) {
  std::vector<std::string> changes = {"model.width=60",      "model.heads=4",   "model.hidden=100",
                                      "model.deviation=0.2", "train.length=80", "train.batch=1",
                                      "data.digits=2"};
  changes.insert(changes.end(), options.begin(), options.end());
  return tiny.session(changes);
}

Ids tokens_of(const Session& session, std::int64_t count, std::uint64_t seed) {
  const RandomStream random(seed, "tokens");
  Ids tokens;
  for (std::int64_t t = 0; t < count; ++t) {
    tokens.push_back(static_cast<std::int32_t>(random.below(
        static_cast<std::uint64_t>(session.tokenizer->size()), static_cast<std::uint64_t>(t))));
  }
  return tokens;
}

struct Pass {
  Ids tokens;
  Ids positions;
  Ids segments;  // or none
  std::int64_t rows = 1;
  KeyValueCache* cache = nullptr;
};

// The bits of the logits, one row of V a place.
std::vector<Bits> logits(const Session& session, const Pass& pass) {
  const NoGradient silent;
  const auto& backend = session.backend;
  const auto count = static_cast<std::int64_t>(pass.tokens.size());
  ModelInput input;
  input.tokens = Tensor::of<std::int32_t>(backend, {count}, pass.tokens);
  input.places = {.rows = pass.rows,
                  .length = count / pass.rows,
                  .positions = Tensor::of<std::int32_t>(backend, {count}, pass.positions),
                  .segments = {},
                  .cache = pass.cache};
  if (!pass.segments.empty()) {
    input.places.segments =
        Tensor::of<std::int32_t>(backend, {pass.rows, count / pass.rows}, pass.segments);
  }
  const Tensor all = linear(session.model->hidden(input), session.model->head().value);
  const std::vector<double> values = all.values();
  const auto width = static_cast<std::size_t>(all.size(1));
  std::vector<Bits> bits(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    bits[i / width].push_back(std::bit_cast<std::uint64_t>(values[i]));
  }
  return bits;
}

Ids counting(std::int64_t count, std::int32_t from = 0) {
  Ids all;
  for (std::int32_t i = 0; i < count; ++i) all.push_back(from + i);
  return all;
}

std::vector<Bits> full(const Session& session, const Ids& tokens) {
  return logits(session, {.tokens = tokens,
                          .positions = counting(static_cast<std::int64_t>(tokens.size())),
                          .segments = {}});
}

Pass joined(const std::vector<Pass>& rows) {
  Pass all{.tokens = {}, .positions = {}, .segments = {}};
  all.rows = 0;
  for (const Pass& row : rows) {
    all.tokens.insert(all.tokens.end(), row.tokens.begin(), row.tokens.end());
    all.positions.insert(all.positions.end(), row.positions.begin(), row.positions.end());
    all.segments.insert(all.segments.end(), row.segments.begin(), row.segments.end());
    ++all.rows;
  }
  return all;
}

// The row among others of the batch, once alone in its row, once packed and padded.
void expect_no_influence_of_the_batch(const Session& session) {
  const Ids own = tokens_of(session, longest, 1);
  const std::vector<Bits> alone = full(session, own);
  const Pass row{.tokens = own, .positions = counting(longest), .segments = {}};
  const Pass other{
      .tokens = tokens_of(session, longest, 2), .positions = counting(longest), .segments = {}};
  for (const bool first : {true, false}) {
    const auto both = logits(session, first ? joined({row, other}) : joined({other, row, other}));
    const std::size_t begin = first ? 0 : longest;
    for (std::size_t t = 0; t < longest; ++t) {
      ASSERT_EQ(both[begin + t], alone[t]) << "beside another row, t = " << t;
    }
  }
  for (const std::int64_t length : {1, 7, 33, 64, 70}) {
    Pass padded{.tokens = Ids(own.begin(), own.begin() + length),
                .positions = counting(length),
                .segments = Ids(static_cast<std::size_t>(length), 0)};
    padded.tokens.resize(80, 0);
    padded.positions.resize(80, 0);
    padded.segments.resize(80, -1);
    const auto with_padding = logits(session, padded);
    for (std::size_t t = 0; t < static_cast<std::size_t>(length); ++t) {
      ASSERT_EQ(with_padding[t], alone[t]) << length << " of 80 places, t = " << t;
    }
  }
}

// Token by token, three rows at three places of their own.
void expect_cache_of_full_pass(const Session& session) {
  const std::vector<std::int64_t> prompts = {1, 12, 30};
  KeyValueCache cache =
      session.model->make_cache(session.backend, activation_type(session.parameters.precision()),
                                static_cast<std::int64_t>(prompts.size()), 80);
  std::vector<Ids> tokens;
  std::vector<std::vector<Bits>> expected;
  for (std::size_t r = 0; r < prompts.size(); ++r) {
    tokens.push_back(tokens_of(session, longest, 10 + r));
    expected.push_back(full(session, tokens[r]));
    KeyValueCache own;
    for (const LayerCache& layer : cache.layers) {
      const auto at = static_cast<std::int64_t>(r);
      own.layers.push_back(
          {Tensor(layer.keys.storage(), sliced(layer.keys.view(), 0, at, at + 1)),
           Tensor(layer.values.storage(), sliced(layer.values.view(), 0, at, at + 1))});
    }
    own.lengths = Tensor::zeros(session.backend, {1}, DType::i32);
    const auto prompt =
        logits(session, {.tokens = Ids(tokens[r].begin(), tokens[r].begin() + prompts[r]),
                         .positions = counting(prompts[r]),
                         .segments = {},
                         .cache = &own});
    for (std::size_t t = 0; t < prompt.size(); ++t) {
      ASSERT_EQ(prompt[t], expected[r][t]) << "prompt " << r << ", t = " << t;
    }
  }
  for (std::int64_t step = 0; step < longest - 30; ++step) {
    Pass pass{.tokens = {}, .positions = {}, .segments = {}, .rows = 3, .cache = &cache};
    for (std::size_t r = 0; r < prompts.size(); ++r) {
      pass.positions.push_back(static_cast<std::int32_t>(prompts[r] + step));
      pass.tokens.push_back(tokens[r][static_cast<std::size_t>(prompts[r] + step)]);
    }
    cache.lengths = Tensor::of<std::int32_t>(session.backend, {3}, pass.positions);
    const auto decoded = logits(session, pass);
    for (std::size_t r = 0; r < prompts.size(); ++r) {
      ASSERT_EQ(decoded[r], expected[r][static_cast<std::size_t>(prompts[r] + step)])
          << "row " << r << ", t = " << prompts[r] + step;
    }
  }
}

const std::vector<std::vector<std::string>> kinds = {
    {},
    {"train.precision=bf16"},
    {"model.positions=rotary", "model.key_heads=2", "model.width=64"},
    {"model.positions=rotary", "model.key_heads=1", "train.precision=bf16", "model.width=64",
     "model.activation=swiglu", "model.norm=rms"}};

TEST(Decode, NeitherBatchNorPaddingChangesABit) {
  Tiny tiny(testing::tiny_sums);
  for (const auto& kind : kinds) {
    SCOPED_TRACE(kind.empty() ? "plain" : kind[0]);
    expect_no_influence_of_the_batch(*session_of(tiny, kind));
  }
}

TEST(Decode, TheCacheChangesNoBit) {
  Tiny tiny(testing::tiny_sums);
  for (const auto& kind : kinds) {
    SCOPED_TRACE(kind.empty() ? "plain" : kind[0]);
    expect_cache_of_full_pass(*session_of(tiny, kind));
  }
}

GenerationOptions wishes(const char* text) { return GenerationOptions(parse_toml(text, "test")); }

void expect_equal(const Completion& one, const Completion& other) {
  EXPECT_EQ(one.tokens, other.tokens);
  EXPECT_EQ(one.text, other.text);
  EXPECT_EQ(one.log_probabilities, other.log_probabilities);
  EXPECT_EQ(one.sampled_log_probabilities, other.sampled_log_probabilities);
}

TEST(Decode, ABatchIsItsPrompts) {
  Tiny tiny(testing::tiny_sums);
  for (const auto& kind : kinds) {
    const auto session = session_of(tiny, kind);
    const Generator generator(*session->model, session->parameters, *session->tokenizer);
    std::vector<Ids> prompts;
    for (const std::int64_t length : {3, 41, 1, 17}) {
      prompts.push_back(tokens_of(*session, length, static_cast<std::uint64_t>(length)));
    }
    const auto greedy = wishes("temperature = 0.0\ntokens = 30\nstop_at_end = false");
    const auto drawn = wishes("temperature = 1.2\ntop_p = 0.9\ntokens = 30");
    const auto all = generator.complete(prompts, greedy, 1);
    const auto all_drawn = generator.complete(prompts, drawn, 1);
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      expect_equal(generator.complete({prompts[i]}, greedy, 1)[0], all[i]);
      std::vector<Ids> others(i, Ids{2, 1});  // other company, the same number
      others.push_back(prompts[i]);
      expect_equal(generator.complete(others, drawn, 1)[i], all_drawn[i]);
    }
  }
}

// The newer half of a full context is read anew; each token is that of a full pass over what the
// model can see.
TEST(Decode, SlidesByHalfAContext) {
  Tiny tiny(testing::tiny_sums);
  const auto session = session_of(tiny, {"train.length=12", "model.positions=learned"});
  const Generator generator(*session->model, session->parameters, *session->tokenizer);
  const Ids prompt = tokens_of(*session, 9, 3);
  const auto done = generator.complete(
      {prompt}, wishes("temperature = 0.0\ntokens = 40\nstop_at_end = false"), 1)[0];
  ASSERT_EQ(done.tokens.size(), 40u);
  Ids visible = prompt;
  for (const std::int32_t token : done.tokens) {
    if (visible.size() > 12) visible.erase(visible.begin(), visible.end() - 6);
    const std::vector<float> next = generator.next_logits(visible);
    EXPECT_EQ(std::max_element(next.begin(), next.end()) - next.begin(), token);
    visible.push_back(token);
  }
}

}  // namespace
}  // namespace lathe
