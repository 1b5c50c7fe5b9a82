// One gradient: batches of a feed through an objective and the tape.
#pragma once

#include <lathe/learn/feed.h>
#include <lathe/tensor/arena.h>

#include <cstdint>
#include <vector>

namespace lathe {

// Who learns: the model of the run, or a worker's copy of it.
struct Learner {
  const Model* model = nullptr;
  Parameters* parameters = nullptr;
  Objective* objective = nullptr;
  Feed* feed = nullptr;
  Arena* arena = nullptr;
  const Tokenizer* tokenizer = nullptr;
  std::uint64_t seed = 0;
  RandomStream dropout{seed, "dropout"};
};

// Sums over micro-batches; what divides them is `weight`.
struct Gathered {
  double loss = 0;
  double weight = 0;
  double tokens = 0;   // places that were fed
  bool acted = false;  // the batches were lived through, so they may hold nothing that counts
  std::vector<Metric> metrics;
  std::vector<Written> written;  // texts of the collection that was learnt from
};

// How the objective sees a micro-batch, numbered through the run.
ObjectivePass pass_of(const Learner& learner, bool training, std::int64_t micro, double progress);

// Batches first ... first + count - 1 of the feed; the gradient of the loss sum is in the learner's
// parameters afterwards.
Gathered gather(const Learner& learner, std::int64_t first, std::int64_t count, double progress);

}  // namespace lathe
