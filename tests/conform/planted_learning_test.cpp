// The suites of schedules, optimizers, environments, models and objectives find planted faults.
#include <lathe/conform/small_model.h>
#include <lathe/learn/environment.h>
#include <lathe/learn/objective.h>
#include <lathe/learn/optimizer.h>
#include <lathe/learn/policy.h>
#include <lathe/tensor/ops.h>

#include <cmath>

#include "planted.h"

namespace lathe {
namespace {
using testing::expect_said;
using testing::said_of;

enum class Fault { none, one, two, three, four };

// one: above the peak; two: another answer each time.
template <Fault fault>
class PlantedSchedule final : public Schedule {
 public:
  double factor(std::int64_t step, std::int64_t total) const override {
    const double share = static_cast<double>(step) / static_cast<double>(total);
    if (fault == Fault::one) return 1 + share;
    if (fault == Fault::two) return 1.0 / static_cast<double>(++calls_);
    return 1 - share;
  }

 private:
  mutable std::int64_t calls_ = 0;
};

TEST(PlantedFaults, Schedules) {
  using Good = PlantedSchedule<Fault::none>;
  EXPECT_EQ((said_of<Schedule, Good>("in_range")), "");
  EXPECT_EQ((said_of<Schedule, Good>("pure")), "");
  expect_said(said_of<Schedule, PlantedSchedule<Fault::one>>("in_range"),
              "the factor of step 1 of 2 is 1.5, expected 0 to 1");
  expect_said(said_of<Schedule, PlantedSchedule<Fault::two>>("pure"), "step 7 of 97 had");
}

// Plain momentum. one: uphill; two: no use of its moment; three: scales the gradient after the
// moment; four: looks at its neighbours.
template <Fault fault>
class PlantedOptimizer final : public Optimizer {
 public:
  int moments() const override { return 1; }
  double rate() const override { return 0.05; }
  void step(Backend&, const OptimizerStep& step) const override {
    double largest = 0;
    auto* p = step.parameter.view().as<double>();
    auto* g = step.gradient.view().as<double>();
    auto* m = step.first.view().as<double>();
    for (std::int64_t i = 0; i < step.parameter.count(); ++i) {
      largest = std::max(largest, std::abs(g[i]));
    }
    for (std::int64_t i = 0; i < step.parameter.count(); ++i) {
      const double scaled = fault == Fault::three ? g[i] : g[i] * step.gradient_scale;
      const double moment = 0.5 * m[i] + scaled;
      if (fault != Fault::two) m[i] = moment;
      const double direction = fault == Fault::one    ? -moment
                               : fault == Fault::four ? moment / (1 + largest)
                                                      : moment;
      p[i] -= rate() * step.rate_factor * direction;
    }
  }
};

TEST(PlantedFaults, Optimizers) {
  for (const char* test : {"moments", "rests", "scales", "windows", "descends", "same_twice"}) {
    EXPECT_EQ((said_of<Optimizer, PlantedOptimizer<Fault::none>>(test)), "") << test;
  }
  expect_said(said_of<Optimizer, PlantedOptimizer<Fault::one>>("descends"),
              "200 steps on a quadratic led from");
  expect_said(said_of<Optimizer, PlantedOptimizer<Fault::two>>("moments"),
              "it asks for a first moment and leaves it at 0");
  expect_said(said_of<Optimizer, PlantedOptimizer<Fault::three>>("scales"),
              "acts otherwise than a quarter of it");
  expect_said(said_of<Optimizer, PlantedOptimizer<Fault::four>>("windows"),
              "depends on its neighbours");
}

// A coin is tossed until five are counted. one: chance follows the order of calls; two: both ends
// at once; three: a state beyond the last; four: save() forgets the count.
template <Fault fault>
class Coins final : public Environment {
 public:
  void open(const EnvironmentContext& context) override {
    seed_ = context.seed;
    counts_.assign(static_cast<std::size_t>(context.rows), 0);
    steps_ = episodes_ = counts_;
  }
  Space observations() const override { return Space::discrete(6); }
  Space actions() const override { return Space::discrete(2); }
  void reset(std::int64_t row, std::uint64_t episode, Observations& now) override {
    const auto r = static_cast<std::size_t>(row);
    counts_[r] = steps_[r] = 0;
    episodes_[r] = static_cast<std::int64_t>(episode);
    now.states[r] = 0;
  }
  void step(const Actions& actions, Observations& now, Outcomes& outcomes) override {
    for (std::size_t r = 0; r < counts_.size(); ++r) {
      if (actions.choices[r] < 0) continue;
      const RandomStream random(seed_, "coins", static_cast<std::uint64_t>(episodes_[r]));
      const auto index = static_cast<std::uint64_t>(fault == Fault::one ? ++calls_ : steps_[r]);
      ++steps_[r];
      counts_[r] += static_cast<std::int64_t>(random.below(2, index));
      const bool end = counts_[r] >= 5;
      now.states[r] = static_cast<std::int32_t>(counts_[r]) + (end && fault == Fault::three);
      outcomes.rewards[r] = static_cast<float>(actions.choices[r]);
      outcomes.terminated[r] = end ? 1 : 0;
      outcomes.truncated[r] = end && fault == Fault::two ? 1 : 0;
    }
  }
  void save(State& state) const override {
    if (fault != Fault::four) state.put("counts", counts_);
    state.put("steps", steps_);
    state.put("episodes", episodes_);
  }
  void load(const State& state) override {
    if (fault != Fault::four) counts_ = state.get<std::int64_t>("counts");
    steps_ = state.get<std::int64_t>("steps");
    episodes_ = state.get<std::int64_t>("episodes");
  }

