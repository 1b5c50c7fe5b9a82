#include <lathe/base/error.h>
#include <lathe/learn/objective.h>
#include <lathe/learn/scoring.h>
#include <lathe/tensor/tape.h>

#include <algorithm>
#include <mutex>

namespace lathe {

namespace {

// Backends serve one pass at a time.
std::mutex& one_pass() {
  static std::mutex mutex;
  return mutex;
}

std::size_t length_of(const Completions& completions, std::size_t m) {
  return completions.prompt_tokens[m].size() + completions.tokens[m].size();
}

}  // namespace

ScoringModel::ScoringModel(std::unique_ptr<ModelCopy> copy, std::string name, std::int64_t rows)
    : copy_(std::move(copy)), name_(std::move(name)), rows_(static_cast<std::size_t>(rows)) {}

// Padding is on the right, in a segment of its own. Targets are the tokens of the completions.
Batch ScoringModel::rows_of(const Completions& completions, std::size_t begin,
                            std::size_t end) const {
  std::size_t longest = 1;
  for (std::size_t m = begin; m < end; ++m) longest = std::max(longest, length_of(completions, m));
  const std::int64_t context = copy_->model->context();
  if (context > 0 && static_cast<std::int64_t>(longest) > context) {
    fail(name_, ": a prompt and its completion have ", longest, " tokens together, more than the ",
         context, " that the model takes: write shorter completions, or train it on longer rows");
  }
  Batch batch;
  batch.rows = static_cast<std::int64_t>(end - begin);
  batch.length = static_cast<std::int64_t>(longest);
  const std::size_t places = (end - begin) * longest;
  batch.tokens.assign(places, 0);
  batch.targets.assign(places, -1);
  batch.weights.assign(places, 0.0F);
  batch.positions.assign(places, 0);
  batch.segments.assign(places, -1);
  for (std::size_t m = begin; m < end; ++m) {
    const std::vector<std::int32_t>& prompt = completions.prompt_tokens[m];
    const std::vector<std::int32_t>& written = completions.tokens[m];
    const std::size_t first = (m - begin) * longest;
    for (std::size_t t = 0; t < prompt.size() + written.size(); ++t) {
      const bool asked = t < prompt.size();
      batch.tokens[first + t] = asked ? prompt[t] : written[t - prompt.size()];
      batch.positions[first + t] = static_cast<std::int32_t>(t);
      batch.segments[first + t] = 0;
      if (asked || t == 0) continue;
      batch.targets[first + t - 1] = batch.tokens[first + t];
      batch.weights[first + t - 1] = 1;
    }
  }
  return batch;
}

std::vector<double> ScoringModel::last_values(const Completions& completions) const {
  const std::lock_guard lock(one_pass());
  const NoGradient off_tape;
  std::vector<double> all;
  for (std::size_t begin = 0; begin < completions.size(); begin += rows_) {
    const std::size_t end = std::min(begin + rows_, completions.size());
    const Batch batch = rows_of(completions, begin, end);
    const DeviceBatch device(batch, copy_->parameters);
    const Tensor hidden = copy_->model->hidden(device.input);
    const std::vector<double> values = copy_->model->values(device.input, hidden).values();
    for (std::size_t m = begin; m < end; ++m) {
      const std::size_t length = length_of(completions, m);
      const std::size_t first = (m - begin) * static_cast<std::size_t>(batch.length);
      all.push_back(length == 0 ? not_applicable : values[first + length - 1]);
    }
  }
  return all;
}

std::vector<std::vector<float>> ScoringModel::log_probabilities(
    const Completions& completions) const {
  const std::lock_guard lock(one_pass());
  const NoGradient off_tape;
  std::vector<std::vector<float>> all;
  for (std::size_t begin = 0; begin < completions.size(); begin += rows_) {
    const std::size_t end = std::min(begin + rows_, completions.size());
    const Batch batch = rows_of(completions, begin, end);
    const DeviceBatch device(batch, copy_->parameters);
    const Tensor hidden = copy_->model->hidden(device.input);
    const std::vector<float> each =
        copy_->model->score(hidden, device.targets, 1).log_probability.floats();
    for (std::size_t m = begin; m < end; ++m) {
      const std::size_t prompt = completions.prompt_tokens[m].size();
      const std::size_t written = completions.tokens[m].size();
      if (prompt == 0 && written > 0) {
        fail(name_, ": completion ", m, " has no prompt, so its first token has no likelihood");
      }
      all.emplace_back();
      if (written == 0) continue;
      const std::size_t first = (m - begin) * static_cast<std::size_t>(batch.length) + prompt - 1;
      const auto from = each.begin() + static_cast<std::ptrdiff_t>(first);
      all.back().assign(from, from + static_cast<std::ptrdiff_t>(written));
    }
  }
  return all;
}

}  // namespace lathe
