// Options of writing text, and choosing the next token by them.
#pragma once

#include <lathe/base/random.h>
#include <lathe/config/keys.h>
#include <lathe/tensor/sampling.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lathe {

// How text is written. The distribution is made in this order, as Hugging Face does: repetition
// penalty, temperature, top-k, top-p, min-p; what is left is renormalised.
struct GenerationOptions : Keys {
  double temperature =
      key("temperature", 1.0, "divides the logits; 0: always the most likely token", at_least(0));
  std::int64_t top_k = key("top_k", 0, "keep the k most likely tokens; 0: all", at_least(0));
  double top_p =
      key("top_p", 1.0,
          "keep the fewest tokens whose probabilities reach this sum (Holtzman et al., 2020)",
          above(0), at_most(1));
  double min_p =
      key("min_p", 0.0, "keep tokens at least this share as likely as the most likely one",
          between(0, 1));
  double repetition_penalty = key("repetition_penalty", 1.0,
                                  "logits of tokens seen before are divided by it when positive, "
                                  "multiplied when negative (Keskar et al., 2019)",
                                  above(0));
  std::int64_t tokens = key("tokens", 128, "most tokens to write", at_least(0));
  std::vector<std::string> stop =
      key("stop", std::vector<std::string>(), "texts at which to stop; they are cut off");
  bool stop_at_end = key("stop_at_end", true, "stop at the tokenizer's end token");
  std::string overflow =
      key("overflow", "slide", "when the context is full: go on with its newer half, or stop",
          one_of({"slide", "stop"}));

  Sampling sampling() const;
};

// The distribution that is sampled from; see tensor/sampling.h.
std::vector<TokenProbability> distribution(std::span<const float> logits,
                                           std::span<const std::int32_t> history,
                                           const GenerationOptions& options);

struct Choice {
  std::int32_t token = 0;
  double log_probability = 0;          // of the model: log softmax of the logits as they are
  double sampled_log_probability = 0;  // of the distribution that was sampled from
};

// Draws with random.uniform53(index): the same stream and index give the same token.
Choice choose(std::span<const float> logits, std::span<const std::int32_t> history,
              const GenerationOptions& options, const RandomStream& random, std::uint64_t index);

}  // namespace lathe
