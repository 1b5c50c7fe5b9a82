// Policy gradients: losses and gradients by hand, gradients against central differences in f64,
// returns of REINFORCE, and the check that sampling and learning see the same policy.
#include <gtest/gtest.h>
#include <lathe/base/random.h>

#include <cmath>
#include <map>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::error_of;
using testing::Tiny;
using Numbers = std::vector<float>;
using Doubles = std::vector<double>;

const char* const tabular = R"(
seed = 5
[environment]
use = "cliff_walking"
[feed]
use = "rollouts"
environments = 2
steps = 6
[model]
use = "table"
[objective]
use = "ppo"
normalise = "none"
[train]
batch = 1
precision = "f64"
[backend]
use = "reference"
)";

ObjectivePass pass_for(const Session& session) {
  return {.model = session.model.get(), .parameters = &session.parameters, .options = {}};
}

double& entry(Session& session, const char* name, std::int64_t at) {
  return session.parameters.find(name)->master.view().as<double>()[at];
}

std::map<std::string, std::vector<double>> gradients_of(Session& session, const Batch& batch,
                                                        Loss& loss) {
  session.parameters.begin_gradients();
  Tape tape;
  loss = session.objective->loss(batch, pass_for(session));
  tape.backward(loss.sum);
  session.parameters.finish_gradients();
  std::map<std::string, std::vector<double>> all;
  for (const Parameter& parameter : session.parameters.all()) {
    all[parameter.name] = parameter.gradient.values();
  }
  return all;
}

// Four places in the states 10 ... 13, prepared; the last does not count. The policy is even.
Batch four_places() {
  Batch batch;
  batch.rows = 4;
  batch.length = 1;
  batch.tokens = {10, 11, 12, 13};
  batch.targets = {0, 1, 2, 3};
  batch.weights = {1, 1, 1, 0};
  batch.prepared = true;
  Experience& lived = batch.experience;
  lived.rewards = {0, 0, 0, 0};
  const auto was = [](double ratio) { return std::log(0.25 / ratio); };
  lived.log_probabilities = {was(1.5), was(0.5), was(1.5), was(1)};
  lived.advantages = {2, -1, -1, 100};
  lived.values = {0.5, 0.5, 0.5, 0.5};
  lived.returns = {2, 0, -1, 100};
  return batch;
}

TEST(Ppo, LossAndGradientByHand) {
  Tiny tiny(tabular);
  const auto session = tiny.session({"objective.entropy=0.1"});
  entry(*session, "values", 10) = 1;
  entry(*session, "values", 11) = 0.6;
  entry(*session, "values", 12) = 1;
  const Batch batch = four_places();
  Loss loss;
  auto gradients = gradients_of(*session, batch, loss);
  // min(1.5 * 2, 1.2 * 2), min(.5 * -1, .8 * -1), min(1.5 * -1, 1.2 * -1)
  const double policy = -2.4 + 0.8 + 1.5;
  // max((1 - 2)^2, (.7 - 2)^2), (.6 - 0)^2, max((1 + 1)^2, (.7 + 1)^2)
  const double value = 0.5 * (1.69 + 0.36 + 4);
  EXPECT_NEAR(loss.sum.item(), policy + 0.5 * value - 0.1 * 3 * std::log(4), 1e-6);
  EXPECT_EQ(loss.weight, 3);
  const std::vector<double>& preferences = gradients["preferences"];
  for (std::size_t at = 0; at < preferences.size(); ++at) {
    // Only place 2 is on a side that is not clipped: d(-r A)/dlogits = r (1[a] - pi), A = -1.
    const bool there = at / 4 == 12;
    const double expected = there ? 1.5 * ((at % 4 == 2 ? 1 : 0) - 0.25) : 0;
    EXPECT_NEAR(preferences[at], expected, 1e-6) << at;
  }
  const std::vector<double>& values = gradients["values"];
  for (std::size_t state = 0; state < values.size(); ++state) {
    // Place 0 is clipped on the larger side; v (V - R) at the others.
    const double expected = state == 11 ? 0.5 * 0.6 : state == 12 ? 0.5 * 2 : 0;
    EXPECT_NEAR(values[state], expected, 1e-7) << state;
  }
  std::map<std::string, double> metrics;
  for (const Metric& metric : loss.metrics) metrics[metric.name] = metric.sum / metric.weight;
  EXPECT_NEAR(metrics.at("policy/clipfrac_avg"), 1, 1e-12);
  EXPECT_NEAR(metrics.at("val/ratio"), 3.5 / 3, 1e-7);
  EXPECT_NEAR(metrics.at("policy/approxkl_avg"),
              (0.5 - std::log(1.5) - 0.5 - std::log(0.5) + 0.5 - std::log(1.5)) / 3, 1e-7);
  EXPECT_NEAR(metrics.at("policy/entropy_avg"), std::log(4), 1e-9);
  EXPECT_NEAR(metrics.at("loss/policy_avg"), policy / 3, 1e-7);
  EXPECT_NEAR(metrics.at("loss/value_avg"), value / 3, 1e-7);
  EXPECT_FALSE(loss.stop);
}

