// How actions are drawn from what a model prefers.
#pragma once

#include <lathe/base/random.h>
#include <lathe/tensor/sampling.h>

#include <cstdint>
#include <span>

namespace lathe {

struct ActingRule {
  enum class Kind : std::uint8_t {
    sample,          // from softmax(logits / temperature); a Gaussian's mean and deviation
    greedy,          // the largest logit; ties are broken at random
    epsilon_greedy,  // a random action with probability epsilon, else greedy
  };
  Kind kind = Kind::sample;
  double temperature = 1;
  double epsilon = 0;
  // The action at the end of a collection is chosen before the update and then really taken
  // (SARSA); otherwise it is chosen afterwards.
  bool look_ahead = false;
};

// The rule for logits.
Sampling sampling_of(const ActingRule& rule);
// Raises that the model has diverged.
[[noreturn]] void fail_of_no_numbers();

struct ActionChoice {
  std::int32_t action = 0;
  double log_probability = 0;  // under the rule
};

// Draws with the numbers 2 index and 2 index + 1 of the stream. Arithmetic in double precision, so
// that a choice depends on the logits' bits alone.
ActionChoice choose_action(std::span<const float> logits, const ActingRule& rule,
                           const RandomStream& random, std::uint64_t index);

}  // namespace lathe
