// objective "reinforce": the Monte-Carlo policy gradient (Williams, 1992), for control and for
// language models. Per place, with the return G_t = sum_k gamma^k r_{t+k} to the episode's end:
//
//   loss = -log pi(a_t|s_t) (G_t - b_t) - e H(pi(.|s_t)) [+ v 1/2 (V(s_t) - G_t)^2]
//
// b: nothing, the mean return of the collection, or a learnt value V (then the term in brackets
// stands). Steps whose episode has not ended within the collection have no return and are left out.
//
//   [objective]
//   use = "reinforce"
//   baseline = "value"
#include <lathe/learn/policy.h>
#include <lathe/plugin/plugin.h>

namespace lathe {

class Reinforce final : public Objective {
 public:
  static constexpr const char* needs[] = {"environment", "experience of the present policy"};
  struct Options : Keys {
    std::string baseline = key("baseline", "none", "b, which is subtracted from the return",
                               one_of({"none", "mean", "value"}));
    double discount = key("discount", 0.99, "gamma", between(0, 1));
    double entropy = key("entropy", 0.0, "e", at_least(0));
    double value_weight = key("value_weight", 0.5, "v", at_least(0));
    bool normalise = key("normalise", false, "scale G - b to mean 0 and deviation 1");
    double temperature =
        key("temperature", 1.0, "divides the logits, in acting and learning alike", above(0));
  };
  explicit Reinforce(const Config& config) : with_(config) {}

  bool wants_values() const override { return with_.baseline == "value"; }
  double discount() const override { return with_.discount; }
  ActingRule acting(std::int64_t) const override { return {.temperature = with_.temperature}; }

  void prepare(Batch& batch, const ObjectivePass& pass) override {
    Experience& lived = batch.experience;
    if (lived.rewards.empty()) {
      fail(
          "objective 'reinforce' learns from what a policy lives through: add [environment] and "
          "[feed] use = \"rollouts\"");
    }
    leave_out_unfinished(batch);
    lived.values.assign(batch.weights.size(), 0.0);
    const std::vector<double> nothing(lived.open_places.size(), 0.0);
    generalised_advantages(batch, nothing, 1);  // without values: the returns themselves
    if (with_.baseline == "value") {
      lived.values = policy_pass(batch, pass, with_.temperature, true).values.values();
      for (std::size_t n = 0; n < lived.values.size(); ++n) {
        lived.advantages[n] -= lived.values[n];
      }
      batch.metrics.push_back({"val/explained_variance", explained_variance(batch), 1});
    } else if (with_.baseline == "mean") {
      subtract_mean(batch);
    }
    if (with_.normalise) whiten(lived.advantages, batch.weights);
  }

  Loss loss(const Batch& batch, const ObjectivePass& pass) override {
    const bool values = with_.baseline == "value";
    const PolicyPass now = policy_pass(batch, pass, with_.temperature, values);
    const Tensor advantage = places_tensor(pass, batch.experience.advantages);
    Tensor all = negate(multiply(now.log_probability, advantage));
    if (with_.entropy > 0) all = subtract(all, scale(now.entropy, with_.entropy));
    if (values) {
      const Tensor error = subtract(now.values, places_tensor(pass, batch.experience.returns));
      all = add(all, scale(square(error), 0.5 * with_.value_weight));
    }
    const Tensor weights = places_tensor(pass, batch.weights);
    Loss result{.sum = sum(multiply(all, weights))};
    for (const float weight : batch.weights) result.weight += static_cast<double>(weight);
    result.metrics = {
        {"policy/entropy_avg", sum(multiply(now.entropy, weights)).item(), result.weight}};
    return result;
  }

 private:
  static void leave_out_unfinished(Batch& batch) {
    const Experience& lived = batch.experience;
    for (std::int64_t row = 0; row < batch.rows; ++row) {
      for (std::int64_t t = batch.length - 1; t >= 0; --t) {
        const auto n = static_cast<std::size_t>(row * batch.length + t);
        if (lived.terminated[n] != 0 || lived.truncated[n] != 0) break;
        batch.weights[n] = 0;
      }
    }
  }

  static void subtract_mean(Batch& batch) {
    double total = 0;
    double count = 0;
    for (std::size_t n = 0; n < batch.weights.size(); ++n) {
      if (batch.weights[n] == 0) continue;
      total += batch.experience.advantages[n];
      count += 1;
    }
    const double mean = count > 0 ? total / count : 0;
    for (std::size_t n = 0; n < batch.weights.size(); ++n) {
      if (batch.weights[n] != 0) batch.experience.advantages[n] -= mean;
    }
  }

  Options with_;
};

LATHE_PLUGIN(Objective, Reinforce, "reinforce", "1.0.0")
}  // namespace lathe
