#include <lathe/learn/sampling.h>

#include <cmath>

namespace lathe {

Sampling GenerationOptions::sampling() const {
  Sampling how;
  how.temperature = temperature;
  how.top_k = top_k;
  how.top_p = top_p;
  how.min_p = min_p;
  how.repetition_penalty = repetition_penalty;
  return how;
}

std::vector<TokenProbability> distribution(std::span<const float> logits,
                                           std::span<const std::int32_t> history,
                                           const GenerationOptions& options) {
  return distribution(logits, history, options.sampling());
}

Choice choose(std::span<const float> logits, std::span<const std::int32_t> history,
              const GenerationOptions& options, const RandomStream& random, std::uint64_t index) {
  const TokenProbability chosen = draw(logits, history, options.sampling(), random, index);
  const auto logit = static_cast<double>(logits[static_cast<std::size_t>(chosen.token)]);
  return {chosen.token, logit - log_sum_exp(logits), std::log(chosen.probability)};
}

}  // namespace lathe
