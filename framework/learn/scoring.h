// A trained model that judges texts beside the one that learns: reward models, likelihoods.
#pragma once

#include <lathe/data/batch.h>
#include <lathe/learn/model_copy.h>
#include <lathe/learn/reward.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace lathe {

// A prompt and its completion are one row each. Several threads may ask at a time: one pass of any
// ScoringModel runs after the other. No result depends on what else is in the batch (CPU).
class ScoringModel {
 public:
  // `name` is how errors call it; `rows` of them go through the model together.
  ScoringModel(std::unique_ptr<ModelCopy> copy, std::string name, std::int64_t rows);

  // The value head at the last token of each completion, [M]; not_applicable of no tokens at all.
  std::vector<double> last_values(const Completions& completions) const;
  // log p(token | prompt and what was written before) of each token of each completion. Throws
  // Error where there is no prompt before it.
  std::vector<std::vector<float>> log_probabilities(const Completions& completions) const;

 private:
  Batch rows_of(const Completions& completions, std::size_t begin, std::size_t end) const;

  std::unique_ptr<ModelCopy> copy_;
  std::string name_;
  std::size_t rows_;
};

}  // namespace lathe
