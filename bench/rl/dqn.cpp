// DQN on CartPole with CleanRL's settings: environment steps and updates a second, of processor
// time on one thread and of the clock on several, with the share of random actions of a run's
// second half (peers act faster while they explore). bench/peers/dqn_cartpole.py measures a loop of
// CleanRL's form and Stable-Baselines3 in the same way.
//
//   bench_dqn [--steps 5000] [--variant zoo] [--threads 1]      --steps: those that are timed
#include <lathe/base/error.h>
#include <lathe/learn/components.h>
#include <lathe/run/trainer.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

namespace lathe {
namespace {

double seconds(int threads) {
  timespec now{};
  clock_gettime(threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void measure(std::int64_t steps, int threads, std::vector<std::string> changes) {
  changes.push_back(cat("train.threads=", threads));
  PluginPlaces places;
  places.folders = {LATHE_PLUGINS};
  Registry registry(places);
  add_components(registry);
  const Experiment experiment(std::string(LATHE_SOURCE) + "/experiments/rl/dqn_cartpole.toml",
                              changes, registry);
  Session session(experiment, registry, {.work_folder = ".", .tokenizer_folder = {}});
  Trainer trainer(session);
  const double begun = seconds(threads);
  trainer.step();  // fills the memory first
  const auto filled = static_cast<double>(session.feed->actions_taken());
  const double start = seconds(threads);
  std::printf("before learning   %9.0f steps/s\n", filled / (start - begun));
  for (std::int64_t step = 1; step < steps; ++step) trainer.step();
  const double passed = seconds(threads) - start;
  const auto taken = static_cast<double>(session.feed->actions_taken()) - filled;
  std::printf("while learning    %9.0f steps/s  %9.0f updates/s  %11.0f transitions/s\n",
              taken / passed, static_cast<double>(steps - 1) / passed,
              static_cast<double>((steps - 1) * session.train.batch) / passed);
}

}  // namespace
}  // namespace lathe

int main(int count, char** arguments) {
  std::int64_t steps = 5000;
  int threads = 1;
  std::vector<std::string> changes = {"objective.epsilon=0.05", "objective.epsilon_steps=0"};
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string name = arguments[i];
    if (name == "--steps") steps = std::atoll(arguments[i + 1]);
    if (name == "--threads") threads = std::atoi(arguments[i + 1]);
    if (name == "--variant") changes.insert(changes.begin(), std::string("@") + arguments[i + 1]);
  }
  try {
    lathe::measure(steps, threads, changes);
  } catch (const lathe::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
