// PPO on CartPole with CleanRL's settings, on one thread, per second of processor time: environment
// steps with the learnt policy and nothing else; then whole training, environment steps and samples
// (a step counts once in each epoch). bench/peers/ppo_cartpole.py measures CleanRL's loop and
// Stable-Baselines3 in the same way.
//
//   bench_ppo [--collections 200] [--rounds 3]
#include <lathe/base/error.h>
#include <lathe/learn/collector.h>
#include <lathe/learn/components.h>
#include <lathe/run/trainer.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

namespace lathe {
namespace {

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void measure(std::int64_t collections, std::int64_t rounds) {
  PluginPlaces places;
  places.folders = {LATHE_PLUGINS};
  Registry registry(places);
  add_components(registry);
  const Experiment experiment(std::string(LATHE_SOURCE) + "/experiments/rl/ppo_cartpole.toml",
                              {"train.threads=1"}, registry);
  Session session(experiment, registry, {.work_folder = ".", .tokenizer_folder = {}});
  Trainer trainer(session);
  constexpr std::int64_t steps = 16;  // of a collection
  constexpr double epochs = 4;
  for (std::int64_t step = 0; step < 5 * steps; ++step) trainer.step();
  for (const std::int64_t rows : {4, 64}) {
    Collector collector(
        {.seed = session.seed,
         .make_environment =
             [&](std::int64_t count) { return session.make_environment(count, Split::train); },
         .model = session.model.get(),
         .parameters = &session.parameters,
         .objective = session.objective.get()},
        rows);
    for (std::int64_t round = 0; round < rounds; ++round) {
      const double begun = processor_seconds();
      for (std::int64_t i = 0; i < collections; ++i) collector.collect(128, {});
      const double seconds = processor_seconds() - begun;
      std::printf("acting, %2lld rows  %9.0f steps/s\n", static_cast<long long>(rows),
                  static_cast<double>(collections * 128 * rows) / seconds);
    }
  }
  for (std::int64_t round = 0; round < rounds; ++round) {
    const auto taken = session.feed->actions_taken();
    const double begun = processor_seconds();
    for (std::int64_t step = 0; step < collections * steps; ++step) trainer.step();
    const double rate =
        static_cast<double>(session.feed->actions_taken() - taken) / (processor_seconds() - begun);
    std::printf("training          %9.0f steps/s  %9.0f samples/s\n", rate, epochs * rate);
  }
}

}  // namespace
}  // namespace lathe

int main(int count, char** arguments) {
  std::int64_t collections = 200, rounds = 3;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string name = arguments[i];
    if (name == "--collections") collections = std::atoll(arguments[i + 1]);
    if (name == "--rounds") rounds = std::atoll(arguments[i + 1]);
  }
  try {
    lathe::measure(collections, rounds);
  } catch (const lathe::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
