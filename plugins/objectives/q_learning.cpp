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
//
// backup = "soft" values actions for a policy that stays near a prior p_0 (G-learning: Fox, Pakman
// and Tishby, 2016; for sequences Jaques et al., 2017; for texts Guo et al., 2021). The logits are
// the policy p = softmax(logits), the value head is V, and together they are the action values:
//
//   Q(s, a) = V(s) + beta log(p(a|s) / p_0(a|s)),  so  V(s) = beta log sum_a p_0 exp(Q / beta)
//   G_t = r_t + d ((1 - lambda) V'(s_(t+1)) + lambda (G_(t+1) - beta log(p'/p_0)(a_(t+1))))
//
// Its fixed point is p = p_0 exp((Q - V) / beta): of the texts of a prompt (discount 1, a score at
// the end) p_0 exp(score / beta) / Z. Both forms of the successor's value agree there for any
// action (path consistency: Nachum et al., 2017), so lambda = 1 learns from whole episodes of any
// behaviour without corrections. A language model begins as what it was (p = p_0, V = 0), where
// logits read as action values would mean nothing:
//
//   backup = "soft"
//   lambda = 1.0
//   explore = "boltzmann"     # at temperature 1: acts by p itself
#include <lathe/learn/action_values.h>
#include <lathe/learn/environment.h>
#include <lathe/learn/exploring.h>
#include <lathe/learn/policy.h>
#include <lathe/plugin/plugin.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace lathe {

class QLearning final : public Objective {
 public:
  static constexpr const char* needs[] = {"environment"};
  struct Options : ExploringKeys {
    using ExploringKeys::ExploringKeys;

    std::string backup = key("backup", "max",
                             "value of the successor: of its best action; or soft, of the best "
                             "policy near a prior (the model needs values)",
                             one_of({"max", "soft"}));
    double beta = key("beta", 0.1, "soft: price of the distance from the prior, per nat", above(0));
    std::string prior =
        key("prior", "initial",
            "soft: p_0, the policy that the run began with, or all actions alike (Haarnoja et al., "
            "2017)",
            one_of({"initial", "uniform"}));
    double lambda = key("lambda", 0.0,
                        "soft: weight of what was lived through after the successor (in rows of "
                        "several steps; texts: to their end)",
                        between(0, 1));
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
    if (soft() && with_.double_learning) {
      fail(config.where(), ": backup = \"soft\" chooses no best action that double = true could ",
           "value otherwise; set double = false");
    }
    if (!soft() && with_.lambda > 0) {
      fail(config.where(), ": lambda = ", with_.lambda, " needs backup = \"soft\": returns of the ",
           "best action end where another one is taken");
    }
  }

  bool wants_values() const override { return soft(); }

  void open(const ObjectiveContext& context) override {
    if (with_.target_every > 0) target_ = context.copy();
    if (!soft()) return;
    if (with_.prior == "initial") {
      prior_ = context.initial();
      return;
    }
    const Space actions = context.environment->actions();
    if (actions.kind == Space::Kind::box) {
      fail("objective 'q_learning': prior = \"uniform\" counts actions, and those of this ",
           "environment are numbers; set prior = \"initial\"");
    }
    alike_ = -std::log(static_cast<double>(actions.size));
  }
  ActingRule acting(std::int64_t taken) const override { return with_.exploring(taken); }
  double discount() const override { return with_.discount; }

  void prepare(Batch& batch, const ObjectivePass& pass) override {
    follow(*pass.parameters);
    if (soft()) return prepare_soft(batch, pass);
    demand_choices(batch, "q_learning");
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
    if (soft()) return soft_loss(batch, pass);
    return difference_loss(batch, pass, shape());
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
  bool soft() const { return with_.backup == "soft"; }
  DifferenceShape shape() const { return {with_.loss == "huber", with_.huber_width}; }

  // With rewards less what the actions cost, returns H = r - cost + d (...H) are those of a policy:
  // G = H + cost.
  void prepare_soft(Batch& batch, const ObjectivePass& pass) {
    demand_experience(batch, "q_learning");
    Experience& lived = batch.experience;
    ObjectivePass theirs = pass;
    if (target_) {
      theirs.model = target_->model.get();
      theirs.parameters = &target_->parameters;
    }
    const NoGradient silent;
    const PolicyPass then = policy_pass(batch, theirs, 1, true);
    lived.log_probabilities = then.log_probability.values();
    lived.values = then.values.values();
    lived.reference = prior_ ? log_probabilities_under(*prior_, batch, pass, 1)
                             : std::vector<double>(lived.values.size(), alike_);
    std::vector<double> rewards(lived.rewards.begin(), lived.rewards.end());
    for (std::size_t n = 0; n < rewards.size(); ++n) rewards[n] -= cost(lived, n);
    generalised_advantages(batch, open_values(batch, theirs), with_.lambda, rewards);
  }

  double cost(const Experience& lived, std::size_t place) const {
    return with_.beta * (lived.log_probabilities[place] - lived.reference[place]);
  }

  Loss soft_loss(const Batch& batch, const ObjectivePass& pass) const {
    const Experience& lived = batch.experience;
    std::vector<double> returns;
    for (std::size_t n = 0; n < lived.values.size(); ++n) {
      returns.push_back(lived.advantages[n] + lived.values[n] + cost(lived, n));
    }
    const PolicyPass now = policy_pass(batch, pass, 1, true);
    const Tensor distance = subtract(now.log_probability, places_tensor(pass, lived.reference));
    const Tensor values = add(now.values, scale(distance, with_.beta));
    Loss loss = difference_loss(batch, pass, shape(), values, places_tensor(pass, returns));
    double kl = 0;
    for (std::size_t n = 0; n < batch.weights.size(); ++n) {
      kl += static_cast<double>(batch.weights[n]) * cost(lived, n) / with_.beta;
    }
    loss.metrics.push_back({"policy/log_ratio_avg", kl, loss.weight});
    return loss;
  }

  void follow(const Parameters& parameters) {
    if (!target_ || learnt_ - followed_ < with_.target_every) return;
    target_->approach(parameters, with_.target_rate);
    followed_ = learnt_;
  }

  Options with_;
  std::unique_ptr<ModelCopy> target_;
  std::unique_ptr<ModelCopy> prior_;  // soft; none: all actions alike
  double alike_ = 0;                  // log-probability of each of those
  std::int64_t learnt_ = 0;           // batches
  std::int64_t followed_ = 0;         // the same at the target's last update
};

LATHE_PLUGIN(Objective, QLearning, "q_learning", "1.0.0")
}  // namespace lathe
