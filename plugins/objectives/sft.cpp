// objective "sft": cross-entropy of the next token, the loss of pre-training and of supervised
// fine-tuning.
//
//   loss = sum_n w_n [ (1 - s) (-log p(y_n | before)) + s mean_v(-log p(v | before)) + z lse_n^2 ]
//
// divided by sum_n w_n (by the loop, once, over all micro-batches). s: label smoothing (Szegedy et
// al., 2016), z: z-loss (Chowdhery et al., 2022). Which places count is the feed's business.
//
//   [objective]
//   use = "sft"
#include <lathe/learn/objective.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>

namespace lathe {

class Sft final : public Objective {
 public:
  static constexpr const char* needs[] = {"causal attention"};
  struct Options : Keys {
    double smoothing = key("smoothing", 0.0, "label smoothing s", at_least(0), below(1));
    double z_loss = key("z_loss", 0.0, "weight z of the squared log-sum-exp", at_least(0));
    bool exact_match = key("exact_match", false,
                           "evaluation also reports the share of targets, and of whole rows, that "
                           "the most likely tokens meet");
  };
  explicit Sft(const Config& config) : with_(config) {}

  Loss loss(const Batch& batch, const ObjectivePass& pass) override {
    const DeviceBatch device = on_device(batch, pass);
    const Tensor hidden = pass.model->hidden(device.input);
    const HeadLoss head = pass.model->cross_entropy(hidden, device.targets, device.weights,
                                                    {with_.smoothing, with_.z_loss});
    return {head.sum, device.weight, {}};
  }

  // Held-out loss is the plain cross-entropy, whatever the training adds to it.
  Loss evaluate(const Batch& batch, const ObjectivePass& pass) override {
    const DeviceBatch device = on_device(batch, pass);
    const Tensor hidden = pass.model->hidden(device.input);
    const HeadLoss plain = pass.model->cross_entropy(hidden, device.targets, device.weights);
    Loss result{plain.sum, device.weight, {}};
    if (with_.exact_match) add_matches(batch, hidden, *pass.model, result);
    return result;
  }

 private:
  static DeviceBatch on_device(const Batch& batch, const ObjectivePass& pass) {
    if (!pass.model->causal()) {
      fail("objective 'sft' asks for the next token, which a model that sees both sides is shown: ",
           "use a causal model such as 'gpt', or the objective 'masked'");
    }
    if (!batch.experience.rewards.empty()) {
      fail("objective 'sft' learns from examples, and the feed hands out what a policy lived ",
           "through: use a feed of the dataset, such as 'rows'");
    }
    DeviceBatch device(batch, *pass.parameters);
    device.input.pass = pass.options;
    return device;
  }

  // Greedy decoding writes a whole response exactly when the most likely token is right at each of
  // its places, so no generation is needed to know it.
  static void add_matches(const Batch& batch, const Tensor& hidden, const Model& model,
                          Loss& result) {
    Metric tokens{"accuracy", 0, 0};
    Metric rows{"exact_match", 0, 0};
    for (std::int64_t row = 0; row < batch.rows; ++row) {
      const std::int64_t begin = row * batch.length;
      const Tensor window = slice(hidden, 0, begin, begin + batch.length);
      const std::vector<double> logits = model.logits(window).values();
      const auto width = static_cast<std::ptrdiff_t>(logits.size()) / batch.length;
      bool whole = true;
      bool any = false;
      for (std::int64_t t = 0; t < batch.length; ++t) {
        const auto place = static_cast<std::size_t>(begin + t);
        if (batch.weights[place] == 0 || batch.targets[place] < 0) continue;
        const auto first = logits.begin() + t * width;
        const bool right = std::max_element(first, first + width) - first == batch.targets[place];
        tokens.sum += right ? 1 : 0;
        tokens.weight += 1;
        whole = whole && right;
        any = true;
      }
      if (!any) continue;
      rows.sum += whole ? 1 : 0;
      rows.weight += 1;
    }
    result.metrics.push_back(tokens);
    result.metrics.push_back(rows);
  }

  Options with_;
};

LATHE_PLUGIN(Objective, Sft, "sft", "1.0.0")
}  // namespace lathe
