// The optimizers that come with the framework.
#pragma once

#include <lathe/learn/optimizer.h>

#include <string>

namespace lathe {

// AdamW with decoupled weight decay (Loshchilov and Hutter, 2019), placed as in PyTorch:
// p -= rate * decay * p;  p -= rate / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + epsilon)
// TensorFlow adds epsilon to sqrt(v) itself, before the correction of its bias (Kingma and Ba,
// 2015, section 2, last line): then it weighs 1 / sqrt(1 - b2^t) times as much, above all in early
// steps.
class AdamW final : public Optimizer {
 public:
  struct Options : Keys {
    double rate = key("rate", 3e-4, "peak learning rate", at_least(0));
    double beta1 = key("beta1", 0.9, "decay of the first moment", at_least(0), below(1));
    double beta2 = key("beta2", 0.999, "decay of the second moment", at_least(0), below(1));
    double epsilon = key("epsilon", 1e-8, "added to the denominator", at_least(0));
    std::string epsilon_form = key("epsilon_form", "pytorch",
                                   "where epsilon is added: after the correction of the second "
                                   "moment's bias (pytorch) or before it (tensorflow)",
                                   one_of({"pytorch", "tensorflow"}));
    double decay = key("decay", 0.0, "decoupled weight decay of the matrices", at_least(0));
  };
  explicit AdamW(const Config& config) : with_(config) {}

  int moments() const override { return 2; }
  double rate() const override { return with_.rate; }
  void step(Backend& backend, const OptimizerStep& step) const override;

 private:
  Options with_;
};

// Stochastic gradient descent with momentum (Sutskever et al., 2013) as in PyTorch: weight decay is
// added to the gradient; buffer = momentum * buffer + gradient.
class Sgd final : public Optimizer {
 public:
  struct Options : Keys {
    double rate = key("rate", 0.1, "peak learning rate", at_least(0));
    double momentum = key("momentum", 0.0, "share of the last update", at_least(0), below(1));
    bool nesterov = key("nesterov", false, "look ahead along the momentum");
    double decay = key("decay", 0.0, "weight decay of the matrices", at_least(0));
  };
  explicit Sgd(const Config& config);

  int moments() const override { return with_.momentum > 0 ? 1 : 0; }
  double rate() const override { return with_.rate; }
  void step(Backend& backend, const OptimizerStep& step) const override;

 private:
  Options with_;
};

// Lion (Chen et al., 2023): p -= rate * (sign(b1 m + (1 - b1) g) + decay * p);
// m = b2 m + (1 - b2) g.
class Lion final : public Optimizer {
 public:
  struct Options : Keys {
    double rate = key("rate", 1e-4, "peak learning rate", at_least(0));
    double beta1 = key("beta1", 0.9, "share of the momentum in the update", at_least(0), below(1));
    double beta2 = key("beta2", 0.99, "decay of the momentum", at_least(0), below(1));
    double decay = key("decay", 0.0, "decoupled weight decay of the matrices", at_least(0));
  };
  explicit Lion(const Config& config) : with_(config) {}

  int moments() const override { return 1; }
  double rate() const override { return with_.rate; }
  void step(Backend& backend, const OptimizerStep& step) const override;

 private:
  Options with_;
};

// RMSProp (Hinton, 2012), not centred: v = d v + (1 - d) g^2; p -= rate * g / denominator.
// Denominator: sqrt(v) + epsilon as in PyTorch, or sqrt(v + epsilon) as in TensorFlow, which small
// gradients feel: at v = 0 it is sqrt(epsilon), not epsilon. A3C's workers share v: here it is one.
class RmsProp final : public Optimizer {
 public:
  struct Options : Keys {
    double rate = key("rate", 1e-3, "peak learning rate", at_least(0));
    double smoothing = key("smoothing", 0.99, "decay d of the mean square", at_least(0), below(1));
    double epsilon = key("epsilon", 1e-8, "added to the denominator", above(0));
    std::string epsilon_form =
        key("epsilon_form", "outside", "epsilon stands outside the root or inside",
            one_of({"outside", "inside"}));
    double initial = key("initial", 0.0,
                         "of the mean square: 0 as in PyTorch; 1 as in TensorFlow, where first "
                         "steps are short",
                         at_least(0));
  };
  explicit RmsProp(const Config& config) : with_(config) {}

  int moments() const override { return 1; }
  double rate() const override { return with_.rate; }
  void step(Backend& backend, const OptimizerStep& step) const override;

 private:
  Options with_;
};

}  // namespace lathe
