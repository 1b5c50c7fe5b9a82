#include <lathe/base/threads.h>
#include <lathe/learn/sampling.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lathe {
namespace {
// log of the sum of exp, the sum in pieces of a fixed size: the same at any number of threads.
double log_sum_exp(std::span<const float> values) {
  constexpr std::int64_t piece = 8192;
  const double most = static_cast<double>(*std::max_element(values.begin(), values.end()));
  const auto count = static_cast<std::int64_t>(values.size());
  std::vector<double> sums(static_cast<std::size_t>((count + piece - 1) / piece), 0.0);
  parallel_for(count, piece, [&](std::int64_t begin, std::int64_t end) {
    double sum = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      sum += std::exp(static_cast<double>(values[static_cast<std::size_t>(i)]) - most);
    }
    sums[static_cast<std::size_t>(begin / piece)] += sum;
  });
  return most + std::log(std::accumulate(sums.begin(), sums.end(), 0.0));
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

namespace {
// The most likely token needs no distribution.
bool is_greedy(const GenerationOptions& options) {
  return options.temperature == 0 && options.repetition_penalty == 1;
}

// Nothing is cut off, so the order of the tokens does not matter and none is made.
bool is_plain(const GenerationOptions& options) {
  return options.top_k == 0 && options.top_p >= 1 && options.min_p <= 0 && options.temperature > 0;
}

// Draws from softmax(scores / temperature) in the order of the ids.
TokenProbability draw_plain(const std::vector<double>& scores, double temperature, double draw) {
  const double most = *std::max_element(scores.begin(), scores.end());
  std::vector<double> weights(scores.size());
  const auto count = static_cast<std::int64_t>(scores.size());
  parallel_for(count, 8192, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto at = static_cast<std::size_t>(i);
      weights[at] = std::exp((scores[at] - most) / temperature);
    }
  });
  const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
  double rest = draw * all;
  std::size_t chosen = 0;
  std::size_t last = 0;  // the last token that can be drawn, should rounding leave a rest
  for (; chosen < weights.size(); ++chosen) {
    if (weights[chosen] <= 0) continue;
    last = chosen;
    if (rest < weights[chosen]) break;
    rest -= weights[chosen];
  }
  if (chosen == weights.size()) chosen = last;
  return {static_cast<std::int32_t>(chosen), weights[chosen] / all};
}
}  // namespace

Choice choose(std::span<const float> logits, std::span<const std::int32_t> history,
              const GenerationOptions& options, const RandomStream& random, std::uint64_t index) {
  if (logits.empty()) fail("sampling from no logits");
  TokenProbability chosen{0, 1.0};
  if (is_greedy(options)) {
    const auto best = std::max_element(logits.begin(), logits.end());
    chosen.token = static_cast<std::int32_t>(best - logits.begin());
  } else if (is_plain(options)) {
    chosen = draw_plain(penalised(logits, history, options.repetition_penalty), options.temperature,
                        random.uniform53(index));
  } else {
    const std::vector<TokenProbability> kept = distribution(logits, history, options);
    const double draw = random.uniform53(index);
    std::size_t at = 0;
    double sum = kept[0].probability;
    while (at + 1 < kept.size() && draw >= sum) sum += kept[++at].probability;
    chosen = kept[at];
  }
  const double logit = static_cast<double>(logits[static_cast<std::size_t>(chosen.token)]);
  return {chosen.token, logit - log_sum_exp(logits), std::log(chosen.probability)};
}

}  // namespace lathe
