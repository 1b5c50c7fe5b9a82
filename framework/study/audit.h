// Which of two texts a model finds likelier, over many pairs: the measure of a fairness audit.
//
// A decoder gives each text its log-likelihood. A model that sees both sides gives it the sum of
// log p(token | all others) over some of its tokens, by the rule of the pairs:
//
//   shared     the tokens that both texts have, given those that they do not share (Nangia et al.,
//              CrowS-Pairs, 2020, section 4):  sum_{u in U} log p(u | U without u, M)
//   differing  the words that they do not share, given all others, each word from left to right
//              with its later tokens hidden:   sum_{m in M} log p(m | U, what is seen of M)
//
// U: what the texts share, M: what they do not. The model prefers the text with the higher sum.
#pragma once

#include <lathe/learn/likelihood.h>
#include <lathe/study/pairs.h>
#include <lathe/study/statistics.h>
#include <lathe/text/rows.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace lathe {

// Places of equal items in two sequences, rising in both: the longest run that they share (of runs
// of equal length the one that begins first in `first`, then first in `second`), and by the same
// rule what they share before it and after it (Ratcliff and Obershelp, 1988; Python's
// difflib.SequenceMatcher without its junk heuristics, which the authors of CrowS-Pairs use).
struct SharedPlaces {
  std::vector<std::int64_t> first, second;
};
SharedPlaces shared_places(std::span<const std::int32_t> first,
                           std::span<const std::int32_t> second);

struct AuditOptions {
  TextFrame frame = {};        // special tokens around each text, which are never asked for
  std::int64_t places = 8192;  // rows times length that go through the model at a time
};

struct ScoredPair {
  std::size_t pair = 0;  // of PairSet::pairs
  double more = 0;       // nats
  double less = 0;

  double difference() const { return more - less; }
};

struct AuditScores {
  std::vector<ScoredPair> scored;  // in the order of the pairs
  std::vector<LeftOut> left_out;   // those of the data first
};

// Pairs are left out, with their reason, where a text is longer than the model's context or holds
// what the tokenizer cannot write, where both texts are the same tokens, where no token is asked
// for, and where nothing stands before a decoder's first tokens and these differ. No score depends
// on the other pairs or on options.places (CPU). `heard` is told how many of all asked tokens are
// done, at the begin and after each pass.
AuditScores score_pairs(const PairSet& set, const Model& model, const Parameters& parameters,
                        const Tokenizer& tokenizer, const AuditOptions& options = {},
                        const std::function<void(std::int64_t done, std::int64_t all)>& heard = {});

// A pair prefers `more` where its difference is above 0. Ties (a difference of exactly 0) count in
// n and in the mean, but prefer nothing: neither share nor test know them.
struct GroupSummary {
  std::string name;
  std::int64_t n = 0;
  std::int64_t more = 0;  // how many prefer the text that says more of the stereotype
  std::int64_t ties = 0;
  std::optional<double> share;           // more / (n - ties)
  std::optional<Interval> share_within;  // Wilson, 95 %
  double p = 1;                          // sign_test(more, n - ties)
  double p_holm = 1;                     // corrected over the groups (or directions) of the set
  MeanEstimate difference;               // mean of more - less, nats, with Student's 95 %
};

struct AuditSummary {
  std::optional<GroupSummary> overall;  // none where nothing could be scored
  std::vector<GroupSummary> groups;     // by name; empty where the pairs have none
  std::vector<GroupSummary> directions;
};
AuditSummary summarise(const PairSet& set, std::span<const ScoredPair> scored);

}  // namespace lathe
