#include <lathe/base/error.h>
#include <lathe/study/audit.h>

#include <algorithm>
#include <map>
#include <numeric>

namespace lathe {
namespace {

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }
std::int64_t length_of(std::span<const std::int32_t> tokens) { return std::ssize(tokens); }

struct Run {
  std::int64_t first = 0, second = 0, length = 0;
};

// The longest run in both parts, the earliest one in `first`, then in `second`.
Run longest_run(std::span<const std::int32_t> first, std::span<const std::int32_t> second) {
  Run best;
  std::vector<std::int64_t> before(second.size() + 1), now(second.size() + 1);
  for (std::int64_t i = 0; i < length_of(first); ++i) {
    for (std::int64_t j = 0; j < length_of(second); ++j) {
      // Length of the run that ends at (i, j).
      now[at(j) + 1] = first[at(i)] == second[at(j)] ? before[at(j)] + 1 : 0;
      if (now[at(j) + 1] > best.length) {
        best = {i + 1 - now[at(j) + 1], j + 1 - now[at(j) + 1], now[at(j) + 1]};
      }
    }
    std::swap(before, now);
  }
  return best;
}

void add_shared(std::span<const std::int32_t> first, std::span<const std::int32_t> second,
                std::int64_t first_begin, std::int64_t second_begin, SharedPlaces& shared) {
  const Run run = longest_run(first, second);
  if (run.length == 0) return;
  add_shared(first.first(at(run.first)), second.first(at(run.second)), first_begin, second_begin,
             shared);
  for (std::int64_t i = 0; i < run.length; ++i) {
    shared.first.push_back(first_begin + run.first + i);
    shared.second.push_back(second_begin + run.second + i);
  }
  const std::int64_t first_end = run.first + run.length;
  const std::int64_t second_end = run.second + run.length;
  add_shared(first.subspan(at(first_end)), second.subspan(at(second_end)), first_begin + first_end,
             second_begin + second_end, shared);
}

// A text as numbers of its words, and the tokens of each word.
struct Words {
  std::vector<std::int32_t> ids;
  std::vector<std::vector<std::int64_t>> places;
};

Words words_in(std::span<const std::int32_t> tokens, const Tokenizer& tokenizer,
               std::map<std::vector<std::int32_t>, std::int32_t>& numbers) {
  Words words;
  std::vector<std::vector<std::int32_t>> spelled;
  for (std::int64_t t = 0; t < length_of(tokens); ++t) {
    if (t == 0 || tokenizer.begins_word(tokens[at(t) - 1], tokens[at(t)])) {
      words.places.emplace_back();
      spelled.emplace_back();
    }
    words.places.back().push_back(t);
    spelled.back().push_back(tokens[at(t)]);
  }
  for (const std::vector<std::int32_t>& word : spelled) {
    words.ids.push_back(
        numbers.emplace(word, static_cast<std::int32_t>(numbers.size())).first->second);
  }
  return words;
}

// The tokens of the words that are not among the shared ones.
std::vector<std::int64_t> other_tokens(const Words& words,
                                       const std::vector<std::int64_t>& shared) {
  std::vector<std::int64_t> places;
  for (std::int64_t w = 0; w < std::ssize(words.places); ++w) {
    if (std::binary_search(shared.begin(), shared.end(), w)) continue;
    places.insert(places.end(), words.places[at(w)].begin(), words.places[at(w)].end());
  }
  return places;
}

// Makes the two rows of a pair, or tells why it says nothing.
class RowMaker {
 public:
  RowMaker(const Model& model, const Tokenizer& tokenizer, PairRule rule, const TextFrame& frame)
      : model_(model), tokenizer_(tokenizer), rule_(rule), frame_(frame) {
    framed({}, frame, tokenizer);  // an Error where the tokenizer lacks such a token
  }

  // The reason why the pair is left out; "" where rows were made.
  std::string make(const TextPair& pair, LikelihoodRow& more, LikelihoodRow& less) const {
    try {
      more.tokens = framed(tokenizer_.encode(pair.more), frame_, tokenizer_);
      less.tokens = framed(tokenizer_.encode(pair.less), frame_, tokenizer_);
    } catch (const Error& error) {
      return cat("cannot be written in tokens: ", error.what());
    }
    for (const LikelihoodRow* row : {&more, &less}) {
      const std::int64_t context = model_.context();
      if (context > 0 && length_of(row->tokens) > context) {
        return cat("longer than the ", context, " tokens that the model reads");
      }
    }
    if (more.tokens == less.tokens) return "both texts are the same tokens";
    if (model_.causal()) return whole(more, less);
    return rule_ == PairRule::shared ? shared(more, less) : differing(more, less);
  }

 private:
  std::string whole(LikelihoodRow& more, LikelihoodRow& less) const {
    if (!frame_.begin && (more.tokens.empty() || less.tokens.empty() ||
                          more.tokens.front() != less.tokens.front())) {
      return "begins differently, and nothing stands before the first token to predict it";
    }
    for (LikelihoodRow* row : {&more, &less}) {
      row->places = places_of_text(row->tokens, tokenizer_, true);
    }
    return asked_of(more, less);
  }

