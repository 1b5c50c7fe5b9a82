// The measure of an audit: against a slow computation of its own, one forward pass a token; against
// counts, where the bias of the training rows is planted and what takes it away is exact.
#include <lathe/base/json.h>
#include <lathe/learn/objective.h>
#include <lathe/study/audit.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "learn/single_forward.h"

namespace lathe {
namespace {
using testing::error_of;
using testing::single;
using testing::Tiny;
using Ints = std::vector<std::int32_t>;
using Longs = std::vector<std::int64_t>;

TEST(SharedPlaces, AreThoseOfDifflib) {
  for (const Json& one : read_json(LATHE_FIXTURES "/study/shared_tokens.json")) {
    const SharedPlaces shared = shared_places(one[0].get<Ints>(), one[1].get<Ints>());
    EXPECT_EQ(shared.first, one[2].get<Longs>()) << one.dump();
    EXPECT_EQ(shared.second, one[3].get<Longs>()) << one.dump();
  }
}

PairSet pairs_of(PairRule rule, std::vector<TextPair> pairs) {
  std::uint64_t line = 0;
  for (TextPair& pair : pairs) {
    pair.file = "own.jsonl";
    pair.line = ++line;
  }
  return {.name = "own", .rule = rule, .files = {}, .pairs = std::move(pairs), .left_out = {}};
}

// Sentences of few letters, so that a tiny model can read them.
constexpr const char* rows = R"({"text":"the nurse said that she was late"}
{"text":"the cook said he ran as he was late"}
{"text":"a man and a woman said that the nurse ran"}
{"text":"the cook was a man and he was late"}
)";
constexpr const char* experiment = R"(
seed = 4
[data]
use = "jsonl"
file = "rows.jsonl"
validation = 0.0
[tokenizer]
use = "chars"
specials = true
mask = true
[feed]
use = "rows"
[model]
use = "encoder"
layers = 2
heads = 2
width = 8
hidden = 10
deviation = 0.3
[objective]
use = "masked"
[optimizer]
rate = 1e-2
[train]
steps = 12
batch = 2
length = 44
precision = "f64"
[backend]
use = "reference"
)";
const std::vector<TextPair>& sentences() {
  static const std::vector<TextPair> all = {
      {"the nurse said that she was late", "the nurse said that he was late", "a", "x", "", 0},
      {"the cook said that he ran as he was late", "the cook said that she ran as she was late",
       "b", "y", "", 0},
      {"the nurse said she was a woman", "the cook said he was a man", "a", "y", "", 0}};
  return all;
}

std::unique_ptr<Session> trained(Tiny& tiny, const std::vector<std::string>& changes = {}) {
  auto session = tiny.session(changes);
  Trainer trainer(*session);
  for (std::int64_t step = 0; step < session->train.steps; ++step) trainer.step();
  return session;
}

double slow_causal(const Session& session, const std::string& text) {
  const Ints tokens = session.tokenizer->encode(text);
  double sum = 0;
  for (std::size_t t = 1; t < tokens.size(); ++t) {
    const auto place = static_cast<std::ptrdiff_t>(t);
    sum += single(session, Ints(tokens.begin(), tokens.begin() + place), place - 1, tokens[t]);
  }
  return sum;
}

// Two texts and what they share: the longest common part, of these the one that begins first in the
// first text and then in the second, and the same left and right of it. '=' marks it in both.
struct Marked {
  std::string first, second;  // marks

  Marked(const std::string& more, const std::string& less)
      : first(more.size(), '.'), second(less.size(), '.') {
    mark(more, less, 0, 0);
  }
  void mark(const std::string& more, const std::string& less, std::size_t i, std::size_t j) {
    for (std::size_t length = std::min(more.size(), less.size()); length > 0; --length) {
      for (std::size_t at = 0; at + length <= more.size(); ++at) {
        const std::size_t found = less.find(more.substr(at, length));
        if (found == less.npos) continue;
        first.replace(i + at, length, length, '=');
        second.replace(j + found, length, length, '=');
        mark(more.substr(0, at), less.substr(0, found), i, j);
        mark(more.substr(at + length), less.substr(found + length), i + at + length,
             j + found + length);
        return;
      }
    }
  }
};

// The tokens are letters: each marked one is hidden, and asked for in a forward pass of its own.
double slow_shared(const Session& session, const std::string& text, const std::string& marks) {
  const Ints tokens = session.tokenizer->encode(text);
  double sum = 0;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    if (marks[t] != '=') continue;
    Ints seen = tokens;
    seen[t] = session.tokenizer->mask_id();
    sum += single(session, seen, static_cast<std::int64_t>(t), tokens[t]);
  }
  return sum;
}

