#include <lathe/learn/sampling.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lathe {
namespace {
// log of the sum of exp, from the largest down to rounding.
double log_sum_exp(std::span<const double> values) {
  const double most = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (const double value : values) sum += std::exp(value - most);
  return most + std::log(sum);
}

std::vector<double> penalised(std::span<const float> logits, std::span<const std::int32_t> history,
                              double penalty) {
  std::vector<double> scores(logits.begin(), logits.end());
  if (penalty == 1) return scores;
  std::vector<bool> seen(scores.size(), false);
  for (const std::int32_t token : history) {
    const auto at = static_cast<std::size_t>(token);
    if (token < 0 || at >= scores.size() || seen[at]) continue;
    seen[at] = true;
    scores[at] = scores[at] > 0 ? scores[at] / penalty : scores[at] * penalty;
  }
  return scores;
}

void renormalise(std::vector<TokenProbability>& kept) {
  double sum = 0;
  for (const TokenProbability& entry : kept) sum += entry.probability;
  for (TokenProbability& entry : kept) entry.probability /= sum;
}
}  // namespace

std::vector<TokenProbability> distribution(std::span<const float> logits,
                                           std::span<const std::int32_t> history,
                                           const GenerationOptions& options) {
  if (logits.empty()) fail("sampling from no logits");
  std::vector<double> scores = penalised(logits, history, options.repetition_penalty);
  const auto more_likely = [&](std::int32_t a, std::int32_t b) {
    const double left = scores[static_cast<std::size_t>(a)];
    const double right = scores[static_cast<std::size_t>(b)];
    return left != right ? left > right : a < b;
  };
  std::vector<std::int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  if (options.temperature == 0) {
    return {{*std::min_element(order.begin(), order.end(), more_likely), 1.0}};
  }
  for (double& score : scores) score /= options.temperature;
  std::size_t keep = scores.size();
  if (options.top_k > 0) keep = std::min(keep, static_cast<std::size_t>(options.top_k));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(keep), order.end(),
                    more_likely);
  order.resize(keep);

  const double most = scores[static_cast<std::size_t>(order[0])];
  std::vector<TokenProbability> kept;
  kept.reserve(keep);
  for (const std::int32_t token : order) {
    kept.push_back({token, std::exp(scores[static_cast<std::size_t>(token)] - most)});
  }
  renormalise(kept);
  if (options.top_p < 1) {
    double sum = 0;
    std::size_t count = 0;
    while (count < kept.size() && sum < options.top_p) sum += kept[count++].probability;
    kept.resize(count);
    renormalise(kept);
  }
  if (options.min_p > 0) {
    const double least = options.min_p * kept[0].probability;
    std::erase_if(kept, [&](const TokenProbability& entry) { return entry.probability < least; });
    renormalise(kept);
  }
  return kept;
}

Choice choose(std::span<const float> logits, std::span<const std::int32_t> history,
              const GenerationOptions& options, const RandomStream& random, std::uint64_t index) {
  const std::vector<TokenProbability> kept = distribution(logits, history, options);
  const double draw = random.uniform53(index);
  std::size_t chosen = 0;
  double sum = kept[0].probability;
  while (chosen + 1 < kept.size() && draw >= sum) sum += kept[++chosen].probability;
  const std::int32_t token = kept[chosen].token;
  const std::vector<double> raw(logits.begin(), logits.end());
  return {token, raw[static_cast<std::size_t>(token)] - log_sum_exp(raw),
          std::log(kept[chosen].probability)};
}

}  // namespace lathe
