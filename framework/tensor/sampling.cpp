#include <lathe/base/error.h>
#include <lathe/tensor/exponentials.h>
#include <lathe/tensor/sampling.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lathe {
namespace {
std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

std::vector<double> penalised(std::span<const float> logits, std::span<const std::int32_t> history,
                              double penalty) {
  std::vector<double> scores(logits.begin(), logits.end());
  if (penalty == 1) return scores;
  std::vector<bool> seen(scores.size(), false);
  for (const std::int32_t token : history) {
    const auto place = static_cast<std::size_t>(token);
    if (token < 0 || place >= scores.size() || seen[place]) continue;
    seen[place] = true;
    scores[place] = scores[place] > 0 ? scores[place] / penalty : scores[place] * penalty;
  }
  return scores;
}

void renormalise(std::vector<TokenProbability>& kept) {
  double sum = 0;
  for (const TokenProbability& entry : kept) sum += entry.probability;
  for (TokenProbability& entry : kept) entry.probability /= sum;
}

// In the order of the ids, the first whose cumulative weight passes the draw; the weights need not
// add up to 1.
std::int32_t drawn(std::span<const double> weights, double all, double uniform) {
  double rest = uniform * all;
  std::size_t last = 0;  // should rounding leave a rest
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] <= 0) continue;
    last = i;
    if (rest < weights[i]) break;
    rest -= weights[i];
  }
  return static_cast<std::int32_t>(last);
}

// Draws from softmax(scores / temperature).
template <class Score>
TokenProbability draw_plain(std::span<const Score> scores, double most, double temperature,
                            double uniform) {
  static thread_local std::vector<double> weights;
  weights.resize(scores.size());
  const double all = exponentials(scores, most, 1 / temperature, weights);
  const std::int32_t token = drawn(weights, all, uniform);
  return {token, weights[at(token)] / all};
}

// Probability epsilon / V each, and 1 - epsilon shared among the largest.
TokenProbability draw_largest(std::span<const float> logits, double epsilon, double explore,
                              double uniform) {
  const float most = logits[largest_index(logits)];
  static thread_local std::vector<double> largest;
  largest.clear();
  for (const float logit : logits) largest.push_back(logit == most ? 1.0 : 0.0);
  const double ties = std::accumulate(largest.begin(), largest.end(), 0.0);
  const auto count = static_cast<double>(logits.size());
  const std::int32_t token = explore < epsilon ? static_cast<std::int32_t>(uniform * count)
                                               : drawn(largest, ties, uniform);
  return {token, epsilon / count + largest[at(token)] * (1 - epsilon) / ties};
}
}  // namespace

std::vector<TokenProbability> distribution(std::span<const float> logits,
                                           std::span<const std::int32_t> history,
                                           const Sampling& how) {
  if (logits.empty()) fail("sampling from no logits");
  std::vector<double> scores = penalised(logits, history, how.repetition_penalty);
  const auto more_likely = [&](std::int32_t a, std::int32_t b) {
    const double left = scores[at(a)];
    const double right = scores[at(b)];
    return left != right ? left > right : a < b;
  };
  std::vector<std::int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  if (how.temperature == 0) {
    return {{*std::min_element(order.begin(), order.end(), more_likely), 1.0}};
  }
  for (double& score : scores) score /= how.temperature;
  std::size_t keep = scores.size();
  if (how.top_k > 0) keep = std::min(keep, at(how.top_k));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(keep), order.end(),
                    more_likely);
  order.resize(keep);

  const double most = scores[at(order[0])];
  std::vector<TokenProbability> kept;
  kept.reserve(keep);
  for (const std::int32_t token : order)
    kept.push_back({token, std::exp(scores[at(token)] - most)});
  renormalise(kept);
  if (how.top_p < 1) {
    double sum = 0;
    std::size_t count = 0;
    while (count < kept.size() && sum < how.top_p) sum += kept[count++].probability;
    kept.resize(count);
    renormalise(kept);
  }
  if (how.min_p > 0) {
    const double least = how.min_p * kept[0].probability;
    std::erase_if(kept, [&](const TokenProbability& entry) { return entry.probability < least; });
    renormalise(kept);
  }
  return kept;
}

TokenProbability draw(std::span<const float> logits, std::span<const std::int32_t> history,
                      const Sampling& how, const RandomStream& random, std::uint64_t index) {
  if (logits.empty()) fail("sampling from no logits");
  if (how.is_greedy()) {
    return {static_cast<std::int32_t>(largest_index(logits)), 1.0};
  }
  if (how.temperature == 0 && how.draws_ties) {
    const double explore = how.epsilon > 0 ? random.uniform53(index + 1) : 1.0;
    return draw_largest(logits, how.epsilon, explore, random.uniform53(index));
  }
  if (how.is_plain()) {
    const double uniform = random.uniform53(index);
    if (how.repetition_penalty == 1) {
      const auto most = static_cast<double>(logits[largest_index(logits)]);
      return draw_plain(logits, most, how.temperature, uniform);
    }
    const std::vector<double> scores = penalised(logits, history, how.repetition_penalty);
    const double most = *std::max_element(scores.begin(), scores.end());
    return draw_plain(std::span<const double>(scores), most, how.temperature, uniform);
  }
  const std::vector<TokenProbability> kept = distribution(logits, history, how);
  const double uniform = random.uniform53(index);
  std::size_t place = 0;
  double sum = kept[0].probability;
  while (place + 1 < kept.size() && uniform >= sum) sum += kept[++place].probability;
  return kept[place];
}

double log_sum_exp(std::span<const float> logits) {
  const auto most = static_cast<double>(logits[largest_index(logits)]);
  return most + std::log(exponentials(logits, most, 1, {}));
}

}  // namespace lathe
