// objective "reward_model": a score for whole texts, learnt from pairs of responses (Bradley and
// Terry, 1952; Ouyang et al., 2022). The score s of a text is the model's value at its last token:
//
//   loss = -log sigmoid(s(chosen) - s(rejected)) + c (s(chosen) + s(rejected))^2
//
// c draws the scores towards mean 0 (Eisenstein et al., 2023), which the first term leaves open.
// The reward plugin "model" uses what was learnt.
//
//   [data]
//   use = "preferences"
//
//   [feed]
//   use = "pairs"
//
//   [objective]
//   use = "reward_model"
#include <lathe/learn/policy.h>
#include <lathe/plugin/plugin.h>

namespace lathe {

class RewardModel final : public Objective {
 public:
  struct Options : Keys {
    double centring = key("centring", 0.0, "c", at_least(0));
  };
  explicit RewardModel(const Config& config) : with_(config) {}

  bool wants_values() const override { return true; }

  Loss loss(const Batch& batch, const ObjectivePass& pass) override {
    if (batch.rows % 2 != 0 || !batch.experience.rewards.empty()) {
      fail("objective 'reward_model' learns from pairs of responses: use [feed] use = \"pairs\"");
    }
    const std::int64_t pairs = batch.rows / 2;
    const std::int64_t places = batch.rows * batch.length;
    const DeviceBatch device(batch, *pass.parameters);
    ModelInput input = device.input;
    input.pass = pass.options;
    const Tensor values = pass.model->values(input, pass.model->hidden(input));
    const Tensor last =
        Tensor::of<std::int32_t>(pass.parameters->backend(), {batch.rows}, last_places(batch));
    const Tensor scores = gather(values.reshape({places, 1}), last).reshape({pairs, 2});
    const Tensor chosen = contiguous(slice(scores, 1, 0, 1));
    const Tensor rejected = contiguous(slice(scores, 1, 1, 2));
    const Tensor margin = subtract(chosen, rejected);
    // -log sigmoid(m) = (|m| - m) / 2 + log(1 + exp(-|m|)): with the right slope at 0 too, where a
    // head of zeros begins.
    const Tensor size = abs(margin);
    Tensor all = add(scale(subtract(size, margin), 0.5), log(shift(exp(negate(size)), 1)));
    if (with_.centring > 0) {
      all = add(all, scale(square(add(chosen, rejected)), with_.centring));
    }
    const std::vector<float> counted = pair_weights(batch);
    Loss result{.sum = sum(multiply(all.reshape({pairs}), places_tensor(pass, counted)))};
    for (const float weight : counted) result.weight += static_cast<double>(weight);
    measure(chosen.values(), rejected.values(), counted, result);
    return result;
  }

 private:
  // The place of each row's last token.
  static std::vector<std::int32_t> last_places(const Batch& batch) {
    std::vector<std::int32_t> all;
    for (std::int64_t row = 0; row < batch.rows; ++row) {
      std::int64_t last = (row + 1) * batch.length - 1;
      while (!batch.segments.empty() && last > row * batch.length &&
             batch.segments[static_cast<std::size_t>(last)] < 0) {
        --last;
      }
      all.push_back(static_cast<std::int32_t>(last));
    }
    return all;
  }

  static void measure(const std::vector<double>& chosen, const std::vector<double>& rejected,
                      const std::vector<float>& counted, Loss& result) {
    double sums[3] = {};
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      if (counted[i] == 0) continue;
      sums[0] += chosen[i];
      sums[1] += rejected[i];
      sums[2] += chosen[i] > rejected[i] ? 1 : chosen[i] == rejected[i] ? 0.5 : 0;
    }
    result.metrics = {{"accuracy", sums[2], result.weight},
                      {"score/chosen", sums[0], result.weight},
                      {"score/rejected", sums[1], result.weight}};
  }

  Options with_;
};

LATHE_PLUGIN(Objective, RewardModel, "reward_model", "1.0.0")
}  // namespace lathe
