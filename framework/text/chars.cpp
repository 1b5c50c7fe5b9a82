#include <lathe/base/error.h>
#include <lathe/text/chars.h>
#include <lathe/text/tokenizer_json.h>

#include <algorithm>
#include <set>

namespace lathe {

namespace {
constexpr const char* end_of_text = "<|endoftext|>";
constexpr const char* padding = "<|pad|>";
constexpr const char* mask_token = "<|mask|>";
}  // namespace

CharsTokenizer::CharsTokenizer(const Config& config)
    : specials_(Options(config).specials), mask_(Options(config).mask) {}

CharsTokenizer::CharsTokenizer(const std::u32string& characters, bool specials, bool mask)
    : specials_(specials), mask_(mask) {
  set_vocabulary(characters);
}

void CharsTokenizer::set_vocabulary(const std::u32string& characters) {
  for (const char32_t code : characters) {
    std::string token;
    append_utf8(token, code);
    if (!ids_.emplace(code, static_cast<std::int32_t>(tokens_.size())).second) {
      fail("the character ", describe_character(code), " is twice in the vocabulary");
    }
    tokens_.push_back(std::move(token));
  }
  characters_ = tokens_.size();
  if (specials_) {
    tokens_.emplace_back(end_of_text);
    tokens_.emplace_back(padding);
  }
  if (mask_) tokens_.emplace_back(mask_token);
}

void CharsTokenizer::train(std::span<const std::string_view> documents) {
  if (!tokens_.empty()) {
    fail("this chars tokenizer has its vocabulary already: it cannot be trained again");
  }
  std::set<char32_t> found;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    const std::string_view text = documents[i];
    require_utf8(text);
    for (std::size_t at = 0; at < text.size();) {
      const Utf8Character next = read_utf8(text, at);
      found.insert(next.code);
      at += next.length;
    }
  }
  if (found.empty()) fail("a chars tokenizer cannot be learnt from an empty text");
  set_vocabulary(std::u32string(found.begin(), found.end()));
}

void CharsTokenizer::demand_trained() const {
  if (tokens_.empty()) {
    fail("this chars tokenizer has no vocabulary yet: it must be trained first");
  }
}

std::vector<std::int32_t> CharsTokenizer::encode(std::string_view text, Special special) const {
  demand_trained();
  require_utf8(text);
  std::vector<std::int32_t> ids;
  ids.reserve(text.size());
  const AddedTokens specials(special == Special::as_id ? added() : std::vector<AddedToken>());
  for (const AddedTokens::Part& part : specials.cut(text, true)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
    } else {
      encode_plain(part.text, text, ids);
    }
  }
  return ids;
}

void CharsTokenizer::encode_plain(std::string_view text, std::string_view whole,
                                  std::vector<std::int32_t>& ids) const {
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Character next = read_utf8(text, at);
    const auto found = ids_.find(next.code);
    if (found == ids_.end()) {
      const auto offset = static_cast<std::size_t>(text.data() - whole.data()) + at;
      fail("the character ", describe_character(next.code), " at ", line_and_column(whole, offset),
           " is not among the ", characters_,
           " that the chars tokenizer has learnt; use the bytes or bpe tokenizer, or train it on ",
           "text that holds the character");
    }
    ids.push_back(found->second);
    at += next.length;
  }
}

std::string_view CharsTokenizer::token(std::int32_t id) const {
  demand_trained();
  if (id < 0 || id >= size()) {
    fail("token id ", id, " is outside the vocabulary of ", size(), " entries");
  }
  return tokens_[static_cast<std::size_t>(id)];
}

std::int64_t CharsTokenizer::size() const {
  demand_trained();
  return static_cast<std::int64_t>(tokens_.size());
}

std::int32_t CharsTokenizer::end_id() const {
  demand_trained();
  return specials_ ? static_cast<std::int32_t>(characters_) : -1;
}

std::int32_t CharsTokenizer::pad_id() const { return specials_ ? end_id() + 1 : -1; }

std::int32_t CharsTokenizer::mask_id() const {
  return mask_ ? static_cast<std::int32_t>(size()) - 1 : -1;
}

std::int32_t CharsTokenizer::special_id(std::string_view literal) const {
  for (const AddedToken& token : added()) {
    if (token.content == literal) return token.id;
  }
  return -1;
}

std::vector<AddedToken> CharsTokenizer::added() const {
  demand_trained();
  std::vector<AddedToken> all;
  for (std::size_t id = characters_; id < tokens_.size(); ++id) {
    all.push_back({.id = static_cast<std::int32_t>(id), .content = tokens_[id]});
  }
  return all;
}

// Hugging Face's WordLevel model over single characters says the same; its unknown token stands
// outside the vocabulary, so that an unknown character is an error there too.
void CharsTokenizer::save(const std::filesystem::path& folder) const {
  demand_trained();
  Json vocabulary = Json::object();
  for (std::size_t id = 0; id < tokens_.size(); ++id) vocabulary[tokens_[id]] = id;
  Json root;
  root["pre_tokenizer"] = {{"type", "Split"},
                           {"pattern", {{"Regex", "[\\s\\S]"}}},
                           {"behavior", "Isolated"},
                           {"invert", false}};
  root["post_processor"] = nullptr;
  root["decoder"] = {{"type", "Fuse"}};
  root["model"] = {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", "<|unknown|>"}};
  write_tokenizer_files(folder, std::move(root), "chars", added(),
                        {end_id(), pad_id(), -1, mask_id()});
}

std::unique_ptr<CharsTokenizer> read_chars_json(const Json& json,
                                                const std::filesystem::path& file) {
  const JsonPlace root(json, file.string());
  const JsonPlace model = root.at("model").at("vocab");
  const std::vector<AddedToken> added = read_added_tokens(root);
  if (!model.value().is_object()) fail(model.where(), ": expected an object from token to id");
  const std::size_t count = model.value().size() - std::min(model.value().size(), added.size());
  std::u32string characters(count, U'\0');
  std::vector<bool> is_set(count, false);
  for (const auto& [written, id_json] : model.value().items()) {
    const bool is_special = std::any_of(added.begin(), added.end(), [&](const AddedToken& token) {
      return token.content == written;
    });
    if (is_special) continue;
    const JsonPlace place = model.at(written);
    const auto id = static_cast<std::size_t>(place.id());
    const Utf8Character character = written.empty() ? Utf8Character{} : read_utf8(written, 0);
    if (character.state != Utf8State::whole || character.length != written.size()) {
      fail(place.where(), ": expected a single character");
    }
    if (id >= count || is_set[id]) {
      fail(place.where(), ": the id ", id, " is not one of 0..", count, " or is taken twice");
    }
    is_set[id] = true;
    characters[id] = character.code;
  }
  const auto has = [&](const char* content) {
    return std::any_of(added.begin(), added.end(),
                       [&](const AddedToken& token) { return token.content == content; });
  };
  return std::make_unique<CharsTokenizer>(characters, has(end_of_text), has(mask_token));
}

}  // namespace lathe
