// An environment whose every number is known beforehand, and an experiment that lives in it.
#pragma once

#include <lathe/learn/episodes.h>

#include <vector>

#include "run/tiny_session.h"

namespace lathe::testing {

// Shows (episode, step), or as a state 10 episode + step; earns 100 episode + step. Episode k takes
// 2 + k % 3 steps; even ones come to their own end, odd ones are cut off.
class Scripted final : public Environment {
 public:
  struct Options : Keys {
    bool table = key("table", false, "show states");
  };
  explicit Scripted(const Config& config) : with_(config) {}
  static std::int64_t length_of(std::int64_t episode) { return 2 + episode % 3; }

  void open(const EnvironmentContext& context) override {
    episodes_.assign(static_cast<std::size_t>(context.rows), 0);
    steps_ = episodes_;
  }
  Space observations() const override {
    return with_.table ? Space::discrete(1000) : Space::box({0, 0}, {99, 99});
  }
  Space actions() const override { return Space::discrete(3); }
  void reset(std::int64_t row, std::uint64_t episode, Observations& now) override {
    const auto r = static_cast<std::size_t>(row);
    episodes_[r] = static_cast<std::int32_t>(episode);
    steps_[r] = 0;
    show(r, now);
  }
  void step(const Actions& actions, Observations& now, Outcomes& outcomes) override {
    for (std::size_t r = 0; r < steps_.size(); ++r) {
      if (actions.choices[r] < 0) continue;
      ++steps_[r];
      show(r, now);
      const bool ended = steps_[r] == length_of(episodes_[r]);
      outcomes.rewards[r] = static_cast<float>(100 * episodes_[r] + steps_[r]);
      outcomes.terminated[r] = ended && episodes_[r] % 2 == 0;
      outcomes.truncated[r] = ended && episodes_[r] % 2 != 0;
    }
  }
  void save(State& state) const override {
    state.put("episodes", episodes_);
    state.put("steps", steps_);
  }
  void load(const State& state) override {
    restore(state, "episodes", episodes_);
    restore(state, "steps", steps_);
  }

 private:
  void show(std::size_t r, Observations& now) const {
    if (with_.table) {
      now.states[r] = 10 * episodes_[r] + steps_[r];
    } else {
      now.numbers[2 * r] = static_cast<float>(episodes_[r]);
      now.numbers[2 * r + 1] = static_cast<float>(steps_[r]);
    }
  }
  Options with_;
  std::vector<std::int32_t> episodes_, steps_;
};

inline const char* const scripted = R"(
seed = 4
[environment]
use = "scripted"
[feed]
use = "rollouts"
environments = 3
steps = 7
epochs = 2
minibatches = 4
[model]
use = "mlp"
layers = [4]
[objective]
use = "a3c"
discount = 0.5
[train]
batch = 1
[evaluate]
episodes = 5
)";

struct Stage : Tiny {
  Stage() : Tiny(scripted) { registry().add<Environment, Scripted>("scripted", "1.0.0"); }
};

inline FeedContext context_of(const Session& session) {
  return {.seed = session.seed,
          .make_environment =
              [&](std::int64_t rows) { return session.make_environment(rows, Split::train); },
          .model = session.model.get(),
          .parameters = &session.parameters,
          .objective = session.objective.get()};
}

// What row `row` of 3 lives through, without end: its episodes are row, row + 3, row + 6, ...
struct Step {
  std::int64_t episode = 0, step = 0;  // before the action
  bool ended = false;
};
inline std::vector<Step> life_of(std::int64_t row, std::size_t steps) {
  std::vector<Step> life;
  for (std::int64_t episode = row; life.size() < steps; episode += 3) {
    const std::int64_t length = Scripted::length_of(episode);
    for (std::int64_t step = 0; step < length; ++step) {
      life.push_back({episode, step, step + 1 == length});
    }
  }
  return life;
}

}  // namespace lathe::testing
