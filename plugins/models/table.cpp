// model "table": one row of numbers per state, the model of tabular methods.
//
//   logits(s) = preferences[s, :]      action values Q(s, .), or preferences of a softmax policy
//   V(s)      = values[s]
//
//   [model]
//   use = "table"
//   initial = 0.0
//
// With optimizer sgd (clip 0) and one row of one place a step, a gradient step on
// (target - Q(s, a))^2 / 2 is the textbook update Q(s, a) += rate (target - Q(s, a)).
#include <lathe/learn/logits.h>
#include <lathe/learn/model.h>
#include <lathe/plugin/plugin.h>

namespace lathe {

class Table final : public Model {
 public:
  struct Options : Keys {
    double initial = key("initial", 0.0,
                         "of all action values or preferences; above what can be reached it makes "
                         "a greedy agent try everything (optimistic initial values)");
    double initial_value = key("initial_value", 0.0, "of all state values");
  };
  explicit Table(const Config& config) : with_(config) {}

  void build(Parameters& parameters, const ModelFit& fit) override {
    if (fit.observations.kind == Space::Kind::box) {
      fail("model 'table' has a row for each state, but the environment shows ",
           fit.observations.size, " numbers: choose model mlp");
    }
    if (fit.actions.kind == Space::Kind::box) {
      fail("model 'table' has a column for each action, but the actions are ", fit.actions.size,
           " numbers: choose model mlp");
    }
    states_ = fit.observations.size > 0 ? fit.observations.size : fit.vocabulary;
    const std::int64_t actions = fit.actions.size > 0 ? fit.actions.size : fit.vocabulary;
    preferences_ = &parameters.add("preferences", {states_, actions},
                                   Initial::constant(with_.initial), false, false);
    if (fit.values) {
      values_ = &parameters.add("values", {states_, 1}, Initial::constant(with_.initial_value),
                                false, false);
    }
  }

  Tensor hidden(const ModelInput& input) const override {
    return embedding(input.tokens, preferences_->value);
  }
  Tensor logits(const Tensor& hidden) const override { return hidden; }
  HeadTokens score(const Tensor& hidden, const Tensor& targets, double temperature) const override {
    return score_logits(hidden, targets, temperature);
  }
  HeadLoss cross_entropy(const Tensor& hidden, const Tensor& targets, const Tensor& weights,
                         const HeadLossOptions& options) const override {
    return logits_loss(hidden, targets, weights, options);
  }
  Tensor values(const ModelInput& input, const Tensor& hidden) const override {
    if (values_ == nullptr) return Model::values(input, hidden);
    return embedding(input.tokens, values_->value).reshape({input.tokens.count()});
  }

 private:
  Options with_;
  std::int64_t states_ = 0;
  Parameter* preferences_ = nullptr;
  Parameter* values_ = nullptr;
};

LATHE_PLUGIN(Model, Table, "table", "1.0.0")
}  // namespace lathe
