// objective "q_learning": action values of the best policy, learnt from any behaviour (Watkins,
// 1989). With a table it is the textbook's algorithm, with a network and feed "replay" it is DQN
// (Mnih et al., 2015).
//
//   G = r + d max_a Q'(s', a)                            d: discount, 0 after an episode's end
//   G = r + d Q'(s', argmax_a Q(s', a))                  double (van Hasselt et al., 2016)
//   loss = sum_n (G_n - Q(s_n, a_n))^2 / 2, or Huber's   no gradient through G
//
//   [objective]
//   use = "q_learning"
//   target_every = 500
//   double = true
//   loss = "huber"
//   epsilon = 0.05
//   epsilon_steps = 250000
//   [feed]
//   use = "replay"
//
// Q' is the target network: a copy of Q that follows it every `target_every` batches (0: Q itself).
// Dueling networks are an option of the model; n-step returns and priorities are options of the
// feed. A cut-off episode (truncated) goes on in G; only its own end stops it.
#include <lathe/learn/action_values.h>
#include <lathe/learn/exploring.h>
#include <lathe/plugin/plugin.h>

#include <memory>
#include <string>
#include <vector>

namespace lathe {

class QLearning final : public Objective {
 public:
  static constexpr const char* needs[] = {"environment"};
  struct Options : ExploringKeys {
    using ExploringKeys::ExploringKeys;

    double discount = key("discount", 0.99, "gamma", between(0, 1));
    std::int64_t target_every =
        key("target_every", 0,
            "batches between two updates of the target network; 0: there is none", at_least(0));
    double target_rate = key("target_rate", 1.0,
                             "share of the way to the weights that an update goes: 1 takes them, "
                             "below 1 is Polyak's average",
                             above(0), at_most(1));
    bool double_learning = key("double", false, "Q chooses the action that Q' values");
    std::string loss = key("loss", "squared", "half the square, or Huber's function",
                           one_of({"squared", "huber"}));
    double huber_width =
        key("huber_width", 1.0, "where Huber's function turns into a straight line", above(0));
  };
  explicit QLearning(const Config& config) : with_(config) {
    if (with_.double_learning && with_.target_every == 0) {
      fail(config.where(), ": double = true needs a target network: set target_every above 0");
    }
  }

  void open(const ObjectiveContext& context) override {
    if (with_.target_every > 0) target_ = context.copy();
  }
  ActingRule acting(std::int64_t taken) const override { return with_.exploring(taken); }
  double discount() const override { return with_.discount; }

  void prepare(Batch& batch, const ObjectivePass& pass) override {
    demand_experience(batch, "q_learning");
    follow(*pass.parameters);
    const Model& model = target_ ? *target_->model : *pass.model;
    const Parameters& parameters = target_ ? target_->parameters : *pass.parameters;
    const bool inside = batch.length > 1;
    const ActionValues open = open_action_values(model, parameters, batch);
    const ActionValues own = inside ? action_values(model, parameters, batch) : ActionValues();
    const bool two = with_.double_learning;
    const ActionValues choosing_open =
        two ? open_action_values(*pass.model, *pass.parameters, batch) : ActionValues();
    const ActionValues choosing =
        two && inside ? action_values(*pass.model, *pass.parameters, batch) : ActionValues();
    const auto best = [&](const ActionValues& values, const ActionValues& by, std::int64_t place) {
      if (!two) return largest(values.row(place));
      return values.row(place)[static_cast<std::size_t>(first_largest(by.row(place)))];
    };
    const std::vector<double> successors = successor_values(
        batch, [&](std::int64_t n) { return best(own, choosing, n); },
        [&](std::int64_t f) { return best(open, choosing_open, f); });
    const std::vector<double> returns = lambda_returns(batch, successors, 0);
    batch.experience.returns.assign(returns.begin(), returns.end());
  }

  Loss loss(const Batch& batch, const ObjectivePass& pass) override {
    ++learnt_;
    return difference_loss(batch, pass, {with_.loss == "huber", with_.huber_width});
  }

  void save(State& state) const override {
    state.put("learnt", learnt_);
    state.put("followed", followed_);
    if (!target_) return;
    State target;
    target_->save(target);
    state.put("target", target);
  }
  void load(const State& state) override {
    learnt_ = state.integer("learnt");
    followed_ = state.integer("followed");
    if (target_) target_->load(state.part("target"));
  }

 private:
  void follow(const Parameters& parameters) {
    if (!target_ || learnt_ - followed_ < with_.target_every) return;
    target_->approach(parameters, with_.target_rate);
    followed_ = learnt_;
  }

  Options with_;
  std::unique_ptr<ModelCopy> target_;
  std::int64_t learnt_ = 0;    // batches
  std::int64_t followed_ = 0;  // the same at the target's last update
};

LATHE_PLUGIN(Objective, QLearning, "q_learning", "1.0.0")
}  // namespace lathe
