// Environments "probe_constant", "probe_observation", "probe_discount", "probe_action" and
// "probe_both": the smallest tasks that each test one more part of an agent (Jones 2021,
// "Debugging reinforcement learning systems"). The first that fails names the broken part.
//
//   [environment]
//   use = "probe_action"
//
//   name               actions  steps  observation  reward            tests
//   probe_constant     1        1      0            1                 the value, its loss
//   probe_observation  1        1      -1 or 1      the observation   the value's input
//   probe_discount     1        2      0, then 1    1 at the end      discounting
//   probe_action       2        1      0            -1, 1: by action  advantages, policy
//   probe_both         2        1      -1 or 1      1 if the action   the policy's input
//                                                   is its sign, -1
//
// The observation is one number; with table = true it is a state, 0 for -1 or 0 and 1 for 1.
#include <lathe/learn/episodes.h>
#include <lathe/plugin/plugin.h>

namespace lathe {

struct ProbeOptions : Keys {
  bool table = key("table", false, "show states, for tabular models, instead of a number");
};

class Probe : public Environment {
 public:
  using Options = ProbeOptions;

  void open(const EnvironmentContext& context) override {
    episodes_.open(context, name(), 0);
    now_.assign(static_cast<std::size_t>(context.rows), 0);
  }

  Space observations() const override {
    return with_.table ? Space::discrete(2) : Space::box({-1}, {1});
  }

  void reset(std::int64_t row, std::uint64_t episode, Observations& now) override {
    episodes_.begin(row, episode);
    now_[static_cast<std::size_t>(row)] = coin_ && episodes_.uniform(row) < 0.5 ? 1 : 0;
    show(static_cast<std::size_t>(row), now);
  }

  void step(const Actions& actions, Observations& now, Outcomes& outcomes) override {
    const auto count = static_cast<std::int32_t>(this->actions().size);
    for (std::size_t r = 0; r < now_.size(); ++r) {
      const std::int32_t action = actions.choices[r];
      if (action < 0) continue;
      const auto row = static_cast<std::int64_t>(r);
      if (action >= count) fail_on_action(name(), row, action, count);
      episodes_.advance(row);
      const Transition way = way_from(now_[r], action);
      now_[r] = way.next;
      show(r, now);
      outcomes.rewards[r] = static_cast<float>(way.reward);
      outcomes.terminated[r] = way.terminated;
      outcomes.truncated[r] = false;
    }
  }

  std::vector<Transition> transitions(std::int32_t state, std::int32_t action) const override {
    if (!with_.table) return {};
    return {way_from(state, action)};
  }
  std::vector<Transition> beginnings() const override {
    if (!with_.table) return {};
    if (!coin_) return {{1, 0}};
    return {{0.5, 0}, {0.5, 1}};
  }

  std::string render(std::int64_t row) const override {
    return cat("sees ", seen(now_[static_cast<std::size_t>(row)]), '\n');
  }

  void save(State& state) const override {
    episodes_.save(state);
    state.put("states", now_);
  }
  void load(const State& state) override {
    episodes_.load(state);
    restore(state, "states", now_);
  }

 protected:
  // `coin`: episodes begin in state 0 or 1, equally likely. State 0 is seen as `zero`.
  Probe(const Config& config, bool coin, int zero) : with_(config), coin_(coin), zero_(zero) {}
  virtual std::string_view name() const = 0;
  // What follows in state 0 or 1.
  virtual Transition way_from(std::int32_t state, std::int32_t action) const = 0;

 private:
  int seen(std::int32_t state) const { return state == 1 ? 1 : zero_; }
  void show(std::size_t r, Observations& now) const {
    if (with_.table) {
      now.states[r] = now_[r];
    } else {
      now.numbers[r] = static_cast<float>(seen(now_[r]));
    }
  }

  Options with_;
  bool coin_;
  int zero_;
  Episodes episodes_;
  std::vector<std::int32_t> now_;  // [E]
};

class ProbeConstant final : public Probe {
 public:
  explicit ProbeConstant(const Config& config) : Probe(config, false, 0) {}
  std::string_view name() const override { return "probe_constant"; }
  Space actions() const override { return Space::discrete(1); }
  Transition way_from(std::int32_t state, std::int32_t) const override {
    return {1, state, 1, true};
  }
};

class ProbeObservation final : public Probe {
 public:
  explicit ProbeObservation(const Config& config) : Probe(config, true, -1) {}
  std::string_view name() const override { return "probe_observation"; }
  Space actions() const override { return Space::discrete(1); }
  Transition way_from(std::int32_t state, std::int32_t) const override {
    return {1, state, state == 1 ? 1.0 : -1.0, true};
  }
};

class ProbeDiscount final : public Probe {
 public:
  explicit ProbeDiscount(const Config& config) : Probe(config, false, 0) {}
  std::string_view name() const override { return "probe_discount"; }
  Space actions() const override { return Space::discrete(1); }
  Transition way_from(std::int32_t state, std::int32_t) const override {
    return {1, 1, state == 1 ? 1.0 : 0.0, state == 1};
  }
};

class ProbeAction final : public Probe {
 public:
  explicit ProbeAction(const Config& config) : Probe(config, false, 0) {}
  std::string_view name() const override { return "probe_action"; }
  Space actions() const override { return Space::discrete(2); }
  Transition way_from(std::int32_t state, std::int32_t action) const override {
    return {1, state, action == 1 ? 1.0 : -1.0, true};
  }
};

class ProbeBoth final : public Probe {
 public:
  explicit ProbeBoth(const Config& config) : Probe(config, true, -1) {}
  std::string_view name() const override { return "probe_both"; }
  Space actions() const override { return Space::discrete(2); }
  Transition way_from(std::int32_t state, std::int32_t action) const override {
    return {1, state, action == state ? 1.0 : -1.0, true};
  }
};

LATHE_PLUGIN(Environment, ProbeConstant, "probe_constant", "1.0.0")
LATHE_PLUGIN(Environment, ProbeObservation, "probe_observation", "1.0.0")
LATHE_PLUGIN(Environment, ProbeDiscount, "probe_discount", "1.0.0")
LATHE_PLUGIN(Environment, ProbeAction, "probe_action", "1.0.0")
LATHE_PLUGIN(Environment, ProbeBoth, "probe_both", "1.0.0")
}  // namespace lathe