 private:
  std::uint64_t seed_ = 0;
  std::int64_t calls_ = 0;
  std::vector<std::int64_t> counts_, steps_, episodes_;
};

TEST(PlantedFaults, Environments) {
  for (const char* test : {"spaces", "contract", "singles", "resumes", "rests", "episodes", "seeds",
                           "shows", "same_twice"}) {
    EXPECT_EQ((said_of<Environment, Coins<Fault::none>>(test)), "") << test;
  }
  expect_said(said_of<Environment, Coins<Fault::one>>("singles"), "sees or gets something else");
  expect_said(said_of<Environment, Coins<Fault::one>>("episodes"), "runs otherwise in another row");
  expect_said(said_of<Environment, Coins<Fault::two>>("contract"),
              "terminated and truncated at once");
  expect_said(said_of<Environment, Coins<Fault::three>>("contract"),
              "the observation is outside its space");
  expect_said(said_of<Environment, Coins<Fault::four>>("resumes"), "goes on otherwise");
}

// one: a part of the gradient is lost; two: says that it is causal and looks ahead; three: knows
// something besides its parameters; four: learns nothing.
template <Fault fault>
class PlantedModel final : public Model {
 public:
  PlantedModel() : inner_(fault != Fault::two) {}
  void build(Parameters& parameters, const ModelFit& fit) override {
    inner_.build(parameters, fit);
    static int built = 0;
    number_ = ++built;
  }
  Tensor hidden(const ModelInput& input) const override {
    const Tensor h = inner_.hidden(input);
    if (fault == Fault::one) return add(h, scale(square(h.detached()), 0.1));
    if (fault == Fault::three) return scale(h, number_);
    return h;
  }
  const Parameter& head() const override { return inner_.head(); }
  HeadLoss cross_entropy(const Tensor& hidden, const Tensor& targets, const Tensor& weights,
                         const HeadLossOptions& options) const override {
    const Tensor scaled = fault == Fault::four ? scale(weights, -1) : weights;
    return Model::cross_entropy(hidden, targets, scaled, options);
  }
  Tensor values(const ModelInput& input, const Tensor& hidden) const override {
    return inner_.values(input, hidden);
  }
  HeadTokens score_moves(const Tensor& hidden, const Tensor& moves) const override {
    HeadTokens tokens = inner_.score_moves(hidden, moves);
    if (fault == Fault::four) tokens.entropy = scale(tokens.entropy, -1);
    return tokens;
  }
  Tensor deviations() const override {
    const Tensor own = inner_.deviations();
    return fault == Fault::three ? scale(own, 2) : own;
  }

