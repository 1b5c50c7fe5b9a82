// The feed of learning on policy: acts with the current policy, has the objective prepare what was
// lived through, and hands it out in minibatches for some epochs.
#pragma once

#include <lathe/learn/actor.h>
#include <lathe/learn/experience.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace lathe {

class RolloutsFeed final : public Feed {
 public:
  static constexpr const char* needs[] = {"environment"};
  static constexpr const char* provides[] = {"experience of the present policy"};
  struct Options : Keys {
    std::int64_t environments =
        key("environments", 8, "rows E of the environment; of text: completions of a collection",
            at_least(1));
    std::int64_t steps =
        key("steps", 128, "steps T of each row in a collection (text: to the end of the episode)",
            at_least(1));
    std::int64_t epochs = key("epochs", 1, "times that a collection is gone through", at_least(1));
    std::int64_t minibatches =
        key("minibatches", 1, "optimizer steps of an epoch; a collection is cut into so many parts",
            at_least(1));
    std::int64_t group = key("group", 1, "text: completions of the same prompt", at_least(1));
  };
  explicit RolloutsFeed(const Config& config) : with_(config) {}

  void open(const FeedContext& context) override;
  std::int64_t batches() const override { return 1; }  // of an evaluation
  Batch batch(std::int64_t number) override;
  void observe(const Batch& batch, const Loss& loss) override;
  std::int64_t actions_taken() const override;
  void save(State& state) const override;
  void load(const State& state) override;

 private:
  void collect();
  const std::vector<std::uint64_t>& order_of(std::int64_t epoch, std::int64_t count);
  Batch part(std::int64_t number);

  Options with_;
  FeedContext context_;
  std::optional<Actor> actor_;
  Batch collection_;
  std::vector<Metric> metrics_;       // of the collection, reported with its first batch
  std::int64_t collections_ = 0;      // made so far
  std::int64_t next_ = 0;             // minibatch of the collection
  std::vector<std::uint64_t> order_;  // of the places in the epoch `ordered_`
  std::int64_t ordered_ = -1;
  std::unique_ptr<Arena> arena_;
};

}  // namespace lathe
