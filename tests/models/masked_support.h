// Sessions of the objective "masked" in f64, and chances from single forward passes.
#pragma once

#include <lathe/learn/objective.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "models/gradient_check.h"

namespace lathe::testing {

// Sums of one digit, the answers alone or all, some in a row together.
inline const char* const tiny_masked = R"(
seed = 4
[data]
use = "sums"
digits = 1
train = 60
validation = 20
loss = "all"
[tokenizer]
use = "chars"
specials = true
mask = true
[feed]
use = "rows"
[model]
use = "encoder"
layers = 2
heads = 2
width = 8
hidden = 10
deviation = 0.3
[objective]
use = "masked"
[train]
batch = 2
length = 7
)";

inline const std::vector<std::string> exactly = {"backend.use=reference", "train.precision=f64"};
inline std::unique_ptr<Session> session_of(Tiny& tiny, std::vector<std::string> changes) {
  changes.insert(changes.begin(), exactly.begin(), exactly.end());
  auto session = tiny.session(changes);
  stir(session->parameters);
  return session;
}

inline ObjectivePass pass_of(const Session& session, bool training = true) {
  return {.model = session.model.get(),
          .parameters = &session.parameters,
          .options = {.training = training, .dropout = {}},
          .tokenizer = session.tokenizer.get(),
          .seed = session.seed};
}

// -log p(token of the batch at row, place | `shown`), from all logits of a plain forward pass.
inline double surprise(const Session& session, Batch shown, std::int64_t row, std::int64_t place,
                       std::int32_t token) {
  const NoGradient silent;
  const DeviceBatch device(shown, session.parameters);
  const std::vector<double> logits =
      session.model->logits(session.model->hidden(device.input)).values();
  const auto vocabulary = static_cast<std::ptrdiff_t>(session.tokenizer->size());
  const auto first = logits.begin() + (row * shown.length + place) * vocabulary;
  double sum = 0;
  for (auto at = first; at != first + vocabulary; ++at) sum += std::exp(*at);
  return std::log(sum) - first[token];
}

}  // namespace lathe::testing
