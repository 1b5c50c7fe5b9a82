// objective "ppo": proximal policy optimisation with a clipped ratio (Schulman et al., 2017), for
// control and for language models alike. Per place, with r = pi(a|s) / pi_old(a|s):
//
//   loss = -min(r A, clip(r, 1 - c, 1 + c) A) + v L_V - e H(pi(.|s)) + kl K
//   L_V  = 1/2 max((V - R)^2, (clip(V, V_old - c_v, V_old + c_v) - R)^2)
//
// A: generalised advantages, normalised; R = A + V_old; H: entropy; K: an estimator of
// KL(pi || reference), where the reference is the model that the run began with. Alternatively
// (kl_in = "reward", as in Ziegler et al., 2019) each action's reward is lessened by kl K.
//
//   [objective]
//   use = "ppo"
//   clip = 0.2
//
//   [feed]
//   use = "rollouts"
//   epochs = 4
//   minibatches = 4
//
// Defaults are those of the CleanRL and Stable-Baselines3 classic-control settings. The first ratio
// after each collection is exactly 1, since sampling and learning share one forward pass; a run in
// which it is not stops at once.
#include <lathe/learn/policy.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>
#include <cmath>

namespace lathe {

class Ppo final : public Objective {
 public:
  static constexpr const char* needs[] = {"environment", "experience of the present policy"};
  struct Options : Keys {
    double clip = key("clip", 0.2, "largest change c of the ratio that is rewarded", above(0));
    std::string clip_schedule = key("clip_schedule", "constant", "of both clips over the run",
                                    one_of({"constant", "linear"}));
    double value_clip =
        key("value_clip", 0.2, "c_v; 0: the value loss is not clipped", at_least(0));
    double value_weight = key("value_weight", 0.5, "v", at_least(0));
    double entropy = key("entropy", 0.0, "e", at_least(0));
    double discount = key("discount", 0.99, "gamma", between(0, 1));
    double lambda = key("lambda", 0.95, "of the generalised advantages", between(0, 1));
    std::string normalise =
        key("normalise", "minibatch", "what advantages are shifted to mean 0 and scaled to 1 over",
            one_of({"minibatch", "collection", "none"}));
    double target_kl = key("target_kl", 0.0,
                           "leave a collection when the mean of (r - 1) - log r is above 1.5 "
                           "times this; 0: never",
                           at_least(0));
    double temperature =
        key("temperature", 1.0, "divides the logits, in acting and learning alike", above(0));
    double kl = key("kl", 0.0, "weight of the distance from the reference model", at_least(0));
    std::string kl_in =
        key("kl_in", "reward", "where that distance counts", one_of({"reward", "loss"}));
    std::string kl_estimator = key(
        "kl_estimator", "k1", "with d = log p_ref - log p: k1 = -d, k2 = d^2/2, k3 = e^d - 1 - d",
        one_of({"k1", "k2", "k3"}));
    double kl_target = key(
        "kl_target", 0.0,
        "adapts kl so that the KL of an episode comes near this (nats); 0: kl stays", at_least(0));
    double kl_horizon = key("kl_horizon", 10000.0, "episodes over which kl adapts", above(0));
    bool whiten_rewards =
        key("whiten_rewards", false, "scale rewards to deviation 1 over a collection");
  };
  explicit Ppo(const Config& config) : with_(config), kl_(with_.kl) {
    if (with_.kl_target > 0 && with_.kl == 0) {
      fail(config.where(), ": kl_target adapts kl, which must then begin above 0");
    }
  }

  bool wants_values() const override { return true; }
  double discount() const override { return with_.discount; }
  ActingRule acting(std::int64_t) const override { return {.temperature = with_.temperature}; }

  void open(const ObjectiveContext& context) override {
    if (kl_ > 0) reference_ = context.initial();
  }

  void prepare(Batch& batch, const ObjectivePass& pass) override {
    Experience& lived = batch.experience;
    if (lived.rewards.empty()) {
      fail(
          "objective 'ppo' learns from what a policy lives through: add [environment] and "
          "[feed] use = \"rollouts\"");
    }
    const PolicyPass then = policy_pass(batch, pass, with_.temperature, true);
    lived.log_probabilities = then.log_probability.values();
    lived.values = then.values.values();
    Metrics noted(batch);
    std::vector<double> rewards(lived.rewards.begin(), lived.rewards.end());
    if (reference_) approach_reference(batch, pass, rewards, noted);
    if (with_.whiten_rewards) whiten(rewards, batch.weights, false);
    generalised_advantages(batch, open_values(batch, pass), with_.lambda, rewards);
    noted.add("val/explained_variance", explained_variance(batch), 1);
    if (with_.normalise == "collection") whiten(lived.advantages, batch.weights);
  }

