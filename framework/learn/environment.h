// Environments: what a policy acts in. Vectorised: E rows, each in an episode of its own.
#pragma once

#include <lathe/base/random.h>
#include <lathe/base/state.h>
#include <lathe/data/batch.h>
#include <lathe/data/dataset.h>
#include <lathe/data/space.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lathe {

class Rewards;

struct EnvironmentContext {
  std::int64_t rows = 1;  // E
  std::uint64_t seed = 0;
  Split split = Split::train;        // validation: what is held out, where that makes a difference
  std::int64_t length = 0;           // T, longest sequence of tokens that the model takes
  const Dataset* dataset = nullptr;  // none without [data]
  const Tokenizer* tokenizer = nullptr;  // none without [data]
  const Rewards* rewards = nullptr;      // none without [[reward]]
};

// What every row sees. Only the array of the observation's space is used.
struct Observations {
  std::vector<float> numbers;                     // [E, O] box
  std::vector<std::int32_t> states;               // [E] discrete
  std::vector<std::vector<std::int32_t>> tokens;  // [E] tokens: the prompt, set by reset alone
};

// One action a row. Only the array of the action's space is used.
struct Actions {
  std::vector<std::int32_t> choices;  // [E] discrete and tokens; -1: the row rests (its episode has
                                      // ended and is not yet begun anew)
  std::vector<float> numbers;         // [E, A] box
};

// What came of the actions. Rows that rested keep what they had.
struct Outcomes {
  std::vector<float> rewards;            // [E] to learn from
  std::vector<std::uint8_t> terminated;  // [E] the episode came to its own end
  std::vector<std::uint8_t> truncated;   // [E] it was cut off (time limit); never both
  std::vector<float> earned;  // [E] rewards before [wrap] changed them; empty where it does not
};

// One way things can go on from (state, action), for exact answers by dynamic programming.
struct Transition {
  double probability = 0;
  std::int32_t next = 0;
  double reward = 0;  // expected, given that it goes this way
  bool terminated = false;
};

// An environment never begins an episode by itself: after a row's end the caller looks at the last
// observation and calls reset. Every random number is a function of (seed, episode, step of the
// episode), so the number of rows and the order of steps change nothing.
class Environment {
 public:
  static constexpr const char* kind = "environment";
  static constexpr int interface_version = 1;

  virtual ~Environment();

  // Called once, before everything else.
  virtual void open(const EnvironmentContext& context) = 0;
  virtual Space observations() const = 0;
  virtual Space actions() const = 0;

  // Begins an episode in the row and writes its first observation there. `now` has the sizes of E
  // rows. Episodes of validation are numbered from 0 too.
  virtual void reset(std::int64_t row, std::uint64_t episode, Observations& now) = 0;
  // One step in every row: overwrites the observations (after an end: the true last ones) and the
  // outcomes. For tokens the observation is the prompt and all actions since, so nothing is
  // written.
  virtual void step(const Actions& actions, Observations& now, Outcomes& outcomes) = 0;
  // When a collection has ended, before learning from it: the place for rewards that are cheaper to
  // find for all rows at once (the scoring of texts). Row b of the batch is row b here.
  virtual void settle(Batch& collection);

  // The model of a tabular environment: all ways to go on. Empty: not tabular.
  virtual std::vector<Transition> transitions(std::int32_t state, std::int32_t action) const;
  // Where episodes begin, with probabilities that add up to 1 (tabular environments).
  virtual std::vector<Transition> beginnings() const;

  // The row as text for a terminal, some lines.
  virtual std::string render(std::int64_t row) const;
  // A word for an action, for tables and `lathe play`; the number by default.
  virtual std::string action_name(std::int32_t action) const;

  // All rows, exactly.
  virtual void save(State& state) const = 0;
  virtual void load(const State& state) = 0;
};

// Sizes for E rows of these spaces.
Observations empty_observations(const Space& space, std::int64_t rows);
Outcomes empty_outcomes(std::int64_t rows);

}  // namespace lathe
