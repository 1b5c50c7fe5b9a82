// model "mlp": a network of fully connected layers for control tasks: preferences or action values
// of discrete actions, a Gaussian policy over actions that are numbers, and state values.
//
//   [model]
//   use = "mlp"
//   layers = [64, 64]
//   activation = "tanh"
//
//   h_0 = observation (a state: one-hot),  h_k = activation(W_k h_(k-1) + b_k)
//   logits = W h + b;  dueling (Wang et al., 2016): v + a - mean(a), with v = w h + c, a = W h + b
//   box actions: density N(W h + b, exp(log_deviation)^2), independent by component
//
// State values come from a network of their own (values = "separate") or from h. Weights begin
// orthogonal with the gains below (Andrychowicz et al., 2021, and common PPO practice: a small gain
// of the last policy layer), biases at 0; initial = "uniform" is PyTorch's default,
// +-1/sqrt(inputs) for weights and biases alike, which published DQN settings were found with.
#include <lathe/learn/logits.h>
#include <lathe/learn/model.h>
#include <lathe/plugin/plugin.h>

#include <cmath>
#include <numbers>
#include <string>
#include <vector>

namespace lathe {

class Mlp final : public Model {
 public:
  struct Options : Keys {
    std::vector<std::int64_t> layers =
        key("layers", {64, 64}, "widths of the hidden layers", at_least(1));
    std::string activation = key("activation", "tanh", "after each hidden layer",
                                 one_of({"tanh", "relu", "silu", "gelu", "sigmoid"}));
    std::string values = key("values", "separate",
                             "state values from hidden layers of their own, or from the policy's",
                             one_of({"separate", "shared"}));
    bool dueling = key("dueling", false,
                       "action values as a state value plus advantages whose mean is subtracted");
    std::string initial = key("initial", "orthogonal", "of the weights: see above",
                              one_of({"orthogonal", "uniform"}));
    double gain = key("gain", std::numbers::sqrt2, "of orthogonal hidden layers", at_least(0));
    double policy_gain = key("policy_gain", 0.01,
                             "of the orthogonal last layer of a policy; for action values 1 is "
                             "usual",
                             at_least(0));
    double value_gain =
        key("value_gain", 1.0, "of the orthogonal last layer of state values", at_least(0));
    double log_deviation =
        key("log_deviation", 0.0, "box actions: first logarithm of the standard deviations");
  };
  explicit Mlp(const Config& config) : with_(config), joined_(joined(with_.activation)) {}

  void build(Parameters& parameters, const ModelFit& fit) override;
  Tensor hidden(const ModelInput& input) const override { return forward(policy_, input); }
  Tensor logits(const Tensor& hidden) const override;
  HeadTokens score(const Tensor& hidden, const Tensor& targets, double temperature) const override {
    return score_logits(logits(hidden), targets, temperature);
  }
  HeadLoss cross_entropy(const Tensor& hidden, const Tensor& targets, const Tensor& weights,
                         const HeadLossOptions& options) const override {
    return logits_loss(logits(hidden), targets, weights, options);
  }
  Tensor values(const ModelInput& input, const Tensor& hidden) const override;
  HeadTokens score_moves(const Tensor& hidden, const Tensor& moves) const override;
  Tensor deviations() const override;

 private:
  struct Layer {
    Parameter* weight = nullptr;  // [O, I]; [S, O] where the input is a state
    Parameter* bias = nullptr;    // [O]
  };

  Layer make_layer(Parameters& parameters, const std::string& name, std::int64_t in,
                   std::int64_t out, double gain, bool from_states) const;
  std::vector<Layer> make_trunk(Parameters& parameters, const std::string& name) const;
  Tensor forward(const std::vector<Layer>& trunk, const ModelInput& input) const;
  Tensor activate(const Layer& layer, const Tensor& x) const;
  Tensor curved(const Tensor& x) const;

  static Activation joined(const std::string& name);

