#include <lathe/learn/logits.h>

#include <algorithm>

namespace lathe {
namespace {
// The rows that count, and their targets; a column of 1 and 0, or none where all count.
struct Asked {
  Tensor index;  // [N] i32, at least 0
  Tensor live;   // [N, 1] wide, or none

  Asked(const Tensor& logits, const Tensor& targets) : index(targets) {
    std::vector<std::int32_t> actions = targets.integers();
    if (std::none_of(actions.begin(), actions.end(), [](std::int32_t a) { return a < 0; })) return;
    std::vector<double> counts;
    for (std::int32_t& action : actions) {
      counts.push_back(action < 0 ? 0 : 1);
      action = std::max(action, 0);
    }
    const auto& backend = logits.shared_backend();
    const auto rows = static_cast<std::int64_t>(actions.size());
    const DType wide = wide_type(logits.dtype());
    index = Tensor::of<std::int32_t>(backend, {rows}, actions);
    const std::vector<float> narrow(counts.begin(), counts.end());
    live = wide == DType::f64 ? Tensor::of<double>(backend, {rows, 1}, counts)
                              : Tensor::of<float>(backend, {rows, 1}, narrow);
  }

  // [N, 1] to [N], 0 where the row does not count.
  Tensor operator()(const Tensor& column) const {
    const Tensor kept = live ? multiply(column, live) : contiguous(column);
    return kept.reshape({kept.size(0)});
  }
};

struct Normalised {
  Tensor log_probabilities;  // [N, A]
  Tensor lse;                // [N, 1]

  explicit Normalised(const Tensor& logits) {
    const Tensor most = maximum(logits.detached(), -1);
    const Tensor centred = subtract(logits, most);
    const Tensor rest = log(sum(exp(centred), -1));
    log_probabilities = subtract(centred, rest);
    lse = add(rest, most);
  }
};

Tensor wide(const Tensor& logits) { return cast(logits, wide_type(logits.dtype())); }
}  // namespace

HeadTokens score_logits(const Tensor& logits, const Tensor& targets, double temperature) {
  const Asked asked(logits, targets);
  const Normalised all(scale(wide(logits), 1 / temperature));
  const Tensor& logs = all.log_probabilities;
  const Tensor entropy = negate(sum(multiply(exp(logs), logs), -1));
  return {asked(pick(logs, asked.index)), asked(all.lse.detached()), asked(entropy)};
}

HeadLoss logits_loss(const Tensor& logits, const Tensor& targets, const Tensor& weights,
                     const HeadLossOptions& options) {
  const Asked asked(logits, targets);
  const Normalised all(wide(logits));
  Tensor loss = scale(pick(all.log_probabilities, asked.index), options.smoothing - 1);
  if (options.smoothing > 0) {
    loss = subtract(loss, scale(mean(all.log_probabilities, -1), options.smoothing));
  }
  if (options.z_loss > 0) loss = add(loss, scale(square(all.lse), options.z_loss));
  loss = asked(loss);
  return {sum(multiply(loss, weights)), loss, asked(all.lse.detached())};
}

Tensor chosen(const Tensor& logits, const Tensor& actions) {
  const Asked asked(logits, actions);
  return asked(pick(wide(logits), asked.index));
}

}  // namespace lathe
