// objective "a3c": the advantage actor-critic (Mnih et al., 2016). Per place, with the n-step
// advantage A (lambda = 1) or a generalised one:
//
//   loss = -log pi(a|s) A + v 1/2 (V(s) - R)^2 - e H(pi(.|s)),   R = A + V as it was when acting
//
// With workers it is A3C: each acts and finds gradients with weights of its own, which it fetches
// when its gradient has been applied to the shared ones. Without, it is A2C.
//
//   [objective]
//   use = "a3c"
//
//   [asynchronous]
//   workers = 4          # order = "seeded": the same bits each time; "free": real threads
//
//   [feed]
//   use = "rollouts"
//   environments = 1     # of each worker
//   steps = 5
//
//   [optimizer]
//   use = "rmsprop"      # its statistics are shared by all workers
#include <lathe/learn/policy.h>
#include <lathe/plugin/plugin.h>

namespace lathe {

class A3c final : public Objective {
 public:
  static constexpr const char* needs[] = {"environment", "experience of the present policy"};
  struct Options : Keys {
    double discount = key("discount", 0.99, "gamma", between(0, 1));
    double lambda = key("lambda", 1.0, "of the advantages; 1: n-step returns", between(0, 1));
    double entropy = key("entropy", 0.01, "e", at_least(0));
    double value_weight = key("value_weight", 0.5, "v", at_least(0));
    bool normalise = key("normalise", false, "scale advantages to mean 0 and deviation 1");
    double temperature =
        key("temperature", 1.0, "divides the logits, in acting and learning alike", above(0));
  };
  explicit A3c(const Config& config) : with_(config) {}

  bool wants_values() const override { return true; }
  double discount() const override { return with_.discount; }
  ActingRule acting(std::int64_t) const override { return {.temperature = with_.temperature}; }

  void prepare(Batch& batch, const ObjectivePass& pass) override {
    if (batch.experience.rewards.empty()) {
      fail(
          "objective 'a3c' learns from what a policy lives through: add [environment] and "
          "[feed] use = \"rollouts\"");
    }
    batch.experience.values = policy_pass(batch, pass, with_.temperature, true).values.values();
    generalised_advantages(batch, open_values(batch, pass), with_.lambda);
    if (with_.normalise) whiten(batch.experience.advantages, batch.weights);
    batch.metrics.push_back({"val/explained_variance", explained_variance(batch), 1});
  }

  Loss loss(const Batch& batch, const ObjectivePass& pass) override {
    const PolicyPass now = policy_pass(batch, pass, with_.temperature, true);
    const Tensor weights = places_tensor(pass, batch.weights);
    const Tensor policy =
        negate(multiply(now.log_probability, places_tensor(pass, batch.experience.advantages)));
    const Tensor error = subtract(now.values, places_tensor(pass, batch.experience.returns));
    const Tensor value = scale(square(error), 0.5);
    const Tensor gain = scale(now.entropy, with_.entropy);
    const Tensor all = subtract(add(policy, scale(value, with_.value_weight)), gain);
    Loss result{.sum = sum(multiply(all, weights))};
    for (const float weight : batch.weights) result.weight += static_cast<double>(weight);
    const auto total = [&](const Tensor& each) { return sum(multiply(each, weights)).item(); };
    result.metrics = {{"policy/entropy_avg", total(now.entropy), result.weight},
                      {"loss/policy_avg", total(policy), result.weight},
                      {"loss/value_avg", total(value), result.weight}};
    return result;
  }

 private:
  Options with_;
};

LATHE_PLUGIN(Objective, A3c, "a3c", "1.0.0")
}  // namespace lathe
