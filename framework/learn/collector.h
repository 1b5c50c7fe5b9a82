// Collects steps of an environment whose every observation stands for itself.
#pragma once

#include <lathe/base/random.h>
#include <lathe/learn/feed.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lathe {

// Steps in E rows of an environment whose every observation stands for itself (box, discrete).
// An episode goes on from one collection to the next.
class Collector {
 public:
  // `context` gives environment, model, objective and the name of the random stream.
  Collector(const FeedContext& context, std::int64_t rows);

  // T steps in each row. Returns and lengths of the episodes that ended are in Batch::metrics.
  Batch collect(std::int64_t steps, const ActingRule& rule);
  // Whole episodes number 0 ... count-1, from their beginnings, each cut at the context's longest;
  // only their metrics are kept.
  std::vector<Metric> play(std::int64_t count, const ActingRule& rule);
  // One episode in row 0, for people to see: hears of its beginning (action "") and of each step.
  struct Moment {
    const Environment* environment = nullptr;
    std::string action = {};
    double reward = 0;
    bool ended = false;
  };
  void watch(std::uint64_t episode, const ActingRule& rule,
             const std::function<void(const Moment&)>& hear);

  std::int64_t actions_taken() const { return steps_ * rows_; }
  void save(State& state) const;
  void load(const State& state);

 private:
  void begin();
  void act(const ActingRule& rule);
  std::optional<Held> held_weights(std::int64_t steps) const;
  std::vector<float> logits(const Observations& seen, std::int64_t rows);
  void choose_moves(const std::vector<float>& means);
  void look_ahead(Batch& batch, const ActingRule& rule);
  void note_end(std::int64_t row, std::vector<Metric>& metrics);

  FeedContext context_;
  RandomStream random_;  // of the actions: at the number of steps taken
  std::int64_t rows_;    // E
  std::unique_ptr<Environment> environment_;
  Space observations_;
  Space actions_space_;
  std::unique_ptr<Arena> arena_;
  Observations now_;
  Actions actions_;
  Outcomes outcomes_;
  std::vector<float> behaviour_;              // [E] log-probability of the actions
  std::vector<std::int32_t> chosen_already_;  // [E] by look_ahead; empty: none
  std::vector<std::int64_t> episodes_;        // [E] begun in each row
  std::vector<double> returns_;               // [E] of the episode under way
  std::vector<std::int64_t> lengths_;         // [E]
  std::int64_t steps_ = 0;                    // of all rows together
  bool begun_ = false;
};

}  // namespace lathe
