// Byte-level byte-pair encoding, GPT-2's and its descendants': read from vocab.json and merges.txt
// or from tokenizer.json, or learnt from the data.
#pragma once

#include <lathe/config/keys.h>
#include <lathe/text/added_tokens.h>
#include <lathe/text/merges.h>
#include <lathe/text/splitter.h>
#include <lathe/text/tokenizer.h>

#include <memory>
#include <string>
#include <vector>

namespace lathe {

// All that makes a byte-level BPE.
struct BpeParts {
  std::vector<std::string> tokens;  // [V] the bytes of each id; "" where the vocabulary has a hole
  std::vector<Merge> merges;        // in the order of their ranks
  std::vector<AddedToken> added;    // their ids are in `tokens` too
  std::vector<SplitRule> rules = {{std::string(gpt2_pattern)}};
  bool add_prefix_space = false;  // a space before each text that does not begin with one
  bool ignore_merges = false;     // a word that is a token is that token, whatever its merges
  std::int32_t end = -1;
  std::int32_t pad = -1;
  std::int32_t begin = -1;
  std::int32_t mask = -1;
};

class BpeTokenizer final : public Tokenizer {
 public:
  struct Options : Keys {
    std::string file = key("file", std::string(),
                           "vocabulary to read: a tokenizer.json or a folder that holds one, or "
                           "vocab.json and merges.txt; not with `train`");
    bool train = key("train", false, "learn the vocabulary from the data");
    int size = key("size", 512, "entries to learn, the two special tokens included; from 258",
                   at_least(258));
    bool mask = key("mask", false,
                    "add <|mask|> after everything else, for models that see both sides of a "
                    "token; not needed where the file has a mask token");
    int min_count = key("min_count", 1, "occurrences that a pair needs to be merged", at_least(1));
  };
  explicit BpeTokenizer(const Config& config);
  explicit BpeTokenizer(BpeParts parts);
  BpeTokenizer(BpeTokenizer&&) noexcept;
  BpeTokenizer& operator=(BpeTokenizer&&) noexcept;
  ~BpeTokenizer() override;

  std::vector<std::int32_t> encode(std::string_view text,
                                   Special special = Special::as_text) const override;
  std::vector<std::int32_t> encode_parallel(std::string_view text,
                                            Special special = Special::as_text) const override;
  std::string_view token(std::int32_t id) const override;
  std::int64_t size() const override;
  std::int32_t end_id() const override;
  std::int32_t pad_id() const override;
  std::int32_t begin_id() const override;
  std::int32_t mask_id() const override;
  bool is_special(std::int32_t id) const override;
  std::int32_t special_id(std::string_view literal) const override;
  bool needs_training() const override;
  void train(std::span<const std::string_view> documents) override;
  void save(const std::filesystem::path& folder) const override;

  const BpeParts& parts() const;

 private:
  struct Model;
  const Model& model() const;  // Error while there is none yet

  std::unique_ptr<Model> model_;
  int trained_size_ = 0;
  int trained_min_count_ = 1;
  bool adds_mask_ = false;
};

// The parts of a tokenizer.json, of a folder that holds one, or of a folder with vocab.json and
// merges.txt. Throws Error, naming the file and the JSON path or line, at anything unsupported.
BpeParts read_bpe(const std::filesystem::path& file_or_folder);

}  // namespace lathe
