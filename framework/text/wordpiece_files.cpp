#include <lathe/base/error.h>
#include <lathe/base/file.h>
#include <lathe/text/utf8.h>
#include <lathe/text/wordpiece_files.h>

#include <algorithm>
#include <unordered_set>

namespace lathe {
namespace {
[[noreturn]] void unsupported(const JsonPlace& place, std::string_view expected) {
  fail(place.where(), ": ", place.value().dump(), " is not supported; expected ", expected);
}

void demand_type(const JsonPlace& root, const char* key, std::string_view expected) {
  const JsonPlace type = root.at(key).at("type");
  if (type.text() != expected) unsupported(type, expected);
}

std::int32_t id_of(const WordPieceParts& parts, std::string_view token) {
  const auto found = std::find(parts.tokens.begin(), parts.tokens.end(), token);
  return found == parts.tokens.end() ? -1 : static_cast<std::int32_t>(found - parts.tokens.begin());
}

// BERT's markers, where nothing else names them.
void name_specials(WordPieceParts& parts, const SpecialIds& named) {
  const auto or_else = [&](std::int32_t id, const char* usual) {
    return id >= 0 ? id : id_of(parts, usual);
  };
  parts.begin = or_else(named.begin, "[CLS]");
  parts.end = or_else(named.end, "[SEP]");
  parts.pad = or_else(named.pad, "[PAD]");
  parts.mask = or_else(named.mask, "[MASK]");
}

// Ids 0..V-1, each once.
void read_vocabulary(const JsonPlace& place, WordPieceParts& parts) {
  if (!place.value().is_object()) {
    fail(place.where(), ": expected an object from token to id, found ", place.value().type_name());
  }
  std::vector<bool> is_set(place.value().size() + parts.added.size(), false);
  parts.tokens.resize(is_set.size());
  std::size_t count = 0;
  const auto set = [&](const std::string& where, const std::string& token, std::int32_t id) {
    const auto index = static_cast<std::size_t>(id);
    if (index >= is_set.size()) {
      fail(where, ": the token '", token, "' has id ", id, ", but there are fewer tokens");
    }
    if (is_set[index] && parts.tokens[index] != token) {
      fail(where, ": the tokens '", parts.tokens[index], "' and '", token, "' share the id ", id);
    }
    if (!is_set[index]) ++count;
    is_set[index] = true;
    parts.tokens[index] = token;
  };
  for (const auto& [token, id] : place.value().items()) {
    const JsonPlace item = place.at(token);
    set(item.where(), token, item.id());
  }
  for (const AddedToken& token : parts.added) set(place.where(), token.content, token.id);
  const auto hole = std::find(is_set.begin(), is_set.end(), false) - is_set.begin();
  if (static_cast<std::size_t>(hole) < count) fail(place.where(), ": no token has id ", hole);
  parts.tokens.resize(count);
}

WordPieceParts read_vocabulary_text(const std::filesystem::path& file, bool lowercase) {
  WordPieceParts parts;
  const std::string text = read_file(file.string());
  std::unordered_set<std::string_view> known;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line(text.data() + begin, end - begin);
    begin = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::size_t number = parts.tokens.size() + 1;
    if (line.empty() || find_invalid_utf8(line) != line.npos) {
      fail(file.string(), ":", number, ": expected a token in UTF-8, found ",
           line.empty() ? "an empty line" : "other bytes");
    }
    if (!known.insert(line).second) {
      fail(file.string(), ":", number, ": the token '", line, "' is twice in the vocabulary");
    }
    parts.tokens.emplace_back(line);
  }
  for (const char* name : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    const std::int32_t id = id_of(parts, name);
    if (id >= 0) parts.added.push_back({.id = id, .content = name});
  }
  parts.unknown = id_of(parts, "[UNK]");
  if (parts.unknown < 0) fail(file.string(), ": the vocabulary has no token [UNK]");
  parts.rules.lowercase = parts.rules.strip_accents = lowercase;
  const std::string config = (file.parent_path() / "tokenizer_config.json").string();
  if (exists(config)) {
    const Json json = read_json(config);
    const JsonPlace root(json, config);
    parts.rules.lowercase = root.boolean("do_lower_case", lowercase);
    parts.rules.strip_accents = root.boolean("strip_accents", parts.rules.lowercase);
    parts.rules.ideographs = root.boolean("tokenize_chinese_chars", true);
  }
  name_specials(parts, read_special_ids(file.parent_path(), nullptr, parts.added));
  return parts;
}
}  // namespace

