// objective "dpo": learning from preferences without a reward model (Rafailov et al., 2023). For a
// pair of responses, with log p summed over the tokens of a response:
//
//   h = (log p - log p_ref)(chosen) - (log p - log p_ref)(rejected)
//   sigmoid  loss = -(1 - s) log sigmoid(beta h) - s log sigmoid(-beta h)
//   ipo      loss = (h - 1 / (2 beta))^2                                (Azar et al., 2023)
//
// s: the probability that a preference is the wrong way round (cDPO, Mitchell, 2023). The reference
// is the model that the run began with (train.start). Chosen and rejected are reported apart, since
// both can fall.
//
//   [data]
//   use = "preferences"
//
//   [feed]
//   use = "pairs"
//
//   [objective]
//   use = "dpo"
//   beta = 0.1
#include <lathe/learn/policy.h>
#include <lathe/plugin/plugin.h>

#include <cmath>

namespace lathe {

class Dpo final : public Objective {
 public:
  static constexpr const char* needs[] = {"causal attention"};
  struct Options : Keys {
    std::string form = key("form", "sigmoid", "the loss of a pair", one_of({"sigmoid", "ipo"}));
    double beta = key("beta", 0.1, "how dear it is to leave the reference", above(0));
    double flip = key("flip", 0.0, "s, with form = \"sigmoid\"", at_least(0), below(0.5));
    bool average =
        key("average", false, "log p is the mean over a response's tokens instead of the sum");
  };
  explicit Dpo(const Config& config) : with_(config) {}

  void open(const ObjectiveContext& context) override { reference_ = context.initial(); }

  void prepare(Batch& batch, const ObjectivePass& pass) override {
    if (batch.rows % 2 != 0 || !batch.experience.rewards.empty()) {
      fail("objective 'dpo' learns from pairs of responses: use [feed] use = \"pairs\"");
    }
    batch.experience.reference = log_probabilities_under(*reference_, batch, pass, 1);
  }

  Loss loss(const Batch& batch, const ObjectivePass& pass) override {
    const std::int64_t pairs = batch.rows / 2;
    const Tensor now = policy_pass(batch, pass, 1, false).log_probability;
    const Tensor difference = subtract(now, places_tensor(pass, batch.experience.reference));
    const Tensor weights = places_tensor(pass, token_shares(batch));
    const Tensor rows = sum(multiply(difference, weights).reshape({batch.rows, batch.length}), 1)
                            .reshape({pairs, 2});
    const Tensor chosen = contiguous(slice(rows, 1, 0, 1));
    const Tensor rejected = contiguous(slice(rows, 1, 1, 2));
    const Tensor h = subtract(chosen, rejected);
    const std::vector<float> counted = pair_weights(batch);
    Loss result{.sum = sum(multiply(loss_of(h).reshape({pairs}), places_tensor(pass, counted)))};
    for (const float weight : counted) result.weight += static_cast<double>(weight);
    measure(chosen.values(), rejected.values(), counted, result);
    return result;
  }

  Loss evaluate(const Batch& batch, const ObjectivePass& pass) override {
    return loss(batch, pass);
  }

 private:
  // log sigmoid(x) = (x - |x|) / 2 - log(1 + exp(-|x|)), which never overflows, and whose slope at
  // 0, where every run begins, is 1/2 whatever the slope of |x| is taken to be there.
  static Tensor log_sigmoid(const Tensor& x) {
    const Tensor tail = log(shift(exp(negate(abs(x))), 1));
    return subtract(scale(subtract(x, abs(x)), 0.5), tail);
  }

  Tensor loss_of(const Tensor& h) const {
    if (with_.form == "ipo") return square(shift(h, -1 / (2 * with_.beta)));
    const Tensor right = scale(log_sigmoid(scale(h, with_.beta)), with_.flip - 1);
    if (with_.flip == 0) return right;
    return subtract(right, scale(log_sigmoid(scale(h, -with_.beta)), with_.flip));
  }

  std::vector<float> token_shares(const Batch& batch) const {
    std::vector<float> shares = batch.weights;
    if (!with_.average) return shares;
    const auto length = static_cast<std::size_t>(batch.length);
    for (std::size_t row = 0; row < shares.size() / length; ++row) {
      float own = 0;
      for (std::size_t n = row * length; n < (row + 1) * length; ++n) own += shares[n];
      for (std::size_t n = row * length; own > 0 && n < (row + 1) * length; ++n) shares[n] /= own;
    }
    return shares;
  }

  void measure(const std::vector<double>& chosen, const std::vector<double>& rejected,
               const std::vector<float>& counted, Loss& result) const {
    double sums[3] = {};
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      if (counted[i] == 0) continue;
      sums[0] += with_.beta * chosen[i];
      sums[1] += with_.beta * rejected[i];
      sums[2] += chosen[i] > rejected[i] ? 1 : chosen[i] == rejected[i] ? 0.5 : 0;
    }
    const double weight = result.weight;
    result.metrics = {{"rewards/chosen", sums[0], weight},
                      {"rewards/rejected", sums[1], weight},
                      {"rewards/margins", sums[0] - sums[1], weight},
                      {"rewards/accuracies", sums[2], weight}};
  }

  Options with_;
  std::unique_ptr<ModelCopy> reference_;
};

LATHE_PLUGIN(Objective, Dpo, "dpo", "1.0.0")
}  // namespace lathe