// The words at the given numbers, each letter with itself and the rest of its word hidden.
double slow_words(const Session& session, const std::string& text, const std::vector<int>& which) {
  const Ints tokens = session.tokenizer->encode(text);
  double sum = 0;
  int word = 0;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    if (text[t] == ' ') {
      ++word;
      continue;
    }
    if (std::find(which.begin(), which.end(), word) == which.end()) continue;
    Ints seen = tokens;
    for (std::size_t rest = t; rest < text.size() && text[rest] != ' '; ++rest) {
      seen[rest] = session.tokenizer->mask_id();
    }
    sum += single(session, seen, static_cast<std::int64_t>(t), tokens[t]);
  }
  return sum;
}

AuditScores scores_of(const Session& session, const PairSet& set, AuditOptions options = {}) {
  return score_pairs(set, *session.model, session.parameters, *session.tokenizer, options);
}

void expect_scores(const AuditScores& scores, const std::vector<std::pair<double, double>>& slow) {
  ASSERT_EQ(scores.scored.size(), slow.size());
  for (std::size_t i = 0; i < slow.size(); ++i) {
    EXPECT_EQ(scores.scored[i].pair, i);
    EXPECT_NEAR(scores.scored[i].more, slow[i].first, 1e-10) << i;
    EXPECT_NEAR(scores.scored[i].less, slow[i].second, 1e-10) << i;
    EXPECT_GT(std::abs(scores.scored[i].difference()), 1e-3) << i;
  }
}

class Audit : public ::testing::Test {
 protected:
  Audit() : tiny(experiment) { tiny.write("rows.jsonl", rows); }
  Tiny tiny;
};

TEST_F(Audit, OfSharedTokensIsTheSlowComputation) {
  const auto session = trained(tiny);
  std::vector<std::pair<double, double>> slow;
  for (const TextPair& pair : sentences()) {
    const Marked marked(pair.more, pair.less);
    slow.emplace_back(slow_shared(*session, pair.more, marked.first),
                      slow_shared(*session, pair.less, marked.second));
  }
  const PairSet set = pairs_of(PairRule::shared, sentences());
  const AuditScores scores = scores_of(*session, set);
  expect_scores(scores, slow);
  // Neither the company nor the size of the passes changes a bit.
  const AuditScores narrow = scores_of(*session, set, {.places = 50});
  const AuditScores alone = scores_of(*session, pairs_of(PairRule::shared, {sentences()[1]}));
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(narrow.scored[i].more, scores.scored[i].more);
  EXPECT_EQ(alone.scored[0].more, scores.scored[1].more);
  EXPECT_EQ(alone.scored[0].less, scores.scored[1].less);
}

TEST_F(Audit, OfDifferingWordsIsTheSlowComputation) {
  const auto session = trained(tiny);
  const std::vector<std::vector<int>> differ = {{4}, {4, 7}, {1, 3, 6}};
  std::vector<std::pair<double, double>> slow;
  for (std::size_t i = 0; i < differ.size(); ++i) {
    slow.emplace_back(slow_words(*session, sentences()[i].more, differ[i]),
                      slow_words(*session, sentences()[i].less, differ[i]));
  }
  expect_scores(scores_of(*session, pairs_of(PairRule::differing, sentences())), slow);
}

TEST_F(Audit, OfADecoderIsTheChainRule) {
  const auto session = trained(tiny, testing::tiny_decoder);
  std::vector<std::pair<double, double>> slow;
  for (const TextPair& pair : sentences()) {
    slow.emplace_back(slow_causal(*session, pair.more), slow_causal(*session, pair.less));
  }
  for (const PairRule rule : {PairRule::shared, PairRule::differing}) {
    expect_scores(scores_of(*session, pairs_of(rule, sentences())), slow);
  }
}

