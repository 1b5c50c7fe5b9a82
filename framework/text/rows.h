// Between texts and the rows of tokens that a model reads: what stands around a text, and where its
// tokens lie in it.
#pragma once

#include <lathe/text/tokenizer.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lathe {

// The tokens that are put around a text: begin in front of it, end behind it.
struct TextFrame {
  bool begin = false;
  bool end = false;
};

// Throws Error where the tokenizer lacks such a token.
std::vector<std::int32_t> framed(std::vector<std::int32_t> tokens, const TextFrame& frame,
                                 const Tokenizer& tokenizer);

// Bytes begin .. end - 1 of the text.
struct ByteSpan {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Where each token of encode(text) lies in the text. Where a tokenizer changes the text (lower
// case, accents), the tokens of a word whose bytes do not add up each have the whole word.
std::vector<ByteSpan> spans_of(std::span<const std::int32_t> tokens, std::string_view text,
                               const Tokenizer& tokenizer);

}  // namespace lathe
