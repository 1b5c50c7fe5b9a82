// Every gradient of a whole model and its objective against central differences, in f64 on the
// reference backend.
#pragma once

#include <gtest/gtest.h>

#include <cmath>

#include "run/tiny_session.h"

namespace lathe::testing {

// Moves every weight, so that no bias or norm stands at a value where an error would not show.
inline void stir(Parameters& parameters) {
  for (Parameter& parameter : parameters.all()) {
    auto* values = parameter.master.view().as<double>();
    const RandomStream random(11, "stir/" + parameter.name);
    for (std::int64_t i = 0; i < parameter.shape.count(); ++i) {
      values[i] += 0.2 * random.normal(static_cast<std::uint64_t>(i));
    }
  }
}

struct GradientCheck {
  Session& session;
  Batch batch;
  ObjectivePass pass;

  explicit GradientCheck(Session& with)
      : session(with),
        batch(with.feed->batch(1)),
        pass{.model = with.model.get(),
             .parameters = &with.parameters,
             .options = {.training = true, .dropout = RandomStream(5, "dropout", 3)},
             .tokenizer = with.tokenizer.get(),
             .seed = with.seed} {}

  double loss() const { return session.objective->loss(batch, pass).sum.item(); }

  void gradients() const {
    session.parameters.begin_gradients();
    Tape tape;
    tape.backward(session.objective->loss(batch, pass).sum);
    session.parameters.finish_gradients();
  }

  // (L(w + h) - L(w - h)) / 2h: the error is h^2/6 of the third derivative (4e-10 here), and
  // 1e-16 L / h (1e-10) from rounding.
  std::vector<double> differences(const Parameter& parameter) const {
    constexpr double h = 2e-5;
    auto* values = parameter.master.view().as<double>();
    std::vector<double> all;
    for (std::int64_t i = 0; i < parameter.shape.count(); ++i) {
      const double before = values[i];
      values[i] = before + h;
      const double above = loss();
      values[i] = before - h;
      const double below = loss();
      values[i] = before;
      all.push_back((above - below) / (2 * h));
    }
    return all;
  }
};

// With these changes of the experiment; `without` has no gradient, as nothing depends on it.
inline void expect_exact_gradients(const std::string& experiment, std::vector<std::string> changes,
                                   const std::string& without = "") {
  Tiny tiny(experiment);
  changes.insert(changes.begin(), {"backend.use=reference", "train.precision=f64"});
  const auto session = tiny.session(changes);
  stir(session->parameters);
  const GradientCheck check(*session);
  check.gradients();
  for (const Parameter& parameter : session->parameters.all()) {
    const std::vector<double> gradient = parameter.gradient.values();
    const std::vector<double> expected = check.differences(parameter);
    double error = 0;
    double norm = 0;
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      error += std::pow(gradient[i] - expected[i], 2);
      norm += std::pow(expected[i], 2);
    }
    if (parameter.name == without) {
      EXPECT_EQ(error, 0) << parameter.name;
      continue;
    }
    EXPECT_GT(norm, 1e-12) << parameter.name << " has no gradient";
    EXPECT_LE(std::sqrt(error), 1e-6 * std::sqrt(norm)) << parameter.name;
  }
}

}  // namespace lathe::testing