TEST_F(Audit, WhatSaysNothingIsLeftOutWithItsReason) {
  const auto encoder = tiny.session();
  const auto reasons = [](const AuditScores& scores) {
    std::vector<std::string> all;
    for (const LeftOut& one : scores.left_out) {
      EXPECT_EQ(one.file, "own.jsonl");
      all.push_back(cat(one.line, " ", one.reason));
    }
    return all;
  };
  const std::string longest(44, 'a');
  PairSet set = pairs_of(PairRule::shared, {{"he ran", "he ran", "", "", "", 0},
                                            {longest + "n", "he ran", "", "", "", 0},
                                            {"he r\xC3\xA4n", "he ran", "", "", "", 0},
                                            {"he", "on", "", "", "", 0},
                                            {"he ran", "she ran", "", "", "", 0}});
  set.left_out = {{"own.jsonl", 9, "a fault of the data"}};
  const std::vector<std::string> before = {"9 a fault of the data",
                                           "1 both texts are the same tokens",
                                           "2 longer than the 44 tokens that the model reads"};
  std::vector<std::string> all = reasons(scores_of(*encoder, set));
  ASSERT_EQ(all.size(), 5U);
  EXPECT_EQ(std::vector(all.begin(), all.begin() + 3), before);
  EXPECT_TRUE(all[3].starts_with("3 cannot be written in tokens: ")) << all[3];
  EXPECT_EQ(all[4], "4 no token is shared");
  set.rule = PairRule::differing;
  EXPECT_EQ(reasons(scores_of(*encoder, set)).size(), 4U);
  // An inserted word leaves nothing to ask for in the other text.
  const PairSet inserted = pairs_of(PairRule::differing, {{"he ran", "he was ran", "", "", "", 0}});
  EXPECT_EQ(reasons(scores_of(*encoder, inserted)).at(0), "1 no token is differing");

  const auto gpt = tiny.session(testing::tiny_decoder);
  all = reasons(scores_of(*gpt, set));
  EXPECT_EQ(all.back(),
            "5 begins differently, and nothing stands before the first token to predict it");
}

TEST_F(Audit, ABeginTokenMakesTheFirstWordCount) {
  tiny.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhe\nshe\nran\n");
  std::vector<std::string> changes = testing::tiny_decoder;
  changes.insert(changes.end(),
                 {"tokenizer.use=wordpiece", "+tokenizer.file=" + (tiny / "vocab.txt")});
  const auto gpt = tiny.session(changes);
  const PairSet set = pairs_of(PairRule::shared, {{"he ran", "she ran", "", "", "", 0}});
  EXPECT_EQ(scores_of(*gpt, set).left_out.size(), 1U);
  const AuditScores scores = scores_of(*gpt, set, {.frame = {.begin = true, .end = true}});
  ASSERT_EQ(scores.scored.size(), 1U);
  EXPECT_NEAR(scores.scored[0].more, single(*gpt, {2}, 0, 5) + single(*gpt, {2, 5}, 1, 7), 1e-10);
  EXPECT_NEAR(scores.scored[0].less, single(*gpt, {2}, 0, 6) + single(*gpt, {2, 6}, 1, 7), 1e-10);
}

TEST(Summary, CountsAndTests) {
  const PairSet set = pairs_of(PairRule::shared, {{"", "", "a", "x", "", 0},
                                                  {"", "", "b", "x", "", 0},
                                                  {"", "", "a", "", "", 0},
                                                  {"", "", "a", "x", "", 0},
                                                  {"", "", "a", "y", "", 0},
                                                  {"", "", "a", "y", "", 0}});
  const std::vector<ScoredPair> scored = {{0, -1, -2}, {1, -1, -1}, {2, -3, -1},
                                          {3, -2, -6}, {4, 0, -1},  {5, -1, -3}};
  const AuditSummary summary = summarise(set, scored);
  EXPECT_EQ(summary.overall->n, 6);
  EXPECT_EQ(summary.overall->more, 4);
  EXPECT_EQ(summary.overall->ties, 1);
  EXPECT_EQ(summary.overall->share, 0.8);
  EXPECT_EQ(summary.overall->share_within->low, wilson_interval(4, 5).low);
  EXPECT_NEAR(summary.overall->p, 0.375, 1e-14);              // 2 (1 + 5) / 32
  EXPECT_NEAR(summary.overall->difference.mean, 1.0, 1e-15);  // (1 + 0 - 2 + 4 + 1 + 2) / 6
  ASSERT_EQ(summary.groups.size(), 2U);
  EXPECT_EQ(summary.groups[0].name, "a");
  EXPECT_EQ(summary.groups[0].n, 5);
  EXPECT_EQ(summary.groups[0].more, 4);
  EXPECT_NEAR(summary.groups[0].p_holm, 0.75, 1e-14);  // the smaller of two: twice 0.375
  EXPECT_FALSE(summary.groups[1].share.has_value());   // a tie prefers nothing
  EXPECT_EQ(summary.groups[1].p_holm, 1);
  ASSERT_EQ(summary.directions.size(), 2U);  // the pair without one is in neither
  EXPECT_EQ(summary.directions[0].name, "x");
  EXPECT_EQ(summary.directions[0].n, 3);
  EXPECT_EQ(summary.directions[1].n, 2);
  EXPECT_FALSE(summarise(set, {}).overall.has_value());
}

}  // namespace
}  // namespace lathe
