// The feed of learning off policy: acts, remembers, and hands out what it remembers: transitions of
// n steps, or whole texts.
#pragma once

#include <lathe/learn/actor.h>
#include <lathe/learn/replay_memory.h>
#include <lathe/learn/text_records.h>
#include <lathe/learn/transitions.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lathe {

class ReplayFeed final : public Feed {
 public:
  static constexpr const char* needs[] = {"environment"};
  struct Options : Keys {
    std::int64_t environments = key("environments", 1, "rows E of the environment", at_least(1));
    std::int64_t collect =
        key("collect", 1,
            "steps of each row between two rounds of learning (text: one episode of each)",
            at_least(1));
    std::int64_t updates =
        key("updates", 1, "random: batches that are drawn in a round", at_least(1));
    std::int64_t start = key("start", 1000, "random: actions before the first batch", at_least(1));
    bool random_start = key("random_start", false, "random: those actions are drawn evenly");
    std::int64_t capacity = key(
        "capacity", 100000, "transitions or texts that are remembered; the oldest go", at_least(1));
    std::int64_t steps =
        key("steps", 1, "steps n of a transition: n rewards, then the value of what follows",
            at_least(1));
    std::string order = key("order", "random",
                            "what is handed out: any transition, drawn anew for each batch; or "
                            "each one exactly once, as they come",
                            one_of({"random", "once"}));
    double priority =
        key("priority", 0.0,
            "exponent of |TD error| + offset in the chance to be drawn (Schaul et al., 2016: 0.6; "
            "Rainbow: 0.5); 0: all alike",
            at_least(0));
    double offset = key("offset", 1e-6, "priority: added to |TD error|", above(0));
    double importance =
        key("importance", 0.4, "priority: exponent of the correction at first", between(0, 1));
    double importance_last = key("importance_last", 1.0, "priority: and at last", between(0, 1));
    std::int64_t importance_steps =
        key("importance_steps", 0, "priority: batches from first to last; 0: `importance` stays",
            at_least(0));
    std::string folder =
        key("folder", "", "of a file for the memory, for more than fits into RAM; none: in RAM",
            affects_runtime);
  };
  explicit ReplayFeed(const Config& config);

  void open(const FeedContext& context) override;
  std::int64_t batches() const override { return 1; }  // of an evaluation
  Batch batch(std::int64_t number) override;
  void observe(const Batch& batch, const Loss& loss) override;
  std::int64_t actions_taken() const override;
  void save(State& state) const override;
  void load(const State& state) override;

  const ReplayMemory& memory() const { return memory_; }

 private:
  void collect();
  void remember(const Batch& collection);
  Batch drawn(std::int64_t number) const;
  Batch next();
  Batch of_places(const std::vector<std::int64_t>& places) const;

  Options with_;
  FeedContext context_;
  std::optional<Actor> actor_;
  TransitionLayout layout_;
  StepCutter cutter_;
  TextLayout text_layout_;
  ReplayMemory memory_;
  std::vector<Metric> metrics_;  // of collections, reported with the next batch
  RandomStream random_;          // of the draws
  std::int64_t round_ = 0;       // batches drawn since the last collection
  std::int64_t handed_out_ = 0;  // once: transitions
};

}  // namespace lathe
