// The truth that likelihoods and audits are held against: one forward pass, plain sums.
#pragma once

#include <lathe/learn/objective.h>

#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "run/tiny_session.h"

namespace lathe::testing {

// Makes a tiny encoder's experiment one of a decoder. A change of `use` drops the keys of the model
// that was there.
inline const std::vector<std::string> tiny_decoder = {
    "model.use=gpt",    "+model.layers=2",      "+model.heads=2",   "+model.width=8",
    "+model.hidden=10", "+model.deviation=0.3", "objective.use=sft"};

// log p(token at `place`), from all logits of a forward pass of this row alone.
inline double single(const Session& session, const std::vector<std::int32_t>& seen,
                     std::int64_t place, std::int32_t token) {
  const NoGradient silent;
  Batch batch;
  batch.rows = 1;
  batch.length = std::ssize(seen);
  batch.tokens = seen;
  batch.positions.resize(seen.size());
  std::iota(batch.positions.begin(), batch.positions.end(), 0);
  batch.targets.assign(seen.size(), -1);
  batch.weights.assign(seen.size(), 0);
  const DeviceBatch device(batch, session.parameters);
  const auto logits = session.model->logits(session.model->hidden(device.input)).values();
  const auto row = logits.begin() + place * session.tokenizer->size();
  double sum = 0;
  for (auto at = row; at != row + session.tokenizer->size(); ++at) sum += std::exp(*at);
  return row[token] - std::log(sum);
}

}  // namespace lathe::testing
