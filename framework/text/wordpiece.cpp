#include <lathe/base/error.h>
#include <lathe/base/threads.h>
#include <lathe/text/utf8.h>
#include <lathe/text/wordpiece.h>
#include <lathe/text/wordpiece_files.h>

#include <algorithm>

namespace lathe {

WordPieceTokenizer::WordPieceTokenizer(const Config& config)
    : WordPieceTokenizer([&] {
        const Options with(config);
        return read_wordpiece(with.file, with.lowercase);
      }()) {}

WordPieceTokenizer::WordPieceTokenizer(WordPieceParts parts)
    : parts_(std::move(parts)), added_(parts_.added) {
  const std::string& prefix = parts_.prefix;
  special_.assign(parts_.tokens.size(), 0);
  for (const AddedToken& token : parts_.added) {
    if (token.special) special_.at(static_cast<std::size_t>(token.id)) = 1;
  }
  for (std::size_t i = 0; i < parts_.tokens.size(); ++i) {
    const std::string_view token = parts_.tokens[i];
    const bool goes_on = token.size() > prefix.size() && token.starts_with(prefix);
    const std::string_view bare = goes_on ? token.substr(prefix.size()) : token;
    (goes_on ? next_ : first_).emplace(bare, static_cast<std::int32_t>(i));
    longest_piece_ = std::max(longest_piece_, bare.size());
    const bool closes = token == "." || token == "?" || token == "!" || token == ",";
    shown_.push_back(goes_on || closes ? std::string(bare) : " " + std::string(bare));
  }
}

void WordPieceTokenizer::encode_word(std::string_view word, std::vector<std::int32_t>& ids) const {
  const auto characters = std::count_if(word.begin(), word.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
  });
  const std::size_t before = ids.size();
  bool known = characters <= parts_.longest;
  for (std::size_t at = 0; known && at < word.size();) {
    const auto& pieces = at == 0 ? first_ : next_;
    std::size_t length = std::min(longest_piece_, word.size() - at);
    auto found = pieces.end();
    for (; length > 0 && found == pieces.end(); --length) {
      found = pieces.find(word.substr(at, length));
    }
    known = found != pieces.end();
    if (!known) break;
    ids.push_back(found->second);
    at += length + 1;
  }
  if (known) return;
  ids.resize(before);
  ids.push_back(parts_.unknown);
}

void WordPieceTokenizer::encode_plain(std::string_view text, std::vector<std::int32_t>& ids) const {
  for_each_bert_word(text, parts_.rules, [&](std::string_view word) { encode_word(word, ids); });
}

std::vector<std::int32_t> WordPieceTokenizer::encode(std::string_view text, Special special) const {
  require_utf8(text);
  std::vector<std::int32_t> ids;
  for (const AddedTokens::Part& part : added_.cut(text, special == Special::as_id)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
    } else {
      encode_plain(part.text, ids);
    }
  }
  return ids;
}

// Chunks end at spaces, which no rule looks across.
std::vector<std::int32_t> WordPieceTokenizer::encode_parallel(std::string_view text,
                                                              Special special) const {
  constexpr std::size_t chunk = std::size_t{1} << 16;
  const bool only_special = std::all_of(added_.tokens().begin(), added_.tokens().end(),
                                        [](const AddedToken& token) { return token.special; });
  if (text.size() < 2 * chunk || special == Special::as_id || !only_special) {
    return encode(text, special);
  }
  require_utf8(text);
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of(" \t\n\r", at + chunk), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end;
  }
  std::vector<std::vector<std::int32_t>> ids(parts.size());
  parallel_for(static_cast<std::int64_t>(parts.size()), 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t part = begin; part < end; ++part) {
                   const auto i = static_cast<std::size_t>(part);
                   encode_plain(parts[i], ids[i]);
                 }
               });
  std::vector<std::int32_t> all;
  for (const auto& some : ids) all.insert(all.end(), some.begin(), some.end());
  return all;
}

void WordPieceTokenizer::demand(std::int32_t id) const {
  if (id < 0 || id >= size()) {
    fail("token id ", id, " is outside the vocabulary of ", size(), " entries");
  }
}

std::string_view WordPieceTokenizer::token(std::int32_t id) const {
  demand(id);
  return shown_[static_cast<std::size_t>(id)];
}

std::string WordPieceTokenizer::decode(std::span<const std::int32_t> ids) const {
  std::string text;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    demand(ids[i]);
    const auto id = static_cast<std::size_t>(ids[i]);
    text += i == 0 ? parts_.tokens[id] : shown_[id];
  }
  return text;
}

bool WordPieceTokenizer::is_special(std::int32_t id) const {
  return id < 0 || id >= size() || special_[static_cast<std::size_t>(id)] != 0;
}

bool WordPieceTokenizer::begins_word(std::int32_t before, std::int32_t id) const {
  if (is_special(before) || is_special(id)) return true;
  return !parts_.tokens[static_cast<std::size_t>(id)].starts_with(parts_.prefix);
}

std::int32_t WordPieceTokenizer::special_id(std::string_view literal) const {
  const AddedToken* token = added_.find(literal);
  return token == nullptr ? -1 : token->id;
}

void WordPieceTokenizer::save(const std::filesystem::path& folder) const {
  write_wordpiece(parts_, folder);
}

}  // namespace lathe
