// Tokens that are found in a text by their literal form, before it is split into words.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// Fields as in the `added_tokens` of a tokenizer.json.
struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool special = true;      // found only where special tokens are asked for
  bool normalized = false;  // found after the others
  bool strip_left = false;  // swallows the white space before it
  bool strip_right = false;
};

class AddedTokens {
 public:
  explicit AddedTokens(std::vector<AddedToken> tokens);
  AddedTokens(AddedTokens&&) noexcept = default;  // the passes point into tokens_: no copies
  AddedTokens& operator=(AddedTokens&&) noexcept = default;

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  const AddedToken* find(std::string_view content) const;

  // A stretch of plain text (id -1) or one token.
  struct Part {
    std::string_view text;
    std::int32_t id = -1;
  };

  // The parts of a text in order, none empty. At each place the longest token wins.
  std::vector<Part> cut(std::string_view text, bool with_special) const;

 private:
  struct Pass {
    std::vector<const AddedToken*> tokens;  // longest first
    std::array<bool, 256> begins{};         // which first bytes they have
  };
  static Pass pass_of(const std::vector<AddedToken>& tokens, bool with_special, bool normalized);
  static void cut_one(const Pass& pass, std::string_view text, std::vector<Part>& parts);

  std::vector<AddedToken> tokens_;
  std::array<std::array<Pass, 2>, 2> passes_;  // [with_special][normalized]
};

}  // namespace lathe