WordPieceParts read_wordpiece_json(const Json& json, const std::filesystem::path& file) {
  const JsonPlace root(json, file.string());
  const JsonPlace version = root.at("version");
  if (version.text() != "1.0") unsupported(version, "\"1.0\"");
  demand_type(root, "model", "WordPiece");
  demand_type(root, "normalizer", "BertNormalizer");
  demand_type(root, "pre_tokenizer", "BertPreTokenizer");
  WordPieceParts parts;
  const JsonPlace normalizer = root.at("normalizer");
  parts.rules.clean = normalizer.boolean("clean_text", true);
  parts.rules.ideographs = normalizer.boolean("handle_chinese_chars", true);
  parts.rules.lowercase = normalizer.boolean("lowercase", true);
  parts.rules.strip_accents = normalizer.boolean("strip_accents", parts.rules.lowercase);
  const JsonPlace model = root.at("model");
  parts.prefix = model.at("continuing_subword_prefix").text();
  const JsonPlace longest = model.at("max_input_chars_per_word");
  parts.longest = longest.id();
  parts.added = read_added_tokens(root);
  read_vocabulary(model.at("vocab"), parts);
  const JsonPlace unknown = model.at("unk_token");
  parts.unknown = id_of(parts, unknown.text());
  if (parts.unknown < 0) {
    fail(unknown.where(), ": the token '", unknown.text(), "' is not in the vocabulary");
  }
  name_specials(parts, read_special_ids(file.parent_path(), &json, parts.added));
  return parts;
}

WordPieceParts read_wordpiece(const std::filesystem::path& path, bool lowercase) {
  std::filesystem::path file = path;
  if (std::filesystem::is_directory(path)) {
    file = path / "tokenizer.json";
    if (!exists(file.string())) file = path / "vocab.txt";
    if (!exists(file.string())) {
      fail(path.string(), ": the folder holds neither tokenizer.json nor vocab.txt");
    }
  }
  if (file.extension() == ".txt") return read_vocabulary_text(file, lowercase);
  return read_wordpiece_json(read_json(file.string()), file);
}

void write_wordpiece(const WordPieceParts& parts, const std::filesystem::path& folder) {
  Json vocabulary = Json::object();
  for (std::size_t id = 0; id < parts.tokens.size(); ++id) vocabulary[parts.tokens[id]] = id;
  Json root;
  root["normalizer"] = {{"type", "BertNormalizer"},
                        {"clean_text", parts.rules.clean},
                        {"handle_chinese_chars", parts.rules.ideographs},
                        {"strip_accents", parts.rules.strip_accents},
                        {"lowercase", parts.rules.lowercase}};
  root["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  root["post_processor"] = nullptr;
  root["decoder"] = {{"type", "WordPiece"}, {"prefix", parts.prefix}, {"cleanup", true}};
  root["model"] = {{"type", "WordPiece"},
                   {"unk_token", parts.tokens[static_cast<std::size_t>(parts.unknown)]},
                   {"continuing_subword_prefix", parts.prefix},
                   {"max_input_chars_per_word", parts.longest},
                   {"vocab", std::move(vocabulary)}};
  write_tokenizer_files(folder, std::move(root), "wordpiece", parts.added,
                        {parts.end, parts.pad, parts.begin, parts.mask});
}

}  // namespace lathe
