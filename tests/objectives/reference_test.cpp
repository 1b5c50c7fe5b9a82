// Published and simulated results of tabular learning, from runs in this process. Few runs keep the
// test short; LATHE_RUNS=50 (100 for the walk) measures what the experiments' heads state.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::Tiny;

std::int64_t runs_or(std::int64_t few) {
  const char* const wanted = std::getenv("LATHE_RUNS");
  return wanted == nullptr ? few : std::atoll(wanted);
}

struct Mean {
  double value = 0;
  double error = 0;  // standard error
};
Mean mean_of(const std::vector<double>& all) {
  Mean mean;
  const auto n = static_cast<double>(all.size());
  for (const double x : all) mean.value += x / n;
  for (const double x : all) mean.error += std::pow(x - mean.value, 2);
  mean.error = std::sqrt(mean.error / (n - 1) / n);
  return mean;
}

double metric(const StepReport& report, const std::string& name, double otherwise) {
  for (const Metric& one : report.metrics) {
    if (one.name == name) return one.sum / one.weight;
  }
  return otherwise;
}

// Mean return of the last 100 of 500 episodes; `greedy` gets what the table then earns.
double cliff(const std::string& variant, std::int64_t seed, Registry& registry, double* greedy) {
  std::vector<std::string> changes = {cat("seed=", seed), "backend=reference"};
  if (!variant.empty()) changes.push_back(variant);
  const Experiment experiment(std::string(LATHE_SOURCE) + "/experiments/rl/cliff_walking.toml",
                              changes, registry);
  Session session(experiment, registry, {.work_folder = ".", .tokenizer_folder = {}});
  Trainer trainer(session);
  double sum = 0;
  for (int episodes = 0; episodes < 500;) {
    const double earned = metric(trainer.step(), "return", 1);  // below 0 where an episode ended
    if (earned == 1) continue;
    if (episodes >= 400) sum += earned / 100;
    ++episodes;
  }
  if (greedy != nullptr) *greedy = trainer.evaluate().value("return");
  return sum;
}

TEST(Reference, CliffWalking) {
  Registry registry(testing::built_plugins());
  add_components(registry);
  struct Case {
    const char* variant;
    double expected, deviation;
  };
  for (const Case& one :
       {Case{"", -51.2, 6.9}, {"@sarsa", -27.4, 5.5}, {"@expected", -21.3, 1.5}}) {
    SCOPED_TRACE(one.variant);
    const std::int64_t runs = runs_or(4);
    std::vector<double> all;
    double greedy = 0;
    for (std::int64_t seed = 1; seed <= runs; ++seed) {
      all.push_back(cliff(one.variant, seed, registry, *one.variant == 0 ? &greedy : nullptr));
      if (*one.variant == 0) {
        EXPECT_EQ(greedy, -13) << "seed " << seed;
      }
    }
    const Mean found = mean_of(all);
    RecordProperty(cat("mean", one.variant), cat(found.value));
    std::printf("%s: %.2f +- %.2f over %d runs\n", *one.variant == 0 ? "q_learning" : one.variant,
                found.value, found.error, static_cast<int>(runs));
    // What 50 runs keep within 2.5; of fewer, four standard errors of the known deviation.
    const double tolerance =
        std::max(2.5, 4 * one.deviation / std::sqrt(static_cast<double>(runs)));
    EXPECT_NEAR(found.value, one.expected, tolerance);
  }
}

// Root mean square error over the 19 states after each of 10 episodes, averaged.
double walk(int n, double rate, std::int64_t seed, Registry& registry) {
  const std::vector<std::string> changes = {cat("seed=", seed), "backend=reference",
                                            "train.precision=f64", cat("feed.steps=", n),
                                            cat("optimizer.rate=", rate)};
  const Experiment experiment(std::string(LATHE_SOURCE) + "/experiments/rl/random_walk.toml",
                              changes, registry);
  Session session(experiment, registry, {.work_folder = ".", .tokenizer_folder = {}});
  Trainer trainer(session);
  const double* const values = session.parameters.find("preferences")->master.view().as<double>();
  double sum = 0;
  for (int episode = 0; episode < 10; ++episode) {
    // The episode's end comes with the first of its last n transitions.
    double length = 0;
    while (length == 0) length = metric(trainer.step(), "length", 0);
    for (int left = std::min(n, static_cast<int>(length)) - 1; left > 0; --left) trainer.step();
    double square = 0;
    for (int state = 1; state <= 19; ++state) {
      square += std::pow(values[state] - (state / 10.0 - 1), 2) / 19;
    }
    sum += std::sqrt(square) / 10;
  }
  return sum;
}

TEST(Reference, RandomWalkErrorByN) {
  Registry registry(testing::built_plugins());
  add_components(registry);
  struct Case {
    int n;
    double rate, expected;
  };
  for (const Case& one :
       {Case{1, 0.8, 0.344}, {2, 0.6, 0.276}, {4, 0.4, 0.264}, {8, 0.2, 0.279}, {16, 0.1, 0.321}}) {
    const std::int64_t runs = runs_or(12);
    std::vector<double> all;
    for (std::int64_t seed = 1; seed <= runs; ++seed) {
      all.push_back(walk(one.n, one.rate, seed, registry));
    }
    const Mean found = mean_of(all);
    std::printf("n %d: %.4f +- %.4f over %d runs\n", one.n, found.value, found.error,
                static_cast<int>(runs));
    EXPECT_NEAR(found.value, one.expected, std::max(0.01, 4 * found.error)) << "n = " << one.n;
    EXPECT_LT(found.error, 0.02);
  }
}

}  // namespace
}  // namespace lathe
