// objective "grpo": policy gradients whose baseline is the group: G completions of the same prompt
// are compared with each other, and no value is learnt. With R_i the sum of the rewards of row i:
//
//   grpo     A_i = (R_i - mean) / (deviation + 1e-4)      (Shao et al., 2024; sample deviation)
//   dr_grpo  A_i = R_i - mean                             (Liu et al., 2025)
//   rloo     A_i = R_i - mean of the others               (Ahmadian et al., 2024)
//
//   loss = sum_i sum_t -min(r A_i, clip(r, 1 - c, 1 + c_high) A_i) + kl K
//
// with the ratio r of each token. What the sum is divided by is `aggregate`: all tokens (DAPO, Yu
// et al., 2025), each completion's own tokens and then the completions, a constant and the
// completions, or the completions alone (the gradient of the probability of whole texts).
//
//   [objective]
//   use = "grpo"
//   form = "dr_grpo"
//
//   [feed]
//   use = "rollouts"
//   group = 8
#include <lathe/learn/policy.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace lathe {

class Grpo final : public Objective {
 public:
  static constexpr const char* needs[] = {"environment", "experience of the present policy"};
  struct Options : Keys {
    std::string form =
        key("form", "grpo", "how advantages are made", one_of({"grpo", "dr_grpo", "rloo"}));
    std::string aggregate = key("aggregate", "form",
                                "what the sum over tokens is divided by; form: token for grpo, "
                                "constant for dr_grpo, completion for rloo",
                                one_of({"form", "token", "sequence", "constant", "completion"}));
    double constant = key("constant", 64.0, "tokens, with aggregate = \"constant\"", above(0));
    double clip = key("clip", 0.2, "largest fall c of the ratio that is rewarded", above(0));
    double clip_high =
        key("clip_high", 0.0, "largest rise of the ratio that is rewarded; 0: clip", at_least(0));
    double temperature =
        key("temperature", 1.0, "divides the logits, in acting and learning alike", above(0));
    double kl = key("kl", 0.0, "weight of the distance from the reference model", at_least(0));
    std::string kl_in = key("kl_in", "form", "where it counts; form: reward for rloo, else loss",
                            one_of({"form", "reward", "loss"}));
    std::string kl_estimator =
        key("kl_estimator", "k3",
            "of the loss, with d = log p_ref - log p: k1 = -d, k2 = d^2/2, k3 = e^d - 1 - d; in "
            "the reward it is always k1",
            one_of({"k1", "k2", "k3"}));
  };
  explicit Grpo(const Config& config) : with_(config) {
    aggregate_ = with_.aggregate;
    if (aggregate_ == "form") {
      aggregate_ = with_.form == "grpo"   ? "token"
                   : with_.form == "rloo" ? "completion"
                                          : "constant";
    }
    in_reward_ = with_.kl_in == "reward" || (with_.kl_in == "form" && with_.form == "rloo");
  }

  ActingRule acting(std::int64_t) const override { return {.temperature = with_.temperature}; }

  void open(const ObjectiveContext& context) override {
    if (with_.kl > 0) reference_ = context.initial();
  }

  void prepare(Batch& batch, const ObjectivePass& pass) override {
    Experience& lived = batch.experience;
    if (lived.groups.empty()) {
      fail(
          "objective 'grpo' compares completions of the same prompt: it needs an environment of "
          "texts such as \"completion\", and [feed] use = \"rollouts\" with group = 2 or more");
    }
    lived.log_probabilities =
        policy_pass(batch, pass, with_.temperature, false).log_probability.values();
    std::vector<double> scores =
        row_sums(batch, std::vector<double>(lived.rewards.begin(), lived.rewards.end()));
    if (reference_) note_reference(batch, pass, scores);
    note_advantages(batch, scores);
  }

  Loss loss(const Batch& batch, const ObjectivePass& pass) override {
    const Experience& lived = batch.experience;
    const PolicyPass now = policy_pass(batch, pass, with_.temperature, false);
    const Tensor advantage = places_tensor(pass, lived.advantages);
    const Tensor ratio =
        exp(subtract(now.log_probability, places_tensor(pass, lived.log_probabilities)));
    const double high = with_.clip_high > 0 ? with_.clip_high : with_.clip;
    Tensor all = negate(minimum(multiply(ratio, advantage),
                                multiply(clamp(ratio, 1 - with_.clip, 1 + high), advantage)));
    if (reference_ && !in_reward_) {
      all = add(all, scale(kl_estimate(now.log_probability, places_tensor(pass, lived.reference),
                                       with_.kl_estimator),
                           with_.kl));
    }
    Loss result;
    std::vector<float> weights = batch.weights;
    aggregate(batch, weights, result.weight);
    result.sum = sum(multiply(all, places_tensor(pass, weights)));
    measure(batch, ratio, now.entropy, high, result);
    return result;
  }

  void save(State& state) const override { state.put("fresh", std::int64_t{fresh_ ? 1 : 0}); }
  void load(const State& state) override { fresh_ = state.integer("fresh") != 0; }

 private:
  static std::size_t at(std::int64_t row, std::int64_t length) {
    return static_cast<std::size_t>(row * length);
  }

