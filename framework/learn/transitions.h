// Transitions of n steps, cut from collections, and as records of a replay.
#pragma once

#include <lathe/base/state.h>
#include <lathe/data/batch.h>
#include <lathe/data/space.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

namespace lathe {

// From (s_t, a_t) to s_(t+k): reward = sum_{i<k} gamma^i r_(t+i), discount = gamma^k, or 0 where
// the episode came to its own end. k = n, or less where the episode ended or was cut off before: a
// cut has a successor (its last observation) and a discount like any other.
struct StepTransition {
  std::vector<float> from, to;            // [O] of a box
  std::int32_t state = 0, successor = 0;  // discrete observations
  std::int32_t action = -1;
  std::int32_t next_action = -1;  // that is really taken in the successor, where it is known
  std::vector<float> moves;       // [A] of a box
  double reward = 0;
  double discount = 1;
  std::int64_t steps = 0;  // k
  bool terminated = false;
  bool truncated = false;
  float behaviour = 0;  // log-probability of the action when it was chosen
};

// A transition as a record of fixed size, and a batch of such records: rows of one place each, all
// of them open (their successors are the open observations; those that terminated have discount 0).
class TransitionLayout {
 public:
  TransitionLayout() = default;
  TransitionLayout(const Space& observations, const Space& actions);

  std::size_t bytes() const { return 4 * words_; }
  void write(const StepTransition& transition, std::span<std::byte> record) const;
  StepTransition read(std::span<const std::byte> record) const;
  Batch batch(std::span<const std::span<const std::byte>> records) const;

 private:
  std::size_t width_ = 0;       // O of a box, else 0: a state
  std::size_t move_width_ = 0;  // A of a box, else 0: a choice
  std::size_t words_ = 0;
};

// Cuts collections of E rows, which go on from each other, into transitions of n steps.
class StepCutter {
 public:
  StepCutter() = default;
  StepCutter(std::int64_t rows, std::int64_t steps, double discount);

  // Those that have become whole with this collection, in the order of time; until the next call.
  const std::vector<StepTransition>& cut(const Batch& collection);

  void save(State& state, const TransitionLayout& layout) const;
  void load(const State& state, const TransitionLayout& layout);

 private:
  std::int64_t steps_ = 1;
  double discount_ = 1;
  std::vector<std::deque<StepTransition>> pending_;  // [E] begun, oldest first
  std::vector<StepTransition> whole_;                // keeps its memory
};

}  // namespace lathe
