// objective "sarsa": action values of the policy that acts (Rummery and Niranjan, 1994; Sutton and
// Barto, 2018, chapters 6, 7 and 12).
//
//   next = "taken"     v = Q(s', a'), a' the action that is really taken next     SARSA
//   next = "expected"  v = sum_a p(a | s') Q(s', a) under the acting rule         Expected SARSA
//   G_t = r_t + d_t ((1 - lambda) v_t + lambda G_(t+1))   within the rows of the feed
//   loss = sum_n (G_n - Q(s_n, a_n))^2 / 2, or Huber's    no gradient through G
//
//   [objective]
//   use = "sarsa"
//   epsilon = 0.1
//   discount = 1.0
//   [feed]
//   use = "rollouts"
//   environments = 1
//   steps = 1
//
// Rows of one step are online learning; rows of T steps with lambda are the forward view, cut off
// after T steps (lambda = 1: up to T rewards). Feed "replay" with order = "once" and steps = n
// learns from exactly n rewards each time. With an environment of one action it predicts values.
#include <lathe/learn/action_values.h>
#include <lathe/learn/exploring.h>
#include <lathe/plugin/plugin.h>

#include <string>
#include <vector>

namespace lathe {

class Sarsa final : public Objective {
 public:
  static constexpr const char* needs[] = {"environment"};
  struct Options : ExploringKeys {
    using ExploringKeys::ExploringKeys;

    double discount = key("discount", 0.99, "gamma", between(0, 1));
    std::string next = key("next", "taken",
                           "value of the successor: of the action that is taken there, or the mean "
                           "over those that could be",
                           one_of({"taken", "expected"}));
    double lambda =
        key("lambda", 0.0, "weight of longer returns in rows of several steps", between(0, 1));
    std::string loss = key("loss", "squared", "half the square, or Huber's function",
                           one_of({"squared", "huber"}));
    double huber_width =
        key("huber_width", 1.0, "where Huber's function turns into a straight line", above(0));
  };
  explicit Sarsa(const Config& config) : with_(config) {}

  // The rule that acted last is the policy whose values are learnt.
  ActingRule acting(std::int64_t taken) const override {
    policy_ = with_.exploring(taken);
    policy_.look_ahead = with_.next == "taken";
    return policy_;
  }
  double discount() const override { return with_.discount; }

  void prepare(Batch& batch, const ObjectivePass& pass) override {
    demand_choices(batch, "sarsa");
    const ActionValues open = open_action_values(*pass.model, *pass.parameters, batch);
    const ActionValues own =
        batch.length > 1 ? action_values(*pass.model, *pass.parameters, batch) : ActionValues();
    const std::vector<std::int32_t>& ahead = batch.experience.open_actions;
    const bool taken = with_.next == "taken";
    const auto value = [&](const ActionValues& values, std::int64_t place,
                           const std::vector<std::int32_t>& actions) {
      const std::span<const double> row = values.row(place);
      const std::int32_t action = taken ? actions.at(static_cast<std::size_t>(place)) : -1;
      // Where a text was cut off nobody acts any more.
      if (action < 0) return expected_value(row, policy_);
      return row[static_cast<std::size_t>(action)];
    };
    const std::vector<double> successors = successor_values(
        batch, [&](std::int64_t n) { return value(own, n, batch.targets); },
        [&](std::int64_t f) { return value(open, f, ahead); });
    const std::vector<double> returns = lambda_returns(batch, successors, with_.lambda);
    batch.experience.returns.assign(returns.begin(), returns.end());
  }

  Loss loss(const Batch& batch, const ObjectivePass& pass) override {
    return difference_loss(batch, pass, {with_.loss == "huber", with_.huber_width});
  }

  void save(State& state) const override {
    state.put("policy", std::vector<double>{policy_.epsilon, policy_.temperature});
  }
  void load(const State& state) override {
    policy_ = with_.exploring(0);
    const auto policy = state.get<double>("policy");
    policy_.epsilon = policy.at(0);
    policy_.temperature = policy.at(1);
  }

 private:
  Options with_;
  mutable ActingRule policy_;  // told by acting(), asked by prepare()
};

LATHE_PLUGIN(Objective, Sarsa, "sarsa", "1.0.0")
}  // namespace lathe
