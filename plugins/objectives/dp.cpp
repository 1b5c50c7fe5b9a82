// objective "dp": dynamic programming for tabular environments, the exact answer (Bellman, 1957;
// Howard, 1960; Sutton and Barto, 2018, chapter 4).
//
//   value_iteration    Q(s, a) <- sum over ways of p (r + gamma max_a' Q(s', a')), `sweeps` times
//   policy_iteration   Q <- exact action values of the policy that is greedy for Q (ties evenly)
//   loss = sum over all s, a of (new Q(s, a) - Q(s, a))^2 / 2, divided by 1
//
//   [objective]
//   use = "dp"
//   discount = 1.0
//   [model]
//   use = "table"
//   [optimizer]
//   use = "sgd"
//   rate = 1.0
//   [train]
//   steps = 100
//   clip = 0
//
// With a table and these settings a step is one sweep, or one improvement, exactly; with a network
// it is fitted value iteration. From zeros, k sweeps are the best that can be had in k steps: so a
// time limit is met exactly. What the feed collects is not looked at.
// An evaluation reports start_value (mean over beginnings of max_a Q), greedy_value (what the
// policy that is greedy for Q is really worth there, without a time limit) and bellman_error (the
// largest change that one more sweep would make).
#include <lathe/learn/action_values.h>
#include <lathe/learn/dynamic_programming.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

namespace lathe {

class DynamicProgramming final : public Objective {
 public:
  static constexpr const char* needs[] = {"environment"};
  static constexpr const char* provides[] = {"semi-gradient", "loss apart from the batch"};
  struct Options : Keys {
    std::string method = key("method", "value_iteration", "what a step does: see above",
                             one_of({"value_iteration", "policy_iteration"}));
    double discount = key("discount", 1.0, "gamma", between(0, 1));
    std::int64_t sweeps = key("sweeps", 1, "value_iteration: backups of a step", at_least(1));
    bool greedy_value = key("greedy_value", true,
                            "evaluation also works out what the greedy policy is worth; turn it "
                            "off where that policy never ends its episodes");
  };
  explicit DynamicProgramming(const Config& config) : with_(config) {}

  void open(const ObjectiveContext& context) override {
    if (context.environment == nullptr) {
      fail("objective 'dp' works on an environment: add [environment] use = \"...\"");
    }
    world_.emplace(*context.environment);
  }
  double discount() const override { return with_.discount; }

  Loss loss(const Batch&, const ObjectivePass& pass) override {
    const DeviceBatch device(all_states(), *pass.parameters);
    const Tensor values = pass.model->logits(pass.model->hidden(device.input));
    const Table before = values.values();
    const Table after = improved(before);
    // Rounded to f32 only where the model itself is.
    const bool exact = pass.parameters->precision() == Precision::f64;
    const std::vector<float> rounded(after.begin(), after.end());
    const auto& backend = pass.parameters->backend();
    const Tensor goal = exact ? Tensor::of<double>(backend, values.shape(), after)
                              : Tensor::of<float>(backend, values.shape(), rounded);
    Loss result{scale(sum(square(subtract(goal, values))), 0.5), 1};
    result.metrics.push_back({"bellman_error", farthest(before, after), 1});
    return result;
  }

  Loss evaluate(const Batch&, const ObjectivePass& pass) override {
    const Table values = action_values(*pass.model, *pass.parameters, all_states()).all;
    const Table best = best_of(*world_, values);
    Loss result;
    result.metrics.push_back({"start_value", start_value(*world_, best), 1});
    if (with_.greedy_value) {
      const Table greedy = policy_values(*world_, greedy_policy(*world_, values), with_.discount);
      result.metrics.push_back({"greedy_value", start_value(*world_, greedy), 1});
    }
    const Table next = backed_up(*world_, best, with_.discount);
    result.metrics.push_back({"bellman_error", farthest(values, next), 1});
    return result;
  }

 private:
  Batch all_states() const {
    Batch batch;
    batch.rows = world_->states;
    batch.length = 1;
    batch.tokens.resize(static_cast<std::size_t>(world_->states));
    std::iota(batch.tokens.begin(), batch.tokens.end(), 0);
    batch.weights.assign(batch.tokens.size(), 1.0F);
    return batch;
  }

  Table improved(const Table& before) const {
    if (with_.method == "policy_iteration") {
      const Table policy = greedy_policy(*world_, before);
      return backed_up(*world_, policy_values(*world_, policy, with_.discount), with_.discount);
    }
    Table after = before;
    for (std::int64_t sweep = 0; sweep < with_.sweeps; ++sweep) {
      after = backed_up(*world_, best_of(*world_, after), with_.discount);
    }
    return after;
  }

  static double farthest(const Table& a, const Table& b) {
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
    return most;
  }

  Options with_;
  std::optional<TabularModel> world_;
};

LATHE_PLUGIN(Objective, DynamicProgramming, "dp", "1.0.0")
}  // namespace lathe