TEST(Ppo, WithoutValueClipAndWithEarlyStop) {
  Tiny tiny(tabular);
  const auto session = tiny.session(
      {"objective.value_clip=0.0", "objective.target_kl=0.07", "objective.value_weight=1.0"});
  entry(*session, "values", 10) = 1;
  const Batch batch = four_places();
  Loss loss;
  auto gradients = gradients_of(*session, batch, loss);
  EXPECT_NEAR(loss.sum.item(), -0.1 + 0.5 * (1 + 0 + 1), 1e-6);
  EXPECT_NEAR(gradients["values"][10], -1, 1e-7);
  EXPECT_TRUE(loss.stop) << "the distance is .127, above 1.5 times .07";
  const auto patient = tiny.session({"objective.target_kl=0.09"});
  gradients_of(*patient, batch, loss);
  EXPECT_FALSE(loss.stop);
}

// Both clips shrink with what is left of the run.
TEST(Ppo, LinearClip) {
  Tiny tiny(tabular);
  const auto session = tiny.session({"objective.clip_schedule=linear", "objective.clip=0.8"});
  Batch batch = four_places();
  batch.weights = {1, 0, 0, 0};
  batch.experience.values[0] = batch.experience.returns[0] = 0;
  ObjectivePass pass = pass_for(*session);
  const NoGradient silent;
  pass.progress = 0;
  EXPECT_NEAR(session->objective->loss(batch, pass).sum.item(), -2 * 1.5, 1e-6);
  pass.progress = 0.5;
  EXPECT_NEAR(session->objective->loss(batch, pass).sum.item(), -2 * 1.4, 1e-6);
}

TEST(Ppo, NormalisesEachMinibatch) {
  Tiny tiny(tabular);
  const auto session =
      tiny.session({"objective.normalise=minibatch", "objective.value_weight=0.0"});
  Batch batch = four_places();
  for (double& log : batch.experience.log_probabilities) log = std::log(0.25);
  batch.experience.advantages = {1, 3, 8, 100};  // mean 4, variance 26/3
  Loss loss;
  const auto gradients = gradients_of(*session, batch, loss);
  EXPECT_NEAR(loss.sum.item(), 0, 1e-6);
  const double unit = 1 / std::sqrt(26.0 / 3);
  EXPECT_NEAR(gradients.at("preferences")[40], -(1 - 4) * unit * 0.75, 1e-6);
  EXPECT_NEAR(gradients.at("preferences")[50], -(8 - 4) * unit * 0.75, 1e-6);
}

TEST(A3c, LossAndGradientByHand) {
  Tiny tiny(tabular);
  const auto session = tiny.session({"objective=a3c", "objective.entropy=0.1"});
  entry(*session, "values", 11) = 0.75;
  entry(*session, "preferences", 48) = std::log(3);  // of state 12: 1/2, 1/6, 1/6, 1/6
  const Batch batch = four_places();
  Loss loss;
  auto gradients = gradients_of(*session, batch, loss);
  const double entropy = 0.5 * std::log(2) + 0.5 * std::log(6);
  EXPECT_NEAR(loss.sum.item(),
              2 * std::log(4) - std::log(4) - std::log(6) + 0.5 * 0.5 * (4 + 0.75 * 0.75 + 1) -
                  0.1 * (2 * std::log(4) + entropy),
              1e-6);
  EXPECT_NEAR(gradients["preferences"][40], -2 * 0.75, 1e-7);
  EXPECT_NEAR(gradients["preferences"][41], 2 * 0.25, 1e-7);
  EXPECT_NEAR(gradients["preferences"][45], 0.75, 1e-7);
  // -A (1[a] - p) with A = -1, and e p (log p + H)
  EXPECT_NEAR(gradients["preferences"][48], -0.5 + 0.1 * 0.5 * (std::log(0.5) + entropy), 1e-7);
  EXPECT_NEAR(gradients["preferences"][50], 5.0 / 6 + 0.1 / 6 * (std::log(1.0 / 6) + entropy),
              1e-7);
  EXPECT_NEAR(gradients["values"][10], 0.5 * -2, 1e-7);
  EXPECT_NEAR(gradients["values"][11], 0.5 * 0.75, 1e-7);
  EXPECT_NEAR(gradients["values"][12], 0.5 * 1, 1e-7);
  EXPECT_EQ(gradients["values"][13], 0);
}

