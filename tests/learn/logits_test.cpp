// Scores and losses of logits that are already there, beside the fused heads: with the identity as
// the head's weight both see the same logits.
#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/learn/logits.h>
#include <lathe/plugin/registry.h>

#include <functional>

namespace lathe {
namespace {
using Values = std::vector<double>;

struct Bench {
  std::shared_ptr<Backend> backend;
  Tensor logits, identity, targets, weights;

  Bench() {
    PluginPlaces places;
    places.user_folders = false;
    places.folders = {LATHE_PLUGINS};
    static Registry registry(places);
    backend = registry.create<Backend>("reference", parse_toml("", "test"));
    logits = leaf(of({4, 3}, {1, -2, 0.5, 3, 3, -1, 0, 0.1, 0.2, 900, 0, -900}));
    identity = of({3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1});
    targets = Tensor::of<std::int32_t>(backend, {4}, std::vector<std::int32_t>{2, 0, -1, 0});
    weights = of({4}, {1, 0.5, 2, 0.25});
  }
  Tensor of(const Shape& shape, const Values& values) const {
    return Tensor::of<double>(backend, shape, values);
  }
  Values gradient(const std::function<Tensor()>& loss) {
    logits = leaf(logits.detached());
    Tape tape;
    tape.backward(loss());
    return gradient_of(logits).values();
  }
};

void expect_near(const Values& found, const Values& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 1e-13 * (1 + std::abs(expected[i]))) << "element " << i;
  }
}

TEST(Logits, ScoreIsTheFusedHeads) {
  Bench bench;
  const HeadTokens found = score_logits(bench.logits, bench.targets, 0.7);
  const HeadTokens fused = head_tokens(bench.logits, bench.identity, bench.targets, 0.7);
  expect_near(found.log_probability.values(), fused.log_probability.values());
  expect_near(found.lse.values(), fused.lse.values());
  expect_near(found.entropy.values(), fused.entropy.values());
  EXPECT_EQ(found.log_probability.values()[2], 0);
  const auto loss = [&](const HeadTokens& tokens) {
    return sum(
        multiply(bench.weights, add(tokens.log_probability, scale(square(tokens.entropy), 0.3))));
  };
  const Values own =
      bench.gradient([&] { return loss(score_logits(bench.logits, bench.targets, 0.7)); });
  const Values expected = bench.gradient(
      [&] { return loss(head_tokens(bench.logits, bench.identity, bench.targets, 0.7)); });
  expect_near(own, expected);
  EXPECT_EQ((Values{own[6], own[7], own[8]}), (Values{0, 0, 0})) << "the third row does not count";
}

TEST(Logits, LossIsTheFusedHeads) {
  Bench bench;
  bench.logits = bench.of({4, 3}, {1, -2, 0.5, 3, 3, -1, 0, 0.1, 0.2, 9, 0, -9});
  const HeadLossOptions options{.smoothing = 0.1, .z_loss = 0.02};
  const HeadLoss found = logits_loss(bench.logits, bench.targets, bench.weights, options);
  const HeadLoss fused =
      head_loss(bench.logits, bench.identity, bench.targets, bench.weights, options);
  expect_near(found.sum.values(), fused.sum.values());
  expect_near(found.loss.values(), fused.loss.values());
  expect_near(found.lse.values(), fused.lse.values());
  expect_near(
      bench.gradient(
          [&] { return logits_loss(bench.logits, bench.targets, bench.weights, options).sum; }),
      bench.gradient([&] {
        return head_loss(bench.logits, bench.identity, bench.targets, bench.weights, options).sum;
      }));
}

TEST(Logits, ChosenActionValues) {
  Bench bench;
  EXPECT_EQ(chosen(bench.logits, bench.targets).values(), (Values{0.5, 3, 0, 900}));
  const Values gradient = bench.gradient(
      [&] { return sum(multiply(chosen(bench.logits, bench.targets), bench.weights)); });
  EXPECT_EQ(gradient, (Values{0, 0, 1, 0.5, 0, 0, 0, 0, 0, 0.25, 0, 0}));
}

}  // namespace
}  // namespace lathe
