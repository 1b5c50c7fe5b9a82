// What an environment promises.
#include <lathe/conform/play.h>
#include <lathe/conform/suite.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace lathe::conform {
namespace {
std::string exercise(Trial& trial, const Config& options) {
  Play play(trial, options, 3);
  play.begin();
  Digest digest;
  for (int i = 0; i < 40; ++i) {
    for (std::int64_t row = 0; row < 3; ++row) digest.add(play.seen(row));
    play.step_on(3);
  }
  return digest.hex();
}

void check_space(const Trial& trial, const Space& space, const char* what, bool action) {
  trial.expect(space.kind != Space::Kind::none, "its ", what, " have no kind of space");
  trial.expect(space.size > 0, "the space of its ", what, " has the size ", space.size);
  if (space.kind != Space::Kind::box) return;
  const auto size = static_cast<std::size_t>(space.size);
  if (!trial.expect(space.low.size() == size && space.high.size() == size, "the box of its ", what,
                    " has ", space.low.size(), " lower and ", space.high.size(), " upper ends for ",
                    size, " numbers")) {
    return;
  }
  for (std::size_t i = 0; i < size; ++i) {
    trial.expect(space.low[i] <= space.high[i], "number ", i, " of its ", what, " runs from ",
                 space.low[i], " to ", space.high[i]);
    if (action && (std::isinf(space.low[i]) || std::isinf(space.high[i]))) {
      trial.warn("number ", i, " of its actions has no end: random play cannot cover it");
    }
  }
}

bool inside(const Space& space, const Observations& now, std::int64_t row) {
  const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
  if (space.kind == Space::Kind::discrete) {
    return now.states[at(row)] >= 0 && now.states[at(row)] < space.size;
  }
  if (space.kind == Space::Kind::tokens) {
    const auto& tokens = now.tokens[at(row)];
    return !tokens.empty() && std::all_of(tokens.begin(), tokens.end(), [&](std::int32_t id) {
      return id >= 0 && id < space.size;
    });
  }
  for (std::int64_t i = 0; i < space.size; ++i) {
    const float value = now.numbers[at(row * space.size + i)];
    if (!(value >= space.low[at(i)] && value <= space.high[at(i)])) return false;
  }
  return true;
}

void spaces(Trial& trial) {
  Play play(trial, trial.options(), 1);
  check_space(trial, play.environment().observations(), "observations", false);
  check_space(trial, play.environment().actions(), "actions", true);
  const bool tokens = play.environment().observations().kind == Space::Kind::tokens;
  trial.expect(tokens == (play.environment().actions().kind == Space::Kind::tokens),
               "tokens are observed and acted with, or neither");
}

void contract(Trial& trial) {
  constexpr std::int64_t rows = 4;
  Play play(trial, trial.options(), rows);
  const Space space = play.environment().observations();
  play.begin();
  std::int64_t ends = 0;
  for (int step = 0; step < 500 * trial.level(); ++step) {
    for (std::int64_t row = 0; row < rows; ++row) {
      const auto r = static_cast<std::size_t>(row);
      const std::string where = cat("episode ", play.episodes[r], ", step ", play.steps[r]);
      if (!trial.expect(inside(space, play.now, row), where,
                        ": the observation is outside its space") ||
          !trial.expect(std::isfinite(play.outcomes.rewards[r]), where, ": the reward is ",
                        play.outcomes.rewards[r]) ||
          !trial.expect(play.outcomes.terminated[r] == 0 || play.outcomes.truncated[r] == 0, where,
                        ": terminated and truncated at once")) {
        return;
      }
      if (!play.ended(row)) continue;
      ++ends;
      play.reset(row, play.episodes[r] + rows);
    }
    play.step();
    if (!trial.expect(play.outcomes.rewards.size() == rows &&
                          play.outcomes.terminated.size() == rows &&
                          play.outcomes.truncated.size() == rows,
                      "a step changed how many outcomes there are")) {
      return;
    }
  }
  if (ends == 0) {
    trial.warn("no episode ended in ", 500 * trial.level(),
               " steps of random play: give it an end, or a time limit");
  }
}

// The traces of single rows, each in an environment of its own, against one of many rows.
void singles(Trial& trial) {
  constexpr std::int64_t rows = 4;
  Play many(trial, trial.options(), rows);
  many.begin();
  std::vector<std::unique_ptr<Play>> alone;
  for (std::int64_t row = 0; row < rows; ++row) {
    alone.push_back(std::make_unique<Play>(trial, trial.options(), 1));
    alone.back()->reset(0, static_cast<std::uint64_t>(row));
  }
  for (int step = 0; step < 200; ++step) {
    for (std::int64_t row = 0; row < rows; ++row) {
      Play& own = *alone[static_cast<std::size_t>(row)];
      if (!trial.expect(many.seen(row) == own.seen(0), "row ", row, " of ", rows, " at episode ",
                        own.episodes[0], ", step ", own.steps[0],
                        " sees or gets something else than it does alone: random numbers must "
                        "follow (seed, episode, step)")) {
        return;
      }
      own.step_on(rows);
    }
    many.step_on(rows);
  }
}

// An episode is the same whenever and wherever it is begun.
void episodes(Trial& trial) {
  Play one(trial, trial.options(), 2), other(trial, trial.options(), 2);
  one.reset(0, 5);
  one.reset(1, 6);
  other.begin(100);
  other.step();
  other.reset(1, 5);
  other.reset(0, 6);
  for (int step = 0; step < 30; ++step) {
    if (!trial.expect(one.seen(0) == other.seen(1) && one.seen(1) == other.seen(0),
                      "an episode runs otherwise in another row, or after another episode, at "
                      "step ",
                      step)) {
      return;
    }
    if (one.ended(0) || one.ended(1)) return;
    one.step();
    other.step();
  }
}

void rests(Trial& trial) {
  Play play(trial, trial.options(), 3);
  if (play.environment().actions().kind == Space::Kind::box) {
    trial.skip("actions that are numbers have no way to rest");
  }
  Play all(trial, trial.options(), 3);
  play.begin();
  all.begin();
  for (int step = 0; step < 3; ++step) {
    const std::string before = play.seen(1);
    play.step({1});
    all.step();
    trial.expect(play.seen(1) == before, "a row that rested did not keep what it had");
    trial.expect(play.seen(0) == all.seen(0) && play.seen(2) == all.seen(2),
                 "a row that rested changed its neighbours");
    if (all.ended(0) || all.ended(1) || all.ended(2)) return;
  }
}

void resumes(Trial& trial) {
  Play one(trial, trial.options(), 3);
  one.begin();
  for (int step = 0; step < 17; ++step) one.step_on(3);
  trial.phase("saving");
  State state;
  one.environment().save(state);
  Play other(trial, trial.options(), 3);
  trial.phase("loading");
  other.environment().load(state);
  other.now = one.now;
  other.outcomes = one.outcomes;
  other.episodes = one.episodes;
  other.steps = one.steps;
  for (int step = 0; step < 60; ++step) {
    one.step_on(3);
    other.step_on(3);
    for (std::int64_t row = 0; row < 3; ++row) {
      if (!trial.expect(one.seen(row) == other.seen(row), "row ", row,
                        " goes on otherwise from what was saved, after ", step + 1, " steps")) {
        return;
      }
    }
  }
}

void seeds(Trial& trial) {
  Play one(trial, trial.options(), 8, 1), other(trial, trial.options(), 8, 2);
  one.begin();
  other.begin();
  for (int step = 0; step < 30; ++step) {
    for (std::int64_t row = 0; row < 8; ++row) {
      if (one.seen(row) != other.seen(row)) return;
    }
    one.step_on(8);
    other.step_on(8);
  }
  trial.warn("another seed changes nothing: right for a world without chance");
}

// "" when the transitions are a distribution over states of the space.
std::string fault_of(const std::vector<Transition>& ways, const Space& space) {
  double sum = 0;
  for (const Transition& way : ways) {
    if (!(way.probability >= 0)) return cat("the probability ", way.probability);
    if (way.next < 0 || way.next >= space.size) return cat("the state ", way.next);
    if (!std::isfinite(way.reward)) return cat("the reward ", way.reward);
    sum += way.probability;
  }
  return std::abs(sum - 1) < 1e-9 ? "" : cat("probabilities that add up to ", sum);
}

// The model it tells must be the world it plays: what happens is possible, with its reward.
void model(Trial& trial) {
  Play play(trial, trial.options(), 4);
  Environment& environment = play.environment();
  const Space states = environment.observations();
  if (states.kind != Space::Kind::discrete || environment.transitions(0, 0).empty()) {
    trial.skip("it tells no transitions");
  }
  for (std::int32_t state = 0; state < states.size; ++state) {
    for (std::int32_t action = 0; action < environment.actions().size; ++action) {
      const std::string fault = fault_of(environment.transitions(state, action), states);
      if (!trial.expect(fault.empty(), "state ", state, ", action ", action, " has ", fault))
        return;
    }
  }
  const std::vector<Transition> beginnings = environment.beginnings();
  const std::string fault = fault_of(beginnings, states);
  trial.expect(fault.empty(), "its beginnings have ", fault);
  play.begin();
  for (int step = 0; step < 300; ++step) {
    for (std::size_t row = 0; row < 4; ++row) {
      if (play.steps[row] != 0) continue;
      trial.expect(std::any_of(beginnings.begin(), beginnings.end(),
                               [&](const Transition& way) {
                                 return way.probability > 0 && way.next == play.now.states[row];
                               }),
                   "an episode began in state ", play.now.states[row],
                   ", which is none of its beginnings");
    }
    const std::vector<std::int32_t> before = play.now.states;
    const Actions actions = play.draw();
    play.step();
    for (std::size_t row = 0; row < 4; ++row) {
      const auto ways = environment.transitions(before[row], actions.choices[row]);
      const bool possible = std::any_of(ways.begin(), ways.end(), [&](const Transition& way) {
        return way.probability > 0 && way.next == play.now.states[row] &&
               way.terminated == (play.outcomes.terminated[row] != 0);
      });
      if (!trial.expect(possible, "from state ", before[row], " action ", actions.choices[row],
                        " led to state ", play.now.states[row],
                        ", which its transitions do not know")) {
        return;
      }
      if (play.ended(static_cast<std::int64_t>(row))) {
        play.reset(static_cast<std::int64_t>(row), play.episodes[row] + 4);
      }
    }
  }
}

void shows(Trial& trial) {
  Play play(trial, trial.options(), 2);
  play.begin();
  trial.phase("rendering");
  play.environment().render(1);
  if (play.environment().actions().kind != Space::Kind::discrete) return;
  std::set<std::string> names;
  for (std::int32_t action = 0; action < play.environment().actions().size; ++action) {
    names.insert(play.environment().action_name(action));
  }
  trial.expect(static_cast<std::int64_t>(names.size()) == play.environment().actions().size,
               "two of its actions have the same name");
}
}  // namespace

Suite environment_suite() {
  return {
      .kind = "environment",
      .fitting = {},
      .exercise = exercise,
      .tests = {{"spaces", 1, "its spaces of observations and actions are sound", spaces},
                {"contract", 1, "random play stays in the spaces; an end is of one sort", contract},
                {"singles", 2, "a row among many goes as it goes alone", singles},
                {"resumes", 2, "it goes on exactly from what was saved", resumes},
                {"rests", 2, "a row that rests keeps what it has", rests},
                {"episodes", 3, "an episode is the same in any row, after any other", episodes},
                {"seeds", 3, "another seed, another world", seeds},
                {"shows", 3, "it renders, and names its actions apart", shows},
                {"model", 4, "the transitions it tells are those it plays", model}}};
}

}  // namespace lathe::conform
