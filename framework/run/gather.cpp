#include <lathe/run/gather.h>

#include <lathe/base/error.h>

#include <algorithm>

namespace lathe {

ObjectivePass pass_of(const Learner& learner, bool training, std::int64_t micro, double progress) {
  const auto at = static_cast<std::uint64_t>(micro);
  return {.model = learner.model,
          .parameters = learner.parameters,
          .options = {.training = training, .dropout = learner.dropout.at(at)},
          .tokenizer = learner.tokenizer,
          .seed = learner.seed,
          .progress = progress};
}

Gathered gather(const Learner& learner, std::int64_t first, std::int64_t count, double progress) {
  Gathered all;
  // Feeds that act use the model too: before the step's memory is laid out.
  std::vector<Batch> batches;
  std::string shape = "train";
  for (std::int64_t micro = 0; micro < count; ++micro) {
    batches.push_back(learner.feed->batch(first + micro));
    shape += cat(" ", batches.back().rows, "x", batches.back().length);
  }
  const Arena::Step memory(*learner.arena, shape);
  learner.parameters->begin_gradients();
  for (std::int64_t micro = 0; micro < count; ++micro) {
    Batch& batch = batches[static_cast<std::size_t>(micro)];
    const ObjectivePass pass = pass_of(learner, true, first + micro, progress);
    if (!batch.prepared) learner.objective->prepare(batch, pass);
    Tape tape;
    const Loss part = learner.objective->loss(batch, pass);
    all.loss += part.sum.item();
    all.weight += part.weight;
    all.tokens += static_cast<double>(batch.rows * batch.length);
    all.acted = all.acted || !batch.experience.rewards.empty();
    if (!batch.written.empty()) all.written = std::move(batch.written);
    add_metrics(all.metrics, batch.metrics);
    add_metrics(all.metrics, part.metrics);
    tape.backward(part.sum);
    learner.feed->observe(batch, part);
  }
  learner.parameters->finish_gradients();
  return all;
}

}  // namespace lathe
