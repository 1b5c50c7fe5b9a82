// Writing text with a model, token by token, through a key-value cache.
#pragma once

#include <lathe/learn/decoder.h>
#include <lathe/learn/sampling.h>
#include <lathe/text/tokenizer.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace lathe {

struct Completion {
  enum class Reason : std::uint8_t { length, end, stop, context };

  std::vector<std::int32_t> tokens;       // without the prompt; with the end token, if it came
  std::string text;                       // without the end token and the stop text
  std::vector<double> log_probabilities;  // of the model, one a token
  std::vector<double> sampled_log_probabilities;  // of what was sampled from
  Reason reason = Reason::length;
};
std::string_view name_of(Completion::Reason reason);

class Generator {
 public:
  Generator(const Model& model, const Parameters& parameters, const Tokenizer& tokenizer);

  // One completion per prompt, in the same order. A prompt's completion depends on the seed, its
  // number and itself alone, not on what else is in the batch. `stream` hears whole characters as
  // they come: (number of the prompt, text).
  using Listener = std::function<void(std::size_t prompt, std::string_view text)>;
  std::vector<Completion> complete(const std::vector<std::vector<std::int32_t>>& prompts,
                                   const GenerationOptions& options, std::uint64_t seed,
                                   const Listener& stream = {}) const;

  // Logits of the last token after each prompt, without sampling: for checks.
  std::vector<float> next_logits(const std::vector<std::int32_t>& tokens) const;

 private:
  struct Row;

  bool make_room(Row& row, std::int64_t number, Decoder& decoder,
                 const GenerationOptions& options) const;
  void accept(Row& row, const Choice& choice, const GenerationOptions& options,
              const Listener& stream, std::size_t number) const;

  const Model& model_;
  const Parameters& parameters_;
  const Tokenizer& tokenizer_;
};

}  // namespace lathe