  Options with_;
  Activation joined_;    // what the backend does in one with the product; none: curved() follows
  bool states_ = false;  // the input is one of `inputs_` states, else as many numbers
  std::int64_t inputs_ = 0;
  std::vector<Layer> policy_;
  std::vector<Layer> value_;
  Layer head_;
  Layer dueling_;
  Layer value_head_;
  Parameter* log_deviation_ = nullptr;  // [A]
};

Mlp::Layer Mlp::make_layer(Parameters& parameters, const std::string& name, std::int64_t in,
                           std::int64_t out, double gain, bool from_states) const {
  const Shape shape = from_states ? Shape{in, out} : Shape{out, in};
  if (with_.initial == "orthogonal") {
    return {&parameters.matrix(name + ".weight", shape, Initial::orthogonal(gain)),
            &parameters.vector(name + ".bias", out, Initial::zeros())};
  }
  const Initial uniform = Initial::uniform(1 / std::sqrt(static_cast<double>(in)));
  return {&parameters.matrix(name + ".weight", shape, uniform),
          &parameters.vector(name + ".bias", out, uniform)};
}

std::vector<Mlp::Layer> Mlp::make_trunk(Parameters& parameters, const std::string& name) const {
  std::vector<Layer> trunk;
  std::int64_t width = inputs_;
  for (const std::int64_t next : with_.layers) {
    const bool from_states = states_ && trunk.empty();
    trunk.push_back(
        make_layer(parameters, cat(name, ".", trunk.size()), width, next, with_.gain, from_states));
    width = next;
  }
  return trunk;
}

void Mlp::build(Parameters& parameters, const ModelFit& fit) {
  states_ = fit.observations.kind != Space::Kind::box;
  inputs_ = fit.observations.size > 0 ? fit.observations.size : fit.vocabulary;
  if (states_ && with_.layers.empty()) {
    fail("model 'mlp' without hidden layers on an environment of ", inputs_,
         " states is a table: choose model table");
  }
  const std::int64_t actions = fit.actions.size > 0 ? fit.actions.size : fit.vocabulary;
  const std::int64_t width = with_.layers.empty() ? inputs_ : with_.layers.back();
  policy_ = make_trunk(parameters, "hidden");
  head_ = make_layer(parameters, "head", width, actions, with_.policy_gain, false);
  if (with_.dueling) {
    dueling_ = make_layer(parameters, "dueling", width, 1, with_.value_gain, false);
  }
  if (fit.values) {
    if (with_.values == "separate") value_ = make_trunk(parameters, "value");
    value_head_ = make_layer(parameters, "value.head", width, 1, with_.value_gain, false);
  }
  if (fit.actions.kind == Space::Kind::box) {
    log_deviation_ =
        &parameters.vector("log_deviation", actions, Initial::constant(with_.log_deviation));
  }
}

Tensor Mlp::curved(const Tensor& x) const {
  if (with_.activation == "tanh") return tanh(x);
  if (with_.activation == "relu") return relu(x);
  if (with_.activation == "silu") return silu(x);
  if (with_.activation == "sigmoid") return sigmoid(x);
  return gelu_tanh(x);
}

Activation Mlp::joined(const std::string& name) {
  if (name == "relu") return Activation::relu;
  if (name == "silu") return Activation::silu;
  if (name == "gelu") return Activation::gelu_tanh;
  return Activation::none;
}

Tensor Mlp::activate(const Layer& layer, const Tensor& x) const {
  const Tensor y = linear(x, layer.weight->value, layer.bias->value, joined_);
  return joined_ == Activation::none ? curved(y) : y;
}

Tensor Mlp::forward(const std::vector<Layer>& trunk, const ModelInput& input) const {
  Tensor x;
  std::size_t next = 0;
  if (states_) {
    const Tensor row = embedding(input.tokens, trunk[0].weight->value);
    x = curved(add(row, cast(trunk[0].bias->value, row.dtype())));
    next = 1;
  } else {
    const DType type = head_.weight->value.dtype();
    x = cast(input.observations, type);
  }
  for (; next < trunk.size(); ++next) x = activate(trunk[next], x);
  return x;
}

Tensor Mlp::logits(const Tensor& hidden) const {
  const Tensor all = linear(hidden, head_.weight->value, head_.bias->value);
  if (!with_.dueling) return all;
  const Tensor state = linear(hidden, dueling_.weight->value, dueling_.bias->value);
  return add(subtract(all, mean(all, -1)), state);
}

Tensor Mlp::values(const ModelInput& input, const Tensor& hidden) const {
  if (value_head_.weight == nullptr) return Model::values(input, hidden);
  const Tensor own = value_.empty() ? hidden : forward(value_, input);
  const Tensor column = linear(own, value_head_.weight->value, value_head_.bias->value);
  return cast(column, wide_type(column.dtype())).reshape({column.size(0)});
}

// log N(x; mean, d) = -((x - mean) / d)^2 / 2 - log d - log(2 pi) / 2, its entropy
// log d + log(2 pi e) / 2; both are sums over the components.
HeadTokens Mlp::score_moves(const Tensor& hidden, const Tensor& moves) const {
  if (log_deviation_ == nullptr) return Model::score_moves(hidden, moves);
  const Tensor& logs = log_deviation_->value;
  const Tensor mean_move = cast(logits(hidden), logs.dtype());
  const std::int64_t rows = mean_move.size(0);
  const Tensor distance = multiply(subtract(moves, mean_move), exp(negate(logs)));
  const Tensor density = add(scale(square(distance), -0.5), negate(logs));
  const auto width = static_cast<double>(logs.count());
  const double half_log = 0.5 * std::log(2 * std::numbers::pi);
  HeadTokens result;
  result.log_probability = shift(sum(density, -1), -width * half_log).reshape({rows});
  const Tensor ones = Tensor::full(logs.shared_backend(), {rows}, logs.dtype(), 1);
  result.entropy = multiply(ones, shift(sum(logs), width * (half_log + 0.5)));
  return result;
}

Tensor Mlp::deviations() const {
  return log_deviation_ == nullptr ? Model::deviations() : exp(log_deviation_->value);
}

LATHE_PLUGIN(Model, Mlp, "mlp", "1.0.0")
}  // namespace lathe
