// The models of control: each gradient against central differences in f64 on the reference backend,
// and what they compute against formulas.
#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/learn/logits.h>

#include <cmath>
#include <functional>
#include <numbers>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using Values = std::vector<double>;
using Ints = std::vector<std::int32_t>;

struct Built {
  Registry registry{testing::built_plugins()};
  std::shared_ptr<Backend> backend;
  std::unique_ptr<Model> model;
  Parameters parameters;
  ModelInput input;
  Tensor actions;
  static constexpr std::int64_t rows = 5;

  Built(const std::string& use, const std::string& options, const ModelFit& fit) {
    backend = registry.create<Backend>("reference", parse_toml("", "test"));
    model = registry.create<Model>(use, parse_toml(options, "test"));
    model->build(parameters, fit);
    parameters.allocate(backend, Precision::f64, 4);
    input.places = {.rows = rows, .length = 1, .positions = integers(Ints(rows)), .segments = {}};
    actions = integers({2, 0, 1, 2, 0});
    if (fit.observations.kind == Space::Kind::box) {
      input.observations = random("observations", {rows, fit.observations.size});
    } else {
      input.tokens = integers({0, 3, 1, 3, 2});
    }
    for (Parameter& parameter : parameters.all()) {  // so that no weight stands at a special value
      auto* values = parameter.master.view().as<double>();
      const RandomStream stir(11, "stir/" + parameter.name);
      for (std::int64_t i = 0; i < parameter.shape.count(); ++i) {
        values[i] += 0.3 * stir.normal(static_cast<std::uint64_t>(i));
      }
    }
  }
  Tensor integers(const Ints& values) const {
    return Tensor::of<std::int32_t>(backend, {static_cast<std::int64_t>(values.size())}, values);
  }
  Tensor random(const std::string& name, const Shape& shape) const {
    Values values;
    for (std::int64_t i = 0; i < shape.count(); ++i) {
      values.push_back(RandomStream(2, name).normal(static_cast<std::uint64_t>(i)));
    }
    return Tensor::of<double>(backend, shape, values);
  }
  Tensor weighted(const Tensor& x) const { return sum(multiply(x, random("weights", x.shape()))); }
};

void expect_gradients(Built& built, const std::function<Tensor()>& loss) {
  built.parameters.begin_gradients();
  {
    Tape tape;
    tape.backward(loss());
  }
  built.parameters.finish_gradients();
  constexpr double h = 1e-5;
  for (const Parameter& parameter : built.parameters.all()) {
    const Values gradient = parameter.gradient.values();
    auto* values = parameter.master.view().as<double>();
    double norm = 0;
    double error = 0;
    for (std::int64_t i = 0; i < parameter.shape.count(); ++i) {
      const double before = values[i];
      values[i] = before + h;
      const double above = loss().item();
      values[i] = before - h;
      const double below = loss().item();
      values[i] = before;
      const double slope = (above - below) / (2 * h);
      norm += slope * slope;
      error += std::pow(slope - gradient[static_cast<std::size_t>(i)], 2);
    }
    EXPECT_GT(norm, 1e-12) << parameter.name << " has no gradient";
    EXPECT_LE(std::sqrt(error), 1e-7 * std::sqrt(norm)) << parameter.name;
  }
}

ModelFit box_fit(std::int64_t actions) {
  return {.vocabulary = actions,
          .context = 1,
          .observations = Space::box({-1, -1, -1, -1}, {1, 1, 1, 1}),
          .actions = Space::discrete(actions),
          .values = true};
}
ModelFit state_fit() {
  return {.vocabulary = 3,
          .context = 1,
          .observations = Space::discrete(4),
          .actions = Space::discrete(3),
          .values = true};
}

// Log-probability, entropy, action value and state value in one scalar.
Tensor everything(const Built& built) {
  const Tensor hidden = built.model->hidden(built.input);
  const HeadTokens score = built.model->score(hidden, built.actions, 0.8);
  const Tensor value = chosen(built.model->logits(hidden), built.actions);
  return add(add(built.weighted(score.log_probability), built.weighted(square(score.entropy))),
             add(built.weighted(square(value)),
                 built.weighted(square(built.model->values(built.input, hidden)))));
}

TEST(ControlModels, MlpGradients) {
  for (const char* options :
       {"layers = [6, 5]", "layers = [6, 5]\nvalues = \"shared\"", "layers = [5]\ndueling = true",
        "layers = [6]\nactivation = \"relu\"\ninitial = \"uniform\"",
        "layers = [6, 5]\nactivation = \"silu\"", "layers = [6]\nactivation = \"gelu\"",
        "layers = [6, 4]\nactivation = \"sigmoid\"", "layers = []"}) {
    SCOPED_TRACE(options);
    Built built("mlp", options, box_fit(3));
    expect_gradients(built, [&] { return everything(built); });
  }
}

TEST(ControlModels, MlpOfStatesAndTableGradients) {
  Built states("mlp", "layers = [6, 5]", state_fit());
  expect_gradients(states, [&] { return everything(states); });
  Built table("table", "", state_fit());
  expect_gradients(table, [&] { return everything(table); });
}

TEST(ControlModels, GaussianGradients) {
  ModelFit fit = box_fit(2);
  fit.actions = Space::box({-2, -2}, {2, 2});
  Built built("mlp", "layers = [5]", fit);
  const Tensor moves = built.random("moves", {Built::rows, 2});
  expect_gradients(built, [&] {
    const Tensor hidden = built.model->hidden(built.input);
    const HeadTokens score = built.model->score_moves(hidden, moves);
    return add(add(built.weighted(square(score.log_probability)), built.weighted(score.entropy)),
               built.weighted(built.model->values(built.input, hidden)));
  });
}