  Loss loss(const Batch& batch, const ObjectivePass& pass) override {
    const Experience& lived = batch.experience;
    const double shrink = with_.clip_schedule == "linear" ? 1 - pass.progress : 1;
    const PolicyPass now = policy_pass(batch, pass, with_.temperature, true);
    std::vector<double> advantages = lived.advantages;
    if (with_.normalise == "minibatch") whiten(advantages, batch.weights);
    const Tensor advantage = places_tensor(pass, advantages);
    const Tensor weights = places_tensor(pass, batch.weights);
    const Tensor ratio =
        exp(subtract(now.log_probability, places_tensor(pass, lived.log_probabilities)));
    const double clip = with_.clip * shrink;
    const Tensor policy = negate(
        minimum(multiply(ratio, advantage), multiply(clamp(ratio, 1 - clip, 1 + clip), advantage)));
    const Tensor value = value_loss(now.values, batch, pass, shrink);
    Tensor all = add(policy, scale(value, with_.value_weight));
    if (with_.entropy > 0) all = subtract(all, scale(now.entropy, with_.entropy));
    if (reference_ && with_.kl_in == "loss") {
      all = add(all, scale(kl_estimate(now.log_probability, places_tensor(pass, lived.reference),
                                       with_.kl_estimator),
                           kl_));
    }
    Loss result{.sum = sum(multiply(all, weights))};
    for (const float weight : batch.weights) result.weight += static_cast<double>(weight);
    measure(batch, now, ratio, policy, value, clip, result);
    return result;
  }

  void save(State& state) const override {
    state.put("kl", kl_);
    state.put("fresh", std::int64_t{fresh_ ? 1 : 0});
  }
  void load(const State& state) override {
    kl_ = state.number("kl");
    fresh_ = state.integer("fresh") != 0;
  }

 private:
  // Sums over places with weight, into the batch's metrics.
  struct Metrics {
    explicit Metrics(Batch& batch) : all(batch.metrics) {}
    void add(const char* name, double sum, double weight) { all.push_back({name, sum, weight}); }
    std::vector<Metric>& all;
  };

  Tensor value_loss(const Tensor& values, const Batch& batch, const ObjectivePass& pass,
                    double shrink) const {
    const Tensor returns = places_tensor(pass, batch.experience.returns);
    Tensor squares = square(subtract(values, returns));
    if (with_.value_clip > 0) {
      const double clip = with_.value_clip * shrink;
      const Tensor old = places_tensor(pass, batch.experience.values);
      const Tensor near = add(old, clamp(subtract(values, old), -clip, clip));
      squares = maximum(squares, square(subtract(near, returns)));
    }
    return scale(squares, 0.5);
  }

  void approach_reference(Batch& batch, const ObjectivePass& pass, std::vector<double>& rewards,
                          Metrics& noted) {
    Experience& lived = batch.experience;
    lived.reference = log_probabilities_under(*reference_, batch, pass, with_.temperature);
    const std::vector<double> estimates =
        kl_estimate(places_tensor(pass, lived.log_probabilities),
                    places_tensor(pass, lived.reference), with_.kl_estimator)
            .values();
    double kl = 0;
    double ends = 0;
    for (std::size_t n = 0; n < estimates.size(); ++n) {
      if (batch.weights[n] == 0) continue;
      kl += lived.log_probabilities[n] - lived.reference[n];
      if (lived.terminated[n] != 0 || lived.truncated[n] != 0) ends += 1;
      if (with_.kl_in == "reward") rewards[n] -= kl_ * estimates[n];
    }
    noted.add("objective/kl", kl, std::max(ends, 1.0));
    noted.add("objective/kl_coefficient", kl_, 1);
    if (fresh_) demand_same_beginning(kl, "ppo");
    fresh_ = false;
    if (with_.kl_target > 0) {
      const double error = std::clamp(kl / std::max(ends, 1.0) / with_.kl_target - 1, -0.2, 0.2);
      kl_ *= 1 + error * ends / with_.kl_horizon;
    }
  }

  void measure(const Batch& batch, const PolicyPass& now, const Tensor& ratio, const Tensor& policy,
               const Tensor& value, double clip, Loss& result) {
    const std::vector<double> ratios = ratio.values();
    const std::vector<double> policies = policy.values();
    const std::vector<double> values = value.values();
    const std::vector<double> entropies = now.entropy.values();
    double clipped = 0;
    double distance = 0;
    double sums[4] = {};
    for (std::size_t n = 0; n < ratios.size(); ++n) {
      if (batch.weights[n] == 0) continue;
      const double r = ratios[n];
      if (batch.first && r != 1) refuse(r);
      clipped += std::abs(r - 1) > clip ? 1 : 0;
      distance += r - 1 - std::log(r);
      sums[0] += r;
      sums[1] += policies[n];
      sums[2] += values[n];
      sums[3] += entropies[n];
    }
    const double weight = result.weight;
    result.metrics = {
        {"policy/approxkl_avg", distance, weight}, {"policy/clipfrac_avg", clipped, weight},
        {"policy/entropy_avg", sums[3], weight},   {"loss/policy_avg", sums[1], weight},
        {"loss/value_avg", sums[2], weight},       {"val/ratio", sums[0], weight}};
    result.stop = with_.target_kl > 0 && weight > 0 && distance / weight > 1.5 * with_.target_kl;
  }

  [[noreturn]] static void refuse(double ratio) {
    fail(
        "objective 'ppo': before the first update of a collection the ratio of probabilities is ",
        ratio,
        " and not exactly 1, so sampling and learning do not see the same policy. Use a "
        "backend and settings whose results do not depend on the batch (onednn: matmul = \"own\")");
  }

  Options with_;
  double kl_;
  std::unique_ptr<ModelCopy> reference_;
  bool fresh_ = true;  // nothing has been learnt: the policy is the reference, to the bit
};

LATHE_PLUGIN(Objective, Ppo, "ppo", "1.0.0")
}  // namespace lathe
