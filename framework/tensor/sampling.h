// Choosing a token from logits: the one place for this mathematics. Backends that draw on a device
// are held to it.
#pragma once

#include <lathe/base/random.h>

#include <cstdint>
#include <span>
#include <vector>

namespace lathe {

// How a token is drawn. The distribution is made in this order, as Hugging Face does: repetition
// penalty, temperature, top-k, top-p, min-p; what is left is renormalised.
struct Sampling {
  double temperature = 1;         // divides the logits; 0: the largest logit
  std::int64_t top_k = 0;         // keep the k most likely tokens; 0: all
  double top_p = 1;               // keep the fewest whose probabilities reach this sum
  double min_p = 0;               // keep those at least this share as likely as the likeliest
  double repetition_penalty = 1;  // of tokens seen before

  // At temperature 0. Among equally large logits the lowest id is taken, or one is drawn;
  // what draws may also take any token at all, with probability epsilon (then no penalty applies).
  bool draws_ties = false;
  double epsilon = 0;

  // The most likely token needs no distribution.
  constexpr bool is_greedy() const {
    return temperature == 0 && !draws_ties && repetition_penalty == 1;
  }
  // Nothing is cut off, so the order of the tokens does not matter and none is made.
  constexpr bool is_plain() const {
    return top_k == 0 && top_p >= 1 && min_p <= 0 && temperature > 0;
  }
};

struct TokenProbability {
  std::int32_t token;
  double probability;
};

// The distribution that is sampled from, most likely token first (ties: lower id first). Only
// tokens that can be drawn are listed; the probabilities add up to 1. Not for draws_ties.
std::vector<TokenProbability> distribution(std::span<const float> logits,
                                           std::span<const std::int32_t> history,
                                           const Sampling& how);

// A token and the probability with which it was drawn. Draws with random.uniform53(index), and
// with that of index + 1 whether epsilon comes in.
TokenProbability draw(std::span<const float> logits, std::span<const std::int32_t> history,
                      const Sampling& how, const RandomStream& random, std::uint64_t index);

// log of the sum of exp, in double precision: the same bits at any number of threads.
double log_sum_exp(std::span<const float> logits);

}  // namespace lathe
