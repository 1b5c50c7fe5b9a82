// Conversations and prompt-completion pairs as tokens, with a flag for each token that the model
// has to learn to say.
#pragma once

#include <lathe/text/tokenizer.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct Message {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

// ids and is_response have equal length. is_response is 1 at tokens that count in a response-only
// loss, as targets: those of an answer and its end marker.
struct MarkedTokens {
  std::vector<std::int32_t> ids;
  std::vector<std::uint8_t> is_response;
};

// The built-in templates, by name:
//   plain    System: ...\nUser: ...\nAssistant: ...<end>   each turn ends in a line feed, an answer
//            in the tokenizer's end token (in a line feed too where it has none)
//   chatml   <|im_start|>role\ncontent<|im_end|>\n         the markers become their special tokens
//            where the tokenizer has them, else plain text
std::vector<std::string> chat_template_names();

// Renders and tokenises. Header, content and end marker of a turn are tokenised each alone, as at
// generation, and content is always read as text: it cannot forge a marker. With `ask`, the header
// of an assistant's turn follows, for the model to answer. Throws Error at an unknown template,
// naming those there are, and at an unknown role.
MarkedTokens encode_chat(const Tokenizer& tokenizer, std::span<const Message> messages,
                         std::string_view template_name, bool ask = false);

// The ids that end an answer under this template: what generation stops at.
std::vector<std::int32_t> end_of_answer(const Tokenizer& tokenizer, std::string_view template_name);

// How the text at the seam of a prompt and its completion is cut into tokens.
enum class Seam {
  separate,  // each tokenised alone: what generation sees, which begins after the prompt's tokens
  joint,     // tokenised in one piece; a token that straddles the seam belongs to the response
};

struct PairTokens : MarkedTokens {
  std::int64_t prompt_length = 0;  // tokens before the response
  bool is_clean = true;            // whether both ways to cut give the same tokens
};

// Prompt, completion and, with `append_end`, the end token, which is a target too. Throws Error if
// the end is asked for and the tokenizer has none.
PairTokens encode_pair(const Tokenizer& tokenizer, std::string_view prompt,
                       std::string_view completion, Seam seam = Seam::separate,
                       bool append_end = true);

}  // namespace lathe
