#include <lathe/base/error.h>
#include <lathe/learn/acting.h>

#include <algorithm>
#include <cmath>

namespace lathe {
namespace {

// The first action whose cumulative weight passes the draw; weights need not add up to 1.
template <class Weight>
std::int32_t drawn(std::size_t count, double total, double uniform, const Weight& weight) {
  double left = uniform * total;
  std::size_t last = 0;
  for (std::size_t a = 0; a < count; ++a) {
    const double w = weight(a);
    if (w <= 0) continue;
    last = a;
    if (left < w) return static_cast<std::int32_t>(a);
    left -= w;
  }
  return static_cast<std::int32_t>(last);  // rounding has eaten the rest
}

ActionChoice sampled(std::span<const float> logits, double temperature, double uniform) {
  const double most = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  const auto weight = [&](std::size_t a) {
    return std::exp((static_cast<double>(logits[a]) - most) / temperature);
  };
  double total = 0;
  for (std::size_t a = 0; a < logits.size(); ++a) total += weight(a);
  const std::int32_t action = drawn(logits.size(), total, uniform, weight);
  return {action, std::log(weight(static_cast<std::size_t>(action)) / total)};
}

// Probability epsilon / A each, and 1 - epsilon shared among the best.
ActionChoice nearly_greedy(std::span<const float> logits, double epsilon, double explore,
                           double uniform) {
  const float most = *std::max_element(logits.begin(), logits.end());
  const auto best = [&](std::size_t a) { return logits[a] == most ? 1.0 : 0.0; };
  double ties = 0;
  for (std::size_t a = 0; a < logits.size(); ++a) ties += best(a);
  const auto count = static_cast<double>(logits.size());
  const std::int32_t action = explore < epsilon ? static_cast<std::int32_t>(uniform * count)
                                                : drawn(logits.size(), ties, uniform, best);
  const double share = best(static_cast<std::size_t>(action)) * (1 - epsilon) / ties;
  return {action, std::log(epsilon / count + share)};
}

}  // namespace

ActionChoice choose_action(std::span<const float> logits, const ActingRule& rule,
                           const RandomStream& random, std::uint64_t index) {
  for (const float logit : logits) {
    if (std::isnan(logit)) {
      fail(
          "the model's preferences for the next action are not numbers: training has diverged. "
          "Lower optimizer.rate or set train.clip, and go on from the last checkpoint");
    }
  }
  const double first = random.uniform53(2 * index);
  switch (rule.kind) {
    case ActingRule::Kind::greedy:
      return nearly_greedy(logits, 0, 1, first);
    case ActingRule::Kind::epsilon_greedy:
      return nearly_greedy(logits, rule.epsilon, random.uniform53(2 * index + 1), first);
    case ActingRule::Kind::sample:
      break;
  }
  return sampled(logits, rule.temperature, first);
}

}  // namespace lathe
