// Which tokenizer a file or folder holds.
#include <lathe/base/error.h>
#include <lathe/base/file.h>
#include <lathe/text/bpe_vocabulary.h>
#include <lathe/text/bytes.h>
#include <lathe/text/chars.h>
#include <lathe/text/wordpiece_files.h>

namespace lathe {

namespace {

// One merge a line after an optional "#version" line; the line's order is the rank.
void read_merges_txt(const std::string& path, const Vocabulary& vocabulary, BpeParts& parts) {
  const std::string text = read_file(path);
  std::size_t line_number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    ++line_number;
    std::size_t end = text.find('\n', begin);
    if (end == text.npos) end = text.size();
    std::string_view line(text.data() + begin, end - begin);
    begin = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line_number == 1 && line.starts_with("#version")) continue;
    const std::string where = cat(path, ":", line_number);
    const std::size_t space = line.find(' ');
    const bool is_pair = space != line.npos && space > 0 && space + 1 < line.size() &&
                         line.find(' ', space + 1) == line.npos;
    if (!is_pair) {
      fail(where, ": expected a merge, two tokens with one space between, found '", line, "'");
    }
    parts.merges.push_back(resolve_merge(std::string(line.substr(0, space)),
                                         std::string(line.substr(space + 1)), vocabulary, where));
  }
}

BpeParts read_two_files(const std::filesystem::path& folder) {
  const std::string vocabulary_path = (folder / "vocab.json").string();
  const std::string merges_path = (folder / "merges.txt").string();
  if (!exists(merges_path)) {
    fail(merges_path, " is missing: vocab.json alone does not make a tokenizer");
  }
  BpeParts parts;
  const Json json = read_json(vocabulary_path);
  const JsonPlace place(json, vocabulary_path);
  constexpr const char* end_of_text = "<|endoftext|>";
  if (place.has(end_of_text)) {
    parts.added.push_back({.id = place.at(end_of_text).id(), .content = end_of_text});
  }
  const Vocabulary vocabulary = read_vocabulary(place, parts);
  read_merges_txt(merges_path, vocabulary, parts);
  const SpecialIds ids = read_special_ids(folder, nullptr, parts.added);
  parts.end = ids.end;
  parts.pad = ids.pad;
  parts.begin = ids.begin;
  parts.mask = ids.mask;
  return parts;
}

// The tokenizer.json that a path means, or nothing where its folder has vocab.json instead.
std::optional<std::filesystem::path> tokenizer_json_of(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return path;
  if (exists((path / "tokenizer.json").string())) return path / "tokenizer.json";
  if (exists((path / "vocab.json").string())) return std::nullopt;
  fail(path.string(), ": the folder holds neither tokenizer.json nor vocab.json");
}

}  // namespace

BpeParts read_bpe(const std::filesystem::path& file_or_folder) {
  const auto file = tokenizer_json_of(file_or_folder);
  if (!file) return read_two_files(file_or_folder);
  return read_bpe_json(read_json(file->string()), *file);
}

namespace {
bool is_wordpiece(const Json& json) {
  const Json::json_pointer type("/model/type");
  return json.is_object() && json.contains(type) && json[type] == "WordPiece";
}

// A vocab.txt, or a folder whose only vocabulary is one.
bool is_word_list(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return path.extension() == ".txt";
  const auto has = [&](const char* name) { return exists((path / name).string()); };
  return has("vocab.txt") && !has("tokenizer.json") && !has("vocab.json");
}
}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& file_or_folder) {
  if (is_word_list(file_or_folder)) {
    return std::make_unique<WordPieceTokenizer>(read_wordpiece(file_or_folder));
  }
  const auto file = tokenizer_json_of(file_or_folder);
  if (!file) return std::make_unique<BpeTokenizer>(read_two_files(file_or_folder));
  const Json json = read_json(file->string());
  if (is_wordpiece(json)) {
    return std::make_unique<WordPieceTokenizer>(read_wordpiece_json(json, *file));
  }
  const std::string marker = lathe_marker(json);
  if (marker == "chars") return read_chars_json(json, *file);
  if (marker == "bytes") {
    const JsonPlace root(json, file->string());
    const std::vector<AddedToken> added = read_added_tokens(root);
    return std::make_unique<BytesTokenizer>(
        read_special_ids(file->parent_path(), &json, added).mask >= 0);
  }
  return std::make_unique<BpeTokenizer>(read_bpe_json(json, *file));
}

}  // namespace lathe
