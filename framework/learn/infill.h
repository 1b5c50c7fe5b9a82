// Texts with gaps, and a bidirectional model that fills them in: what "lathe generate" and the
// samples of a training run share.
#pragma once

#include <lathe/learn/unmasking.h>
#include <lathe/text/rows.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// A row of tokens with the mask at each hidden place, and the texts around its gaps.
struct GapText {
  std::vector<std::int32_t> tokens;
  std::vector<std::string> around;                // one more than there are gaps
  std::vector<std::vector<std::int64_t>> hidden;  // places of each gap, rising
};

// "[MASK]" and "<|mask|>" each stand for one hidden token, three or more underscores for `gap` of
// them; what follows one another is one gap. A text without any goes on with a gap of `gap` tokens.
GapText read_gaps(std::string_view text, std::int64_t gap, const TextFrame& frame,
                  const Tokenizer& tokenizer);

struct FilledText {
  std::string text;  // as it was given, with what was written in the gaps; of a tokenizer that
                     // changes texts (wordpiece), what the tokens say
  std::vector<FilledPlace> filled;  // in the order of writing
};

// One for each text, in the same order. What is written into a text depends on the seed, its number
// and itself alone. Throws Error where a text is longer than the model's context.
std::vector<FilledText> fill_gaps(const Model& model, const Parameters& parameters,
                                  const Tokenizer& tokenizer, std::span<const GapText> texts,
                                  const GenerationOptions& with, const UnmaskingOptions& how,
                                  std::uint64_t seed);

}  // namespace lathe
