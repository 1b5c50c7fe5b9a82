// Environments stepping alone, in environment steps/s: random actions, ended episodes begun anew.
// The peer is bench/peers/environments_gymnasium.py.
#include <benchmark/benchmark.h>
#include <lathe/learn/environment.h>
#include <lathe/plugin/registry.h>

namespace {

using namespace lathe;

void step(benchmark::State& state, const char* name) {
  static Registry registry({.user_folders = false, .library_folder = LATHE_PLUGINS});
  const auto environment = registry.create<Environment>(name, Config());
  const auto rows = static_cast<std::size_t>(state.range(0));
  EnvironmentContext context;
  context.rows = state.range(0);
  environment->open(context);
  Observations now = empty_observations(environment->observations(), context.rows);
  Outcomes outcomes = empty_outcomes(context.rows);

  // So many sets of actions, in turns, so that drawing them costs nothing here.
  constexpr std::size_t sets = 61;
  const Space space = environment->actions();
  const RandomStream draws(1, "actions");
  std::vector<Actions> actions(sets);
  for (std::size_t i = 0; i < sets * rows; ++i) {
    if (space.kind == Space::Kind::box) {
      actions[i / rows].numbers.push_back(draws.uniform(i));
    } else {
      const auto count = static_cast<std::uint64_t>(space.size);
      actions[i / rows].choices.push_back(static_cast<std::int32_t>(draws.below(count, i)));
    }
  }

  std::uint64_t episode = 0;
  for (std::int64_t row = 0; row < context.rows; ++row) environment->reset(row, episode++, now);
  std::size_t set = 0;
  for (auto _ : state) {
    environment->step(actions[set], now, outcomes);
    set = set + 1 == sets ? 0 : set + 1;
    for (std::size_t r = 0; r < rows; ++r) {
      if (outcomes.terminated[r] + outcomes.truncated[r] == 0) continue;
      environment->reset(static_cast<std::int64_t>(r), episode++, now);
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * context.rows);
  state.counters["steps an episode"] = static_cast<double>(state.iterations()) *
                                       static_cast<double>(rows) / static_cast<double>(episode);
}

}  // namespace

BENCHMARK_CAPTURE(step, cartpole, "cartpole")->Arg(1)->Arg(8)->Arg(64);
BENCHMARK_CAPTURE(step, mountain_car, "mountain_car")->Arg(8);
BENCHMARK_CAPTURE(step, acrobot, "acrobot")->Arg(8);
BENCHMARK_CAPTURE(step, pendulum, "pendulum")->Arg(8);
BENCHMARK_CAPTURE(step, cliff_walking, "cliff_walking")->Arg(8);
BENCHMARK_CAPTURE(step, frozen_lake, "frozen_lake")->Arg(8);
BENCHMARK_CAPTURE(step, taxi, "taxi")->Arg(8);
BENCHMARK_CAPTURE(step, blackjack, "blackjack")->Arg(8);
BENCHMARK_CAPTURE(step, dialogue, "dialogue")->Arg(8);
