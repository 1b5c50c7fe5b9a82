// Handling what was lived through: minibatches of it, and its state in a checkpoint.
#pragma once

#include <lathe/base/state.h>
#include <lathe/data/batch.h>

#include <cstdint>
#include <span>

namespace lathe {

// The places b T + t as a batch of rows of one step each, with everything that was recorded and
// prepared for them. For steps that stand for themselves, not for sequences.
Batch select_places(const Batch& batch, std::span<const std::int64_t> places);
// Whole rows.
Batch select_rows(const Batch& batch, std::span<const std::int64_t> rows);

void save_batch(const Batch& batch, State& state);
Batch load_batch(const State& state);

}  // namespace lathe