// One row: an episode of three steps, another of one, a third that has not ended.
Batch three_episodes() {
  Batch batch;
  batch.rows = 1;
  batch.length = 6;
  batch.tokens = {10, 11, 12, 13, 14, 15};
  batch.targets = {0, 1, 2, 3, 0, 1};
  batch.weights.assign(6, 1.0F);
  Experience& lived = batch.experience;
  lived.rewards = {1, 2, 4, 8, 16, 32};
  lived.discounts = {0.5F, 0.5F, 0, 0.5F, 0.5F, 0.5F};
  lived.terminated = {0, 0, 1, 0, 0, 0};
  lived.truncated = {0, 0, 0, 1, 0, 0};
  lived.open_places = {3, 5};
  lived.open_states = {20, 21};
  return batch;
}

TEST(Reinforce, ReturnsOfWholeEpisodes) {
  Tiny tiny(tabular);
  const auto prepared = [&](const std::vector<std::string>& changes) {
    const auto session = tiny.session(changes);
    Batch batch = three_episodes();
    if (session->fit.values) entry(*session, "values", 11) = 3;
    const NoGradient silent;
    session->objective->prepare(batch, pass_for(*session));
    return batch;
  };
  const Batch plain = prepared({"objective=reinforce"});
  EXPECT_EQ(plain.weights, (Numbers{1, 1, 1, 1, 0, 0})) << "what has not ended has no return";
  EXPECT_EQ(plain.experience.returns, (Numbers{3, 4, 4, 8, 0, 0}));
  EXPECT_EQ(plain.experience.advantages, (Doubles{3, 4, 4, 8, 0, 0}));
  const Batch mean = prepared({"objective=reinforce", "objective.baseline=mean"});
  EXPECT_EQ(mean.experience.advantages, (Doubles{-1.75, -0.75, -0.75, 3.25, 0, 0}));
  const Batch value = prepared({"objective=reinforce", "objective.baseline=value"});
  EXPECT_EQ(value.experience.advantages, (Doubles{3, 1, 4, 8, 0, 0}));
  EXPECT_EQ(value.experience.returns, plain.experience.returns);
}

TEST(Reinforce, GradientByHand) {
  Tiny tiny(tabular);
  const auto session = tiny.session({"objective=reinforce"});
  Batch batch = three_episodes();
  {
    const NoGradient silent;
    session->objective->prepare(batch, pass_for(*session));
  }
  Loss loss;
  const auto gradients = gradients_of(*session, batch, loss);
  EXPECT_NEAR(loss.sum.item(), (3 + 4 + 4 + 8) * std::log(4), 1e-9);
  EXPECT_EQ(loss.weight, 4);
  EXPECT_NEAR(gradients.at("preferences")[40], -3 * 0.75, 1e-9);
  EXPECT_NEAR(gradients.at("preferences")[52], 8 * 0.25, 1e-9);
  EXPECT_NEAR(gradients.at("preferences")[56], 0, 1e-12);
}

// A network on CartPole or Pendulum (a Gaussian policy), away from its beginning.
const char* const network = R"(
seed = 6
[environment]
use = "cartpole"
[feed]
use = "rollouts"
environments = 2
steps = 9
[model]
use = "mlp"
layers = [5]
policy_gain = 1.0
[objective]
use = "ppo"
[train]
batch = 1
precision = "f64"
[backend]
use = "reference"
)";

// (L(w + h) - L(w - h)) / 2h for every weight.
void expect_central_differences(const std::vector<std::string>& changes) {
  Tiny tiny(network);
  const auto session = tiny.session(changes);
  Batch batch = session->feed->batch(0);
  batch.first = false;  // the weights are moved
  const auto loss_now = [&] {
    const NoGradient silent;
    return session->objective->loss(batch, pass_for(*session)).sum.item();
  };
  loss_now();  // the first look at a collection, with its own policy
  const RandomStream random(9, "away", 0);
  std::uint64_t at = 0;
  for (Parameter& parameter : session->parameters.all()) {
    double* const weights = parameter.master.view().as<double>();
    for (std::int64_t i = 0; i < parameter.shape.count(); ++i) {
      weights[i] += 0.1 * random.normal(at++);
    }
  }
  Loss loss;
  const auto gradients = gradients_of(*session, batch, loss);
  double largest = 0;
  for (Parameter& parameter : session->parameters.all()) {
    double* const weights = parameter.master.view().as<double>();
    for (std::int64_t i = 0; i < parameter.shape.count(); ++i) {
      const double kept = weights[i], h = 1e-5;
      weights[i] = kept + h;
      const double up = loss_now();
      weights[i] = kept - h;
      const double down = loss_now();
      weights[i] = kept;
      const double slope = (up - down) / (2 * h);
      const double gradient = gradients.at(parameter.name)[static_cast<std::size_t>(i)];
      EXPECT_NEAR(gradient, slope, 1e-6 * (1 + std::abs(slope))) << parameter.name << " " << i;
      largest = std::max(largest, std::abs(gradient));
    }
  }
  EXPECT_GT(largest, 0.1);
}