 private:
  conform::SmallModel inner_;
  int number_ = 0;
};

TEST(PlantedFaults, Models) {
  for (const char* test : {"builds", "gradients", "agrees", "saved", "alone", "sees", "overfits"}) {
    EXPECT_EQ((said_of<Model, PlantedModel<Fault::none>>(test)), "") << test;
  }
  expect_said(said_of<Model, PlantedModel<Fault::none>>("cached"), "does not write token by token");
  expect_said(said_of<Model, PlantedModel<Fault::one>>("gradients"), "central differences give");
  expect_said(said_of<Model, PlantedModel<Fault::two>>("sees"),
              "it is causal() and yet a place depends on a later token");
  expect_said(said_of<Model, PlantedModel<Fault::three>>("saved"), "gives other logits");
  expect_said(said_of<Model, PlantedModel<Fault::three>>("same_twice"), "different results");
  expect_said(said_of<Model, PlantedModel<Fault::four>>("agrees"), "cross_entropy is -");
  expect_said(said_of<Model, PlantedModel<Fault::four>>("overfits"), "led from a loss of");
  expect_said(said_of<Model, PlantedModel<Fault::three>>("agrees"),
              "score_moves is not the log-density");
  expect_said(said_of<Model, PlantedModel<Fault::four>>("agrees"),
              "the entropy that score_moves gives is not that of its Gaussians");
}

// Cross-entropy. one: the mean in place of the sum; two: places of weight 0 pull a little; three:
// a gradient of the wrong sign; four: 0 / 0 where nothing counts.
template <Fault fault>
class PlantedObjective final : public Objective {
 public:
  Loss loss(const Batch& batch, const ObjectivePass& pass) override {
    Batch seen = batch;
    if (fault == Fault::two) {
      for (float& weight : seen.weights) weight += 0.01f;
    }
    const DeviceBatch device(seen, *pass.parameters);
    const Tensor hidden = pass.model->hidden(device.input);
    const double factor = fault == Fault::one || fault == Fault::four ? 1 / device.weight : 1;
    const Tensor weights = scale(device.weights, factor);
    const HeadLoss head = pass.model->cross_entropy(hidden, device.targets, weights);
    if (fault == Fault::three) {
      const HeadTokens tokens = pass.model->score(hidden, device.targets, 1);
      const Tensor likely = sum(multiply(tokens.log_probability, weights));
      return {.sum = subtract(scale(likely, 1), scale(likely.detached(), 2)),
              .weight = device.weight};
    }
    if (fault == Fault::four) return {.sum = head.sum, .weight = 1};
    return {.sum = head.sum, .weight = device.weight};
  }
};

// The policy gradient of one action. one: its sign is lost where actions are numbers; two: moves of
// places without weight pull.
template <Fault fault>
class PlantedPolicy final : public Objective {
 public:
  static constexpr const char* needs[] = {"environment"};
  Loss loss(const Batch& batch, const ObjectivePass& pass) override {
    if (batch.experience.moves.empty()) fail("it takes numbers alone");
    const PolicyPass now = policy_pass(batch, pass, 1, false);
    Tensor gain = multiply(now.log_probability, places_tensor(pass, batch.experience.rewards));
    if (fault == Fault::one) gain = subtract(scale(gain.detached(), 2), gain);
    std::vector<float> weights = batch.weights;
    if (fault == Fault::two) {
      for (float& weight : weights) weight += 0.01f;
    }
    Loss loss{.sum = sum(multiply(gain, places_tensor(pass, weights)))};
    for (const float weight : weights) loss.weight += static_cast<double>(weight);
    return loss;
  }
};

TEST(PlantedFaults, ObjectivesOfMoves) {
  for (const char* test : {"loses", "gradients", "unweighted", "nothing_counts", "adds_up"}) {
    EXPECT_EQ((said_of<Objective, PlantedPolicy<Fault::none>>(test)), "") << test;
  }
  expect_said(said_of<Objective, PlantedPolicy<Fault::one>>("gradients"),
              "control by numbers: the gradient of log_deviation is");
  expect_said(said_of<Objective, PlantedPolicy<Fault::two>>("unweighted"),
              "control by numbers: the actions or targets of places with weight 0 change");
}

TEST(PlantedFaults, Objectives) {
  for (const char* test :
       {"loses", "gradients", "unweighted", "nothing_counts", "adds_up", "resumes", "same_twice"}) {
    EXPECT_EQ((said_of<Objective, PlantedObjective<Fault::none>>(test)), "") << test;
  }
  expect_said(said_of<Objective, PlantedObjective<Fault::one>>("adds_up"), "two halves lose");
  expect_said(said_of<Objective, PlantedObjective<Fault::two>>("unweighted"),
              "the actions or targets of places with weight 0 change the gradient");
  expect_said(said_of<Objective, PlantedObjective<Fault::three>>("gradients"),
              "central differences give");
  expect_said(said_of<Objective, PlantedObjective<Fault::four>>("nothing_counts"),
              "with all weights 0 the loss is");
}

}  // namespace
}  // namespace lathe
