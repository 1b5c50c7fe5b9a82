// The five probes, each of which tests one more part of an agent: PPO and A3C must learn the exact
// values and the best actions in all of them.
#include <gtest/gtest.h>
#include <lathe/learn/policy.h>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::Tiny;

const char* const probe = R"(
[environment]
use = "probe_constant"
[model]
use = "mlp"
layers = [16]
[train]
batch = 1
steps = 100000
[evaluate]
episodes = 20
[objective]
use = "ppo"
[feed]
use = "rollouts"
environments = 8
steps = 16
[optimizer]
rate = 0.01
epsilon = 1e-5
)";
const std::vector<std::string> ppo = {"objective=ppo", "objective.value_clip=0.0", "feed.epochs=2",
                                      "feed.minibatches=2"};
const std::vector<std::string> a3c = {"objective=a3c", "asynchronous.workers=3",
                                      "feed.environments=2"};

struct Probe {
  std::string name;
  std::vector<float> seen;     // observations
  std::vector<double> values;  // of them, under the best policy
  double best = 0;             // return
};
// discount .99
const std::vector<Probe> probes = {{"probe_constant", {0}, {1}, 1},
                                   {"probe_observation", {-1, 1}, {-1, 1}, 0},
                                   {"probe_discount", {0, 1}, {0.99, 1}, 1},
                                   {"probe_action", {0}, {1}, 1},
                                   {"probe_both", {-1, 1}, {1, 1}, 1}};

void expect_solved(const std::vector<std::string>& agent, std::int64_t steps) {
  for (const Probe& probe_of : probes) {
    for (int seed = 0; seed < 3; ++seed) {
      std::vector<std::string> changes = agent;
      changes.push_back("environment=" + probe_of.name);
      changes.push_back(cat("seed=", seed));
      Tiny tiny(probe);
      const auto session = tiny.session(changes);
      Trainer trainer(*session);
      for (std::int64_t step = 0; step < steps; ++step) trainer.step();
      Batch ends;
      ends.experience.width = 1;
      ends.experience.open_observations = probe_of.seen;
      for (std::size_t i = 0; i < probe_of.seen.size(); ++i) {
        ends.experience.open_places.push_back(static_cast<std::int64_t>(i));
      }
      const std::vector<double> values = open_values(
          ends, {.model = session->model.get(), .parameters = &session->parameters, .options = {}});
      for (std::size_t i = 0; i < values.size(); ++i) {
        EXPECT_NEAR(values[i], probe_of.values[i], 0.1)
            << probe_of.name << ", seed " << seed << ", sees " << probe_of.seen[i];
      }
      if (probe_of.name != "probe_observation") {  // whose return is chance
        EXPECT_EQ(trainer.evaluate().value("return"), probe_of.best) << probe_of.name << seed;
      }
    }
  }
}

TEST(Probes, AreSolvedByPpo) { expect_solved(ppo, 160); }
TEST(Probes, AreSolvedByA3c) { expect_solved(a3c, 300); }

}  // namespace
}  // namespace lathe
