// RMSProp and the places of epsilon against their formulas, weight by weight, in double.
#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/learn/optimizers.h>
#include <lathe/plugin/registry.h>

#include <cmath>
#include <functional>

namespace lathe {
namespace {
using Values = std::vector<double>;

std::shared_ptr<Backend> reference() {
  PluginPlaces places;
  places.user_folders = false;
  places.folders = {LATHE_PLUGINS};
  static Registry registry(places);
  static const std::shared_ptr<Backend> backend =
      registry.create<Backend>("reference", parse_toml("", "test"));
  return backend;
}

// One weight: p, two moments, the gradient, the rate of this step and its number from 1.
using Rule = std::function<void(double& p, double& m, double& v, double g, double rate, double t)>;

void expect_rule(const Optimizer& optimizer, const Rule& rule) {
  const auto backend = reference();
  Values weights = {0.5, -1.5, 2, 0.25};
  Values gradient = {0.02, -3, 1e-5, 0};
  Values first(4), second(4);
  const auto of = [&](const Values& values) { return Tensor::of<double>(backend, {4}, values); };
  const Tensor parameter = of(weights);
  const Tensor moment1 = of(first), moment2 = of(second);
  for (int step = 1; step <= 3; ++step) {
    const double scale = 0.5;
    optimizer.step(*backend, {.parameter = parameter,
                              .gradient = of(gradient),
                              .first = moment1,
                              .second = optimizer.moments() > 1 ? moment2 : Tensor(),
                              .shadow = {},
                              .gradient_scale = scale,
                              .rate_factor = 1.0 / step,
                              .decay = true,
                              .step = step});
    for (std::size_t i = 0; i < 4; ++i) {
      rule(weights[i], first[i], second[i], scale * gradient[i], optimizer.rate() / step, step);
      EXPECT_NEAR(parameter.values()[i], weights[i], 1e-14) << "weight " << i << ", step " << step;
      gradient[i] = -0.7 * gradient[i] + 0.01;
    }
  }
}

TEST(RmsProp, EpsilonOutsideTheRootAsInPyTorch) {
  const Config config = parse_toml("rate = 0.01\nsmoothing = 0.9\nepsilon = 0.001", "test");
  expect_rule(RmsProp(config), [](double& p, double& m, double&, double g, double rate, double) {
    m = 0.9 * m + 0.1 * g * g;
    p -= rate * g / (std::sqrt(m) + 0.001);
  });
}

TEST(RmsProp, EpsilonInsideTheRootFromOnesAsInTensorFlow) {
  const Config config =
      parse_toml("rate = 0.01\nepsilon = 0.1\nepsilon_form = \"inside\"\ninitial = 1.0", "test");
  expect_rule(RmsProp(config), [](double& p, double& m, double&, double g, double rate, double t) {
    if (t == 1) m = 1;
    m = 0.99 * m + 0.01 * g * g;
    p -= rate * g / std::sqrt(m + 0.1);
  });
}

void adam(double& p, double& m, double& v, double g, double rate, double t, bool tensorflow) {
  m = 0.9 * m + 0.1 * g;
  v = 0.999 * v + 0.001 * g * g;
  const double correction = std::sqrt(1 - std::pow(0.999, t));
  const double step = rate / (1 - std::pow(0.9, t));
  p -= tensorflow ? step * correction * m / (std::sqrt(v) + 0.001)
                  : step * m / (std::sqrt(v) / correction + 0.001);
}

TEST(AdamW, EpsilonAfterAndBeforeTheCorrection) {
  expect_rule(AdamW(parse_toml("rate = 0.01\nepsilon = 0.001", "test")),
              [](double& p, double& m, double& v, double g, double rate, double t) {
                adam(p, m, v, g, rate, t, false);
              });
  expect_rule(
      AdamW(parse_toml("rate = 0.01\nepsilon = 0.001\nepsilon_form = \"tensorflow\"", "test")),
      [](double& p, double& m, double& v, double g, double rate, double t) {
        adam(p, m, v, g, rate, t, true);
      });
}

}  // namespace
}  // namespace lathe
