// Each character (code point) of the training text is a token, in the order of the code points; so
// nanoGPT's character-level vocabulary.
#pragma once

#include <lathe/config/keys.h>
#include <lathe/text/added_tokens.h>
#include <lathe/text/tokenizer.h>

#include <string>
#include <unordered_map>
#include <vector>

namespace lathe {

class CharsTokenizer final : public Tokenizer {
 public:
  struct Options : Keys {
    bool specials = key("specials", false,
                        "add <|endoftext|> and <|pad|> after the characters; needed for texts that "
                        "end, such as answers");
    bool mask = key("mask", false,
                    "add <|mask|> after everything else, for models that see both sides of a "
                    "token");
  };
  explicit CharsTokenizer(const Config& config);
  // A vocabulary that stands: each character once, in the order of its ids.
  CharsTokenizer(const std::u32string& characters, bool specials, bool mask = false);

  std::vector<std::int32_t> encode(std::string_view text,
                                   Special special = Special::as_text) const override;
  std::string_view token(std::int32_t id) const override;
  std::int64_t size() const override;
  std::int32_t end_id() const override;
  std::int32_t pad_id() const override;
  std::int32_t mask_id() const override;
  std::int32_t special_id(std::string_view literal) const override;
  bool needs_training() const override { return tokens_.empty(); }
  void train(std::span<const std::string_view> documents) override;
  void save(const std::filesystem::path& folder) const override;

 private:
  void set_vocabulary(const std::u32string& characters);
  void encode_plain(std::string_view text, std::string_view whole,
                    std::vector<std::int32_t>& ids) const;
  void demand_trained() const;
  std::vector<AddedToken> added() const;

  bool specials_ = false;
  bool mask_ = false;
  std::size_t characters_ = 0;       // ids below are characters
  std::vector<std::string> tokens_;  // [V]
  std::unordered_map<char32_t, std::int32_t> ids_;
};

}  // namespace lathe
