// Environments that are a table: an environment says what can happen (transitions, beginnings), and
// this class lets it happen. So what dynamic programming sees is what a policy meets.
#pragma once

#include <lathe/learn/episodes.h>

namespace lathe {

class TabularEnvironment : public Environment {
 public:
  std::vector<Transition> transitions(std::int32_t state, std::int32_t action) const override = 0;
  std::vector<Transition> beginnings() const override = 0;

  void open(const EnvironmentContext& context) override;
  Space observations() const override { return Space::discrete(states_); }
  Space actions() const override { return Space::discrete(actions_); }
  void reset(std::int64_t row, std::uint64_t episode, Observations& now) override;
  void step(const Actions& actions, Observations& now, Outcomes& outcomes) override;
  void save(State& state) const override;
  void load(const State& state) override;

 protected:
  // To be called in the constructor. `limit` steps make an episode; 0: no limit.
  void shape(std::string name, std::int32_t states, std::int32_t actions, std::int64_t limit);
  std::int32_t state_of(std::int64_t row) const { return now_[static_cast<std::size_t>(row)]; }
  std::int64_t steps_of(std::int64_t row) const { return episodes_.steps(row); }

 private:
  // All ways to go on from one place, with running sums of their probabilities.
  struct Ways {
    std::vector<double> until;
    std::vector<Transition> ways;
  };
  Ways checked(std::vector<Transition> ways, const std::string& where) const;
  static const Transition& draw(const Ways& ways, double uniform);

  std::string name_;
  std::int32_t states_ = 0, actions_ = 0;
  std::int64_t limit_ = 0;
  Episodes episodes_;
  std::vector<Ways> table_;  // [states, actions]
  Ways first_;
  std::vector<std::int32_t> now_;  // [E]
};

}  // namespace lathe