  static std::vector<double> row_sums(const Batch& batch, const std::vector<double>& values) {
    std::vector<double> sums;
    for (std::int64_t row = 0; row < batch.rows; ++row) {
      double sum = 0;
      for (std::size_t n = at(row, batch.length); n < at(row + 1, batch.length); ++n) {
        if (batch.weights[n] != 0) sum += values[n];
      }
      sums.push_back(sum);
    }
    return sums;
  }

  static bool counts(const Batch& batch, std::size_t row) {
    const auto begin = batch.weights.begin() + static_cast<std::ptrdiff_t>(row) * batch.length;
    return std::any_of(begin, begin + batch.length, [](float weight) { return weight != 0; });
  }

  void note_reference(Batch& batch, const ObjectivePass& pass, std::vector<double>& scores) {
    Experience& lived = batch.experience;
    lived.reference = log_probabilities_under(*reference_, batch, pass, with_.temperature);
    std::vector<double> ratios(lived.reference.size());
    for (std::size_t n = 0; n < ratios.size(); ++n) {
      ratios[n] = lived.log_probabilities[n] - lived.reference[n];
    }
    const std::vector<double> kl = row_sums(batch, ratios);
    Metric metric{"objective/kl", 0, static_cast<double>(batch.rows)};
    for (std::size_t row = 0; row < kl.size(); ++row) {
      metric.sum += kl[row];
      if (in_reward_) scores[row] -= with_.kl * kl[row];
    }
    batch.metrics.push_back(metric);
    if (fresh_) demand_same_beginning(metric.sum, "grpo");
    fresh_ = false;
  }

  void note_advantages(Batch& batch, const std::vector<double>& scores) const {
    std::map<std::int64_t, std::vector<std::size_t>> groups;
    for (std::size_t row = 0; row < scores.size(); ++row) {
      groups[batch.experience.groups[row]].push_back(row);
    }
    batch.experience.advantages.assign(batch.weights.size(), 0.0);
    Metric flat{"grpo/groups_without_variance", 0, static_cast<double>(groups.size())};
    for (auto& [number, rows] : groups) {
      if (rows.size() < 2) {
        fail("objective 'grpo' needs groups of at least 2 completions: set group under [feed]");
      }
      // A text that counts for nothing (environment.cut = "drop") is no measure for the others.
      std::erase_if(rows, [&](std::size_t row) { return !counts(batch, row); });
      const auto count = static_cast<double>(rows.size());
      double total = 0;
      for (const std::size_t row : rows) total += scores[row];
      double squares = 0;
      for (const std::size_t row : rows) squares += std::pow(scores[row] - total / count, 2);
      if (squares == 0) flat.sum += 1;
      if (rows.size() < 2) continue;
      const double deviation = std::sqrt(squares / (count - 1));
      for (const std::size_t row : rows) {
        double advantage = scores[row] - total / count;
        if (with_.form == "grpo") advantage /= deviation + 1e-4;
        if (with_.form == "rloo") advantage = scores[row] - (total - scores[row]) / (count - 1);
        const std::size_t length = static_cast<std::size_t>(batch.length);
        for (std::size_t n = row * length; n < (row + 1) * length; ++n) {
          if (batch.weights[n] != 0) batch.experience.advantages[n] = advantage;
        }
      }
    }
    batch.metrics.push_back(flat);
  }

  // Turns weights 1 into those of the aggregation, and says what the loop divides by.
  void aggregate(const Batch& batch, std::vector<float>& weights, double& whole) const {
    for (std::int64_t row = 0; row < batch.rows; ++row) {
      double own = 0;
      for (std::size_t n = at(row, batch.length); n < at(row + 1, batch.length); ++n) {
        own += static_cast<double>(weights[n]);
      }
      if (own == 0) continue;
      whole += aggregate_ == "token" ? own : 1;
      if (aggregate_ != "sequence" && aggregate_ != "constant") continue;
      const double share = aggregate_ == "sequence" ? own : with_.constant;
      for (std::size_t n = at(row, batch.length); n < at(row + 1, batch.length); ++n) {
        weights[n] = static_cast<float>(static_cast<double>(weights[n]) / share);
      }
    }
  }

  void measure(const Batch& batch, const Tensor& ratio, const Tensor& entropy, double high,
               Loss& result) {
    const std::vector<double> ratios = ratio.values();
    const std::vector<double> entropies = entropy.values();
    double count = 0;
    double clipped = 0;
    double distance = 0;
    double sum = 0;
    for (std::size_t n = 0; n < ratios.size(); ++n) {
      if (batch.weights[n] == 0) continue;
      const double r = ratios[n];
      if (batch.first && r != 1) {
        fail("objective 'grpo': before the first update of a collection the ratio of ",
             "probabilities is ", r, " and not exactly 1, so sampling and learning do not see the ",
             "same policy. Use a backend and settings whose results do not depend on the batch");
      }
      count += 1;
      clipped += r < 1 - with_.clip || r > 1 + high ? 1 : 0;
      distance += r - 1 - std::log(r);
      sum += entropies[n];
    }
    result.metrics = {{"policy/approxkl_avg", distance, count},
                      {"policy/clipfrac_avg", clipped, count},
                      {"policy/entropy_avg", sum, count}};
  }

  Options with_;
  std::string aggregate_;
  bool in_reward_ = false;
  std::unique_ptr<ModelCopy> reference_;
  bool fresh_ = true;  // nothing has been learnt: the policy is the reference, to the bit
};

LATHE_PLUGIN(Objective, Grpo, "grpo", "1.0.0")
}  // namespace lathe
