#include <lathe/base/error.h>
#include <lathe/base/file.h>
#include <lathe/text/tokenizer_json.h>

#include <algorithm>

namespace lathe {

std::string JsonPlace::where() const { return path_.empty() ? file_ : file_ + ": " + path_; }

bool JsonPlace::has(std::string_view key) const {
  if (!value_->is_object()) fail(where(), ": expected an object, found ", value_->type_name());
  const auto found = value_->find(key);
  return found != value_->end() && !found->is_null();
}

JsonPlace JsonPlace::at(std::string_view key) const {
  JsonPlace inner = *this;
  if (!path_.empty()) inner.path_ += '.';
  inner.path_ += key;
  if (!has(key)) fail(inner.where(), " is missing");
  inner.value_ = &*value_->find(key);
  return inner;
}

JsonPlace JsonPlace::at(std::size_t index) const {
  JsonPlace inner = *this;
  inner.path_ += cat('[', index, ']');
  inner.value_ = &(*value_)[index];
  return inner;
}

std::string JsonPlace::text() const {
  if (!value_->is_string()) fail(where(), ": expected a string, found ", value_->type_name());
  return value_->get<std::string>();
}

std::int32_t JsonPlace::id() const {
  if (!value_->is_number_integer()) {
    fail(where(), ": expected a token id, found ", value_->type_name());
  }
  const auto id = value_->get<std::int64_t>();
  if (id < 0 || id > max_id) fail(where(), ": token id ", id, " is outside 0..", max_id);
  return static_cast<std::int32_t>(id);
}

bool JsonPlace::boolean(std::string_view key, bool fallback) const {
  if (!has(key)) return fallback;
  const JsonPlace inner = at(key);
  if (!inner.value().is_boolean()) {
    fail(inner.where(), ": expected true or false, found ", inner.value().type_name());
  }
  return inner.value().get<bool>();
}

std::size_t JsonPlace::list_size() const {
  if (!value_->is_array()) fail(where(), ": expected a list, found ", value_->type_name());
  return value_->size();
}

std::vector<AddedToken> read_added_tokens(const JsonPlace& root) {
  std::vector<AddedToken> tokens;
  if (!root.has("added_tokens")) return tokens;
  const JsonPlace list = root.at("added_tokens");
  for (std::size_t i = 0; i < list.list_size(); ++i) {
    const JsonPlace item = list.at(i);
    AddedToken token;
    token.id = item.at("id").id();
    token.content = item.at("content").text();
    if (token.content.empty()) fail(item.where(), ".content is empty");
    token.special = item.boolean("special", false);
    token.normalized = item.boolean("normalized", !token.special);
    token.strip_left = item.boolean("lstrip", false);
    token.strip_right = item.boolean("rstrip", false);
    if (item.boolean("single_word", false)) {
      fail(item.where(), ".single_word = true is not supported");
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

Json added_tokens_json(const std::vector<AddedToken>& tokens) {
  Json list = Json::array();
  for (const AddedToken& token : tokens) {
    list.push_back({{"id", token.id},
                    {"content", token.content},
                    {"single_word", false},
                    {"lstrip", token.strip_left},
                    {"rstrip", token.strip_right},
                    {"normalized", token.normalized},
                    {"special", token.special}});
  }
  std::sort(list.begin(), list.end(),
            [](const Json& left, const Json& right) { return left["id"] < right["id"]; });
  return list;
}

std::string lathe_marker(const Json& root) {
  const Json::json_pointer place("/model/lathe/tokenizer");
  if (!root.is_object() || !root.contains(place) || !root[place].is_string()) return "";
  return root[place].get<std::string>();
}

SpecialIds read_special_ids(const std::filesystem::path& folder, const Json* tokenizer,
                            const std::vector<AddedToken>& added) {
  SpecialIds ids;
  const auto id_of = [&](std::string_view content) {
    const auto found = std::find_if(added.begin(), added.end(), [&](const AddedToken& token) {
      return token.content == content;
    });
    return found == added.end() ? -1 : found->id;
  };
  ids.end = id_of("<|endoftext|>");
  ids.mask = id_of("<|mask|>");
  struct Name {
    const char* key;
    std::int32_t* id;
  };
  const Name names[] = {{"eos_token", &ids.end},
                        {"pad_token", &ids.pad},
                        {"bos_token", &ids.begin},
                        {"mask_token", &ids.mask}};
  const auto read = [&](const JsonPlace& place) {
    for (const Name& name : names) {
      if (!place.has(name.key)) continue;
      JsonPlace value = place.at(name.key);
      if (value.value().is_object()) value = value.at("content");
      *name.id = id_of(value.text());
      if (*name.id < 0) {
        fail(value.where(), ": '", value.text(),
             "' is not among the added tokens of the tokenizer");
      }
    }
  };
  if (tokenizer != nullptr && !lathe_marker(*tokenizer).empty()) {
    read(JsonPlace((*tokenizer)["model"]["lathe"], (folder / "tokenizer.json").string()));
  }
  const std::string config = (folder / "tokenizer_config.json").string();
  if (exists(config)) read(JsonPlace(read_json(config), config));
  return ids;
}

void write_tokenizer_files(const std::filesystem::path& folder, Json tokenizer,
                           std::string_view made_by, const std::vector<AddedToken>& added,
                           const SpecialIds& ids) {
  Json marker = {{"tokenizer", made_by}};
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"clean_up_tokenization_spaces", false}};
  for (const AddedToken& token : added) {
    const auto name = [&](const char* key, std::int32_t id) {
      if (token.id == id) marker[key] = config[key] = token.content;
    };
    name("eos_token", ids.end);
    name("pad_token", ids.pad);
    name("bos_token", ids.begin);
    name("mask_token", ids.mask);
  }
  tokenizer["version"] = "1.0";
  tokenizer["truncation"] = nullptr;
  tokenizer["padding"] = nullptr;
  if (!tokenizer.contains("normalizer")) tokenizer["normalizer"] = nullptr;
  tokenizer["added_tokens"] = added_tokens_json(added);
  // The only place where Hugging Face's reader ignores what it does not know.
  tokenizer["model"]["lathe"] = marker;
  write_durably((folder / "tokenizer.json").string(), tokenizer.dump() + "\n");
  write_durably((folder / "tokenizer_config.json").string(), config.dump(2) + "\n");
}

}  // namespace lathe
