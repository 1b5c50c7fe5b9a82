#include <lathe/base/error.h>
#include <lathe/learn/acting.h>

#include <cmath>

namespace lathe {
Sampling sampling_of(const ActingRule& rule) {
  Sampling how;
  how.temperature = rule.kind == ActingRule::Kind::sample ? rule.temperature : 0;
  how.draws_ties = rule.kind != ActingRule::Kind::sample;
  how.epsilon = rule.kind == ActingRule::Kind::epsilon_greedy ? rule.epsilon : 0;
  return how;
}

void fail_of_no_numbers() {
  fail(
      "the model's preferences for the next action are not numbers: training has diverged. "
      "Lower optimizer.rate or set train.clip, and go on from the last checkpoint");
}

ActionChoice choose_action(std::span<const float> logits, const ActingRule& rule,
                           const RandomStream& random, std::uint64_t index) {
  for (const float logit : logits) {
    if (std::isnan(logit)) fail_of_no_numbers();
  }
  const TokenProbability drawn = draw(logits, {}, sampling_of(rule), random, 2 * index);
  return {drawn.token, std::log(drawn.probability)};
}

}  // namespace lathe