TEST(ControlModels, GptValueGradients) {
  ModelFit fit{.vocabulary = 5, .context = 5, .values = true};
  Built built("gpt", "layers = 1\nheads = 2\nwidth = 4\nhidden = 6\ntied = false", fit);
  built.input.places = {
      .rows = 1, .length = 5, .positions = built.integers({0, 1, 2, 3, 4}), .segments = {}};
  expect_gradients(built, [&] {
    const Tensor hidden = built.model->hidden(built.input);
    const HeadTokens score = built.model->score(hidden, built.actions, 0.8);
    return add(built.weighted(score.log_probability),
               built.weighted(square(built.model->values(built.input, hidden))));
  });
}

TEST(ControlModels, GptValueHeadBeginsAtZeroOrNormal) {
  const auto weight = [](const std::string& options) {
    Registry registry(testing::built_plugins());
    const auto model = registry.create<Model>("gpt", parse_toml(options, "test"));
    Parameters parameters;
    model->build(parameters, {.vocabulary = 5, .context = 5, .values = true});
    parameters.allocate(registry.create<Backend>("reference", parse_toml("", "test")),
                        Precision::f32, 1);
    return parameters.find("value_head.weight")->master.values();
  };
  const std::string small = "layers = 0\nheads = 1\nwidth = 4095\n";
  EXPECT_EQ(weight(small), Values(4095, 0.0));
  double square = 0;
  for (const double w : weight(small + "value_initial = \"normal\"")) square += w * w;
  EXPECT_NEAR(square, 1, 0.1) << "4095 weights of variance 1 / 4096";
}

TEST(ControlModels, GaussianDensityAndEntropy) {
  ModelFit fit = box_fit(2);
  fit.actions = Space::box({-2, -2}, {2, 2});
  Built built("mlp", "layers = [5]", fit);
  const Tensor hidden = built.model->hidden(built.input);
  const Tensor moves = built.random("moves", {Built::rows, 2});
  const HeadTokens score = built.model->score_moves(hidden, moves);
  const Values mean = built.model->logits(hidden).values();
  const Values deviation = built.model->deviations().values();
  const Values x = moves.values();
  for (std::size_t n = 0; n < Built::rows; ++n) {
    double density = 1;
    double entropy = 0;
    for (std::size_t a = 0; a < 2; ++a) {
      const double variance = deviation[a] * deviation[a];
      const double off = x[2 * n + a] - mean[2 * n + a];
      density *= std::exp(-off * off / (2 * variance)) / std::sqrt(2 * std::numbers::pi * variance);
      entropy += std::log(2 * std::numbers::pi * std::numbers::e * variance) / 2;
    }
    EXPECT_NEAR(score.log_probability.values()[n], std::log(density), 1e-12);
    EXPECT_NEAR(score.entropy.values()[n], entropy, 1e-12);
  }
}

// v + a - mean(a): the mean of the action values is the state's.
TEST(ControlModels, DuelingSubtractsTheMeanAdvantage) {
  Built built("mlp", "layers = [5]\ndueling = true", box_fit(3));
  const Tensor hidden = built.model->hidden(built.input);
  const Values q = built.model->logits(hidden).values();
  const Tensor state = linear(hidden, built.parameters.find("dueling.weight")->value,
                              built.parameters.find("dueling.bias")->value);
  const Tensor raw = linear(hidden, built.parameters.find("head.weight")->value,
                            built.parameters.find("head.bias")->value);
  for (std::size_t n = 0; n < Built::rows; ++n) {
    const double* row = &q[3 * n];
    EXPECT_NEAR((row[0] + row[1] + row[2]) / 3, state.values()[n], 1e-14);
    EXPECT_NEAR(row[0] - row[1], raw.values()[3 * n] - raw.values()[3 * n + 1], 1e-14);
  }
}

TEST(ControlModels, TableIsItsRows) {
  Built built("table", "initial = 2.5\ninitial_value = -1.0", state_fit());
  const Values table = built.parameters.find("preferences")->master.values();
  const Values logits = built.model->logits(built.model->hidden(built.input)).values();
  const Ints states = built.input.tokens.integers();
  for (std::size_t n = 0; n < Built::rows; ++n) {
    for (std::size_t a = 0; a < 3; ++a) {
      EXPECT_EQ(logits[3 * n + a], table[3 * static_cast<std::size_t>(states[n]) + a]);
    }
  }
  Parameters fresh;
  const auto model = built.registry.create<Model>(
      "table", parse_toml("initial = 2.5\ninitial_value = -1.0", "test"));
  model->build(fresh, state_fit());
  fresh.allocate(built.backend, Precision::f32, 1);
  EXPECT_EQ(fresh.find("preferences")->master.values(), Values(12, 2.5));
  EXPECT_EQ(fresh.find("values")->master.values(), Values(4, -1.0));
}

TEST(ControlModels, RefuseWhatTheyCannotHold) {
  EXPECT_NE(testing::error_of([] { Built("table", "", box_fit(3)); }).find("choose model mlp"),
            std::string::npos);
  EXPECT_NE(testing::error_of([] {
              Built("mlp", "layers = []", state_fit());
            }).find("choose model table"),
            std::string::npos);
  ModelFit fit = box_fit(3);
  fit.values = false;
  Built built("mlp", "", fit);
  EXPECT_NE(testing::error_of([&] {
              built.model->values(built.input, built.model->hidden(built.input));
            }).find("state values"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