TEST(Gradient, OfPpo) { expect_central_differences({"objective.entropy=0.05"}); }
TEST(Gradient, OfPpoOnNumbers) {
  expect_central_differences({"environment=pendulum", "objective.entropy=0.05"});
}
TEST(Gradient, OfPpoWithSharedLayers) {
  expect_central_differences({"model.values=shared", "objective.normalise=collection"});
}
TEST(Gradient, OfA3c) { expect_central_differences({"objective=a3c"}); }
TEST(Gradient, OfReinforce) {
  expect_central_differences({"objective=reinforce", "objective.baseline=value",
                              "objective.entropy=0.05", "feed.steps=40"});
}

// Exactly 1 on the first look; another policy is noticed.
TEST(Ppo, TheFirstRatioIsExactlyOne) {
  for (const char* const precision : {"f32", "f64"}) {
    Tiny tiny(network);
    const auto session = tiny.session(
        {cat("train.precision=", precision), "feed.minibatches=4", "feed.environments=5"});
    const Batch batch = session->feed->batch(0);
    const NoGradient silent;
    for (const Metric& metric : session->objective->loss(batch, pass_for(*session)).metrics) {
      if (metric.name != "val/ratio") continue;
      EXPECT_EQ(metric.sum, metric.weight) << precision;
    }
  }
  Tiny tiny(network);
  const auto session = tiny.session();
  const Batch batch = session->feed->batch(0);
  entry(*session, "head.bias", 0) += 1e-4;
  const NoGradient silent;
  EXPECT_NE(
      error_of([&] { session->objective->loss(batch, pass_for(*session)); }).find("not exactly 1"),
      std::string::npos);
}

// Found before anything runs: what learns on policy has no use for older experience, nor a feed of
// examples for a missing dataset.
TEST(Ppo, TheFeedMustFit) {
  Tiny tiny(network);
  const auto fault = [&](const std::string& feed, const std::string& objective) {
    return error_of([&] { tiny.experiment({"feed=" + feed, "objective=" + objective}); });
  };
  for (const char* const objective : {"ppo", "reinforce", "a3c"}) {
    const std::string text = fault("replay", objective);
    EXPECT_NE(text.find("\"experience of the present policy\""), std::string::npos) << text;
    EXPECT_NE(text.find("rollouts"), std::string::npos) << text;
  }
  tiny.experiment({"feed=replay", "objective=q_learning"});
  for (const char* const feed : {"windows", "rows", "packed", "pairs"}) {
    const std::string text = fault(feed, "q_learning");
    EXPECT_NE(text.find("\"dataset\""), std::string::npos) << text;
  }
}

// A step may take the last parts of one collection and the first of the next: those of the older
// one have been learnt from, which the check of the ratio allows for.
TEST(Ppo, AccumulationMayCrossACollection) {
  for (const std::int64_t accumulation : {2, 3, 5}) {
    Tiny tiny(network);
    const auto session =
        tiny.session({"feed.minibatches=4", "feed.epochs=1",
                      cat("train.accumulation=", accumulation), "optimizer.rate=1e-2"});
    Trainer trainer(*session);
    for (int step = 0; step < 8; ++step) trainer.step();
    EXPECT_EQ(trainer.actions_taken(), 18 * ((8 * accumulation + 3) / 4));
  }
}

// Steps without anything to learn from are no updates: the first update finds the moments as the
// optimizer wants them to begin.
TEST(Reinforce, TheFirstUpdateBeginsTheMoments) {
  std::vector<std::vector<float>> weights;
  for (const char* const initial : {"0.0", "1.0"}) {
    Tiny tiny(network);
    const auto session =
        tiny.session({"objective=reinforce", "environment=cartpole", "feed.environments=1",
                      "feed.steps=4", "optimizer.use=rmsprop", cat("optimizer.initial=", initial)});
    Trainer trainer(*session);
    trainer.step();
    EXPECT_EQ(trainer.state.updates, 0) << "no episode has ended";
    while (trainer.state.updates < 2 && trainer.state.step < 200) trainer.step();
    EXPECT_EQ(trainer.state.updates, 2);
    EXPECT_GT(trainer.state.step, 2);
    weights.push_back(session->parameters.master().floats());
  }
  EXPECT_NE(weights[0], weights[1]);
}

}  // namespace
}  // namespace lathe
