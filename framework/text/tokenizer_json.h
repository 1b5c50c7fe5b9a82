// The parts of a Hugging Face tokenizer folder that the tokenizers here share. Not for public
// headers: it brings in JSON.
#pragma once

#include <lathe/base/json.h>
#include <lathe/text/bpe.h>
#include <lathe/text/chars.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace lathe {

// A value inside a JSON file that can say where it is: every wrong type is an Error that names the
// file, the path and what was expected.
class JsonPlace {
 public:
  JsonPlace(const Json& value, std::string file) : value_(&value), file_(std::move(file)) {}

  const Json& value() const { return *value_; }
  const std::string& path() const { return path_; }
  std::string where() const;  // "file: a.b"

  bool has(std::string_view key) const;  // present and not null
  JsonPlace at(std::string_view key) const;
  JsonPlace at(std::size_t index) const;
  std::string text() const;
  std::int32_t id() const;  // 0 to max_id
  bool boolean(std::string_view key, bool fallback) const;
  std::size_t list_size() const;

  static constexpr std::int64_t max_id = (1 << 21) - 1;  // eight times the largest in use

 private:
  const Json* value_;
  std::string file_;
  std::string path_;
};

// The `added_tokens` of a tokenizer.json.
std::vector<AddedToken> read_added_tokens(const JsonPlace& root);
Json added_tokens_json(const std::vector<AddedToken>& tokens);

// What kind of tokenizer save() wrote here: "bpe", "bytes", "chars", "wordpiece"; "" in files of
// others.
std::string lathe_marker(const Json& root);

// eos_token, pad_token, bos_token and mask_token: of tokenizer_config.json where there is one, else
// of the marker in tokenizer.json. `find` gives a token's id or -1.
struct SpecialIds {
  std::int32_t end = -1;
  std::int32_t pad = -1;
  std::int32_t begin = -1;
  std::int32_t mask = -1;
};
SpecialIds read_special_ids(const std::filesystem::path& folder, const Json* tokenizer,
                            const std::vector<AddedToken>& added);

std::unique_ptr<CharsTokenizer> read_chars_json(const Json& root,
                                                const std::filesystem::path& file);
BpeParts read_bpe_json(const Json& root, const std::filesystem::path& file);

// Both files of a folder: `tokenizer` as tokenizer.json, with the marker `made_by`, and
// tokenizer_config.json.
void write_tokenizer_files(const std::filesystem::path& folder, Json tokenizer,
                           std::string_view made_by, const std::vector<AddedToken>& added,
                           const SpecialIds& ids);
void write_bpe(const BpeParts& parts, const std::filesystem::path& folder,
               std::string_view made_by = "bpe");

}  // namespace lathe
