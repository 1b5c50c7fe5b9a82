// Training that stops half way and goes on from a checkpoint.
#pragma once

#include <gtest/gtest.h>
#include <lathe/io/checkpoint.h>
#include <lathe/run/state_files.h>

#include <string>
#include <vector>

#include "run/tiny_session.h"

namespace lathe::testing {

// Half of the steps, a checkpoint, a new session that reads it, the other half.
inline void expect_same_bits(const std::string& experiment, const std::vector<std::string>& changes,
                             std::int64_t half) {
  Tiny tiny(experiment);
  const auto whole = tiny.session(changes);
  Trainer straight(*whole);
  for (std::int64_t step = 0; step < 2 * half; ++step) straight.step();
  {
    const auto first = tiny.session(changes);
    Trainer trainer(*first);
    for (std::int64_t step = 0; step < half; ++step) trainer.step();
    Checkpoints(real_files(), tiny / "kept", 1).save(half, StateFiles(trainer, *first).files());
  }
  const auto second = tiny.session(changes);
  Trainer trainer(*second);
  load_state(newest_trusted(tiny / "kept").path, trainer, *second);
  EXPECT_EQ(trainer.state.step, half);
  for (std::int64_t step = 0; step < half; ++step) trainer.step();
  EXPECT_EQ(hash_of(trainer, *second), hash_of(straight, *whole));
  EXPECT_EQ(second->feed->actions_taken(), whole->feed->actions_taken());
}

}  // namespace lathe::testing