  std::string shared(LikelihoodRow& more, LikelihoodRow& less) const {
    const SharedPlaces both = shared_places(more.tokens, less.tokens);
    more.places = both.first;
    less.places = both.second;
    return asked_of(more, less);
  }

  std::string differing(LikelihoodRow& more, LikelihoodRow& less) const {
    std::map<std::vector<std::int32_t>, std::int32_t> numbers;
    const Words first = words_in(more.tokens, tokenizer_, numbers);
    const Words second = words_in(less.tokens, tokenizer_, numbers);
    const SharedPlaces both = shared_places(first.ids, second.ids);
    more.places = other_tokens(first, both.first);
    less.places = other_tokens(second, both.second);
    return asked_of(more, less);
  }

  std::string asked_of(LikelihoodRow& more, LikelihoodRow& less) const {
    for (LikelihoodRow* row : {&more, &less}) {
      std::erase_if(row->places, [&](std::int64_t place) {
        return tokenizer_.is_special(row->tokens[at(place)]);
      });
      if (row->places.empty()) return cat("no token is ", name_of(rule_));
    }
    return "";
  }

  const Model& model_;
  const Tokenizer& tokenizer_;
  PairRule rule_;
  TextFrame frame_;
};

GroupSummary summary_of(const std::string& name, std::span<const ScoredPair> scored) {
  GroupSummary summary;
  summary.name = name;
  std::vector<double> differences;
  for (const ScoredPair& pair : scored) {
    differences.push_back(pair.difference());
    summary.more += pair.difference() > 0 ? 1 : 0;
    summary.ties += pair.difference() == 0 ? 1 : 0;
  }
  summary.n = std::ssize(scored);
  const std::int64_t decided = summary.n - summary.ties;
  if (decided > 0) {
    summary.share = static_cast<double>(summary.more) / static_cast<double>(decided);
    summary.share_within = wilson_interval(summary.more, decided);
  }
  summary.p = summary.p_holm = sign_test(summary.more, decided);
  summary.difference = mean_estimate(differences);
  return summary;
}

std::vector<GroupSummary> summaries_by(const PairSet& set, std::span<const ScoredPair> scored,
                                       const std::string TextPair::*name) {
  std::map<std::string, std::vector<ScoredPair>> parts;
  for (const ScoredPair& pair : scored) parts[set.pairs[pair.pair].*name].push_back(pair);
  parts.erase("");
  std::vector<GroupSummary> summaries;
  std::vector<double> p;
  for (const auto& [part, pairs] : parts) {
    summaries.push_back(summary_of(part, pairs));
    p.push_back(summaries.back().p);
  }
  const std::vector<double> corrected = holm(p);
  for (std::size_t i = 0; i < summaries.size(); ++i) summaries[i].p_holm = corrected[i];
  return summaries;
}

}  // namespace

SharedPlaces shared_places(std::span<const std::int32_t> first,
                           std::span<const std::int32_t> second) {
  SharedPlaces shared;
  add_shared(first, second, 0, 0, shared);
  return shared;
}

AuditScores score_pairs(const PairSet& set, const Model& model, const Parameters& parameters,
                        const Tokenizer& tokenizer, const AuditOptions& options,
                        const std::function<void(std::int64_t, std::int64_t)>& heard) {
  AuditScores scores{.scored = {}, .left_out = set.left_out};
  const RowMaker maker(model, tokenizer, set.rule, options.frame);
  std::vector<LikelihoodRow> rows;
  std::int64_t asked = 0;
  for (std::size_t i = 0; i < set.pairs.size(); ++i) {
    LikelihoodRow more, less;
    const std::string reason = maker.make(set.pairs[i], more, less);
    if (!reason.empty()) {
      scores.left_out.push_back({set.pairs[i].file, set.pairs[i].line, reason});
      continue;
    }
    scores.scored.push_back({.pair = i});
    asked += std::ssize(more.places) + std::ssize(less.places);
    rows.push_back(std::move(more));
    rows.push_back(std::move(less));
  }
  if (heard && asked > 0) heard(0, asked);
  LikelihoodOptions with;
  with.word_left_to_right = !model.causal() && set.rule == PairRule::differing;
  with.places = options.places;
  const auto values = Likelihood(model, parameters, tokenizer, with)
                          .log_probabilities(rows, [&](std::int64_t done) {
                            if (heard) heard(done, asked);
                          });
  for (std::size_t i = 0; i < scores.scored.size(); ++i) {
    const auto sum = [](const std::vector<double>& some) {
      return std::accumulate(some.begin(), some.end(), 0.0);
    };
    scores.scored[i].more = sum(values[2 * i]);
    scores.scored[i].less = sum(values[2 * i + 1]);
  }
  return scores;
}

AuditSummary summarise(const PairSet& set, std::span<const ScoredPair> scored) {
  AuditSummary summary;
  if (scored.empty()) return summary;
  summary.overall = summary_of("all", scored);
  summary.groups = summaries_by(set, scored, &TextPair::group);
  summary.directions = summaries_by(set, scored, &TextPair::direction);
  return summary;
}

}  // namespace lathe
