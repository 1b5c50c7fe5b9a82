// WordPiece, BERT's tokenizer: words by its basic tokenizer, each cut from the left into the
// longest pieces that the vocabulary has.
#pragma once

#include <lathe/config/keys.h>
#include <lathe/text/added_tokens.h>
#include <lathe/text/bert_words.h>
#include <lathe/text/tokenizer.h>

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace lathe {

// All that makes a WordPiece tokenizer.
struct WordPieceParts {
  std::vector<std::string> tokens;  // [V] as the vocabulary writes them, each once
  std::vector<AddedToken> added;    // their ids are in `tokens` too
  BertRules rules;
  std::string prefix = "##";   // of pieces that go on with a word
  std::int64_t longest = 100;  // characters; longer words are unknown as a whole
  std::int32_t unknown = -1;   // [UNK]; a word that cannot be cut is this one token
  std::int32_t begin = -1;     // [CLS]
  std::int32_t end = -1;       // [SEP]
  std::int32_t pad = -1;       // [PAD]
  std::int32_t mask = -1;      // [MASK]
};

class WordPieceTokenizer final : public Tokenizer {
 public:
  struct Options : Keys {
    std::string file = required<std::string>(
        "file", "vocabulary to read: a tokenizer.json, a vocab.txt, or a folder that holds one");
    bool lowercase = key("lowercase", true,
                         "with a vocab.txt that has no tokenizer_config.json beside it: whether "
                         "texts are lower-cased and lose their accents");
  };
  explicit WordPieceTokenizer(const Config& config);
  explicit WordPieceTokenizer(WordPieceParts parts);

  // Case, accents and white space are lost, as the vocabulary's rules have it.
  std::vector<std::int32_t> encode(std::string_view text,
                                   Special special = Special::as_text) const override;
  std::vector<std::int32_t> encode_parallel(std::string_view text,
                                            Special special = Special::as_text) const override;
  // Words with spaces between them, but for . ? ! and the comma, as Hugging Face's decoder cleans
  // up.
  std::string decode(std::span<const std::int32_t> ids) const override;
  std::string_view token(std::int32_t id) const override;  // with the space before a word
  std::int64_t size() const override { return static_cast<std::int64_t>(parts_.tokens.size()); }
  std::int32_t end_id() const override { return parts_.end; }
  std::int32_t pad_id() const override { return parts_.pad; }
  std::int32_t begin_id() const override { return parts_.begin; }
  std::int32_t mask_id() const override { return parts_.mask; }
  bool is_special(std::int32_t id) const override;
  bool begins_word(std::int32_t before, std::int32_t id) const override;
  std::int32_t special_id(std::string_view literal) const override;
  void save(const std::filesystem::path& folder) const override;

  const WordPieceParts& parts() const { return parts_; }

 private:
  void encode_plain(std::string_view text, std::vector<std::int32_t>& ids) const;
  void encode_word(std::string_view word, std::vector<std::int32_t>& ids) const;
  void demand(std::int32_t id) const;

  WordPieceParts parts_;
  AddedTokens added_;
  std::vector<std::string> shown_;                            // [V] what each token adds to a text
  std::vector<std::uint8_t> special_;                         // [V]
  std::unordered_map<std::string_view, std::int32_t> first_;  // pieces that begin a word
  std::unordered_map<std::string_view, std::int32_t> next_;   // the others, without their prefix
  std::size_t longest_piece_ = 0;                             // bytes
};

}  // namespace lathe
