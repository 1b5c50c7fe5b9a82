// Every gradient of a whole GPT against central differences, in f64 on the reference backend.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::Tiny;
using Ints = std::vector<std::int32_t>;

// Moves every weight, so that no bias or norm stands at a value where an error would not show.
void stir(Parameters& parameters) {
  for (Parameter& parameter : parameters.all()) {
    auto* values = parameter.master.view().as<double>();
    const RandomStream random(11, "stir/" + parameter.name);
    for (std::int64_t i = 0; i < parameter.shape.count(); ++i) {
      values[i] += 0.2 * random.normal(static_cast<std::uint64_t>(i));
    }
  }
}

struct Check {
  Session& session;
  Batch batch;
  ObjectivePass pass;

  explicit Check(Session& with)
      : session(with),
        batch(with.feed->batch(1)),
        pass{.model = with.model.get(),
             .parameters = &with.parameters,
             .options = {.training = true, .dropout = RandomStream(5, "dropout", 3)}} {}

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

void expect_exact_gradients(const std::vector<std::string>& options) {
  Tiny tiny(testing::tiny_sums);
  std::vector<std::string> changes = {"backend.use=reference", "train.precision=f64"};
  changes.insert(changes.end(), options.begin(), options.end());
  const auto session = tiny.session(changes);
  stir(session->parameters);
  const Check check(*session);
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
    EXPECT_GT(norm, 1e-12) << parameter.name << " has no gradient";
    EXPECT_LE(std::sqrt(error), 1e-6 * std::sqrt(norm)) << parameter.name;
  }
}

TEST(GptGradient, AsGpt2) { expect_exact_gradients({}); }
TEST(GptGradient, RmsNorm) { expect_exact_gradients({"model.norm=rms"}); }
TEST(GptGradient, Rotary) { expect_exact_gradients({"model.positions=rotary"}); }
TEST(GptGradient, NoPositions) { expect_exact_gradients({"model.positions=none"}); }
TEST(GptGradient, Swiglu) { expect_exact_gradients({"model.activation=swiglu"}); }
TEST(GptGradient, Relu) { expect_exact_gradients({"model.activation=relu"}); }
TEST(GptGradient, Silu) { expect_exact_gradients({"model.activation=silu"}); }
TEST(GptGradient, GeluErf) { expect_exact_gradients({"model.activation=gelu_erf"}); }
TEST(GptGradient, SharedKeyHeads) {
  expect_exact_gradients({"model.key_heads=1", "model.positions=rotary"});
}
TEST(GptGradient, OwnHead) { expect_exact_gradients({"model.tied=false"}); }
TEST(GptGradient, NoBias) { expect_exact_gradients({"model.bias=false"}); }
TEST(GptGradient, Dropout) { expect_exact_gradients({"model.dropout=0.3"}); }
TEST(GptGradient, PackedSegments) {
  const std::vector<std::string> packed = {"feed=packed", "train.length=14",
                                           "model.positions=rotary"};
  Tiny tiny(testing::tiny_sums);
  const Ints segments = tiny.session(packed)->feed->batch(1).segments;
  EXPECT_NE(std::find(segments.begin(), segments.end(), 1), segments.end()) << "nothing is packed";
  expect_exact_gradients(packed);
}
TEST(GptGradient, LabelSmoothing) { expect_exact_gradients({"objective.smoothing=0.1"}); }
TEST(GptGradient, ZLoss) { expect_exact_gradients({"objective.z_loss=0.05"}); }
TEST(GptGradient, AsLlama) {
  expect_exact_gradients({"model.norm=rms", "model.positions=rotary", "model.activation=swiglu",
                          "model.key_heads=1", "model.tied=false", "model.bias=false"});
}
TEST(GptGradient, NoLayers) { expect_exact_gradients({"model.layers=0"}); }

}  // namespace
}  // namespace lathe
