// Collects whole episodes of an environment of tokens: the state is the prefix, an action is the
// next token, and the policy writes through the same cached passes as generation.
#pragma once

#include <lathe/learn/feed.h>
#include <lathe/learn/sampling.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace lathe {

class TextCollector {
 public:
  // `group` neighbouring rows begin the same episode.
  TextCollector(const FeedContext& context, std::int64_t rows, std::int64_t group);

  // One episode in each row. Row b: the prompt, then what was written; the place before each
  // written token has that token as target and weight 1. The last token stands in the row without
  // a target, so that the value of the whole text can be asked for.
  Batch collect(const ActingRule& rule);
  // Episodes number 0 ... count-1; only their metrics are kept.
  std::vector<Metric> play(std::int64_t count, const ActingRule& rule);
  // This one episode, in every row.
  Batch perform(std::uint64_t episode, const ActingRule& rule);

  std::int64_t actions_taken() const { return actions_taken_; }
  void save(State& state) const;
  void load(const State& state);

 private:
  struct Episode;
  Batch write(const std::vector<std::uint64_t>& episodes, const ActingRule& rule,
              const RandomStream& random);
  void take(const std::vector<std::vector<Choice>>& written, std::size_t i, std::int64_t capacity,
            std::vector<Episode>& episodes, Actions& actions, Outcomes& outcomes,
            Observations& now);
  Batch assembled(const std::vector<Episode>& episodes) const;

  FeedContext context_;
  std::int64_t rows_;
  std::int64_t group_;
  std::unique_ptr<Environment> environment_;
  std::int64_t collections_ = 0;
  std::int64_t actions_taken_ = 0;
};

}  // namespace lathe
