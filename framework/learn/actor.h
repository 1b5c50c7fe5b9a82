// What feeds act through: steps of an environment whose observations stand for themselves, or whole
// texts, as the environment shows.
#pragma once

#include <lathe/learn/collector.h>
#include <lathe/learn/text_collector.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace lathe {

class Actor {
 public:
  // E rows; of text, `group` neighbours begin the same episode. Error, in the name of `feed`, where
  // there is no environment.
  Actor(const FeedContext& context, std::int64_t rows, std::int64_t group, std::string_view feed);

  bool writes_texts() const { return texts_.has_value(); }
  const Space& observations() const { return observations_; }
  const Space& actions() const { return actions_; }

  // `steps` of each row; of text, one episode of each.
  Batch collect(std::int64_t steps, const ActingRule& rule);
  // The episodes of an evaluation, as a batch that has metrics alone.
  Batch evaluation();

  std::int64_t actions_taken() const;
  void save(State& state) const;
  void load(const State& state);

 private:
  std::int64_t episodes_;
  const Objective* objective_;
  Space observations_, actions_;
  std::optional<Collector> steps_;  // one of the two
  std::optional<TextCollector> texts_;
};

}  // namespace lathe
