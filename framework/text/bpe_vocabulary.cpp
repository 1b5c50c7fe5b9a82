#include <lathe/base/error.h>
#include <lathe/text/bpe_vocabulary.h>
#include <lathe/text/byte_alphabet.h>

#include <algorithm>

namespace lathe {

namespace {

void set_token(const JsonPlace& place, BpeParts& parts, std::int32_t id, const std::string& bytes) {
  const auto index = static_cast<std::size_t>(id);
  if (index >= parts.tokens.size()) parts.tokens.resize(index + 1);
  std::string& token = parts.tokens[index];
  if (!token.empty() && token != bytes) {
    fail(place.where(), ": the tokens '", token, "' and '", bytes, "' share the id ", id);
  }
  token = bytes;
}

}  // namespace

Vocabulary read_vocabulary(const JsonPlace& place, BpeParts& parts) {
  if (!place.value().is_object()) {
    fail(place.where(), ": expected an object from token to id, found ", place.value().type_name());
  }
  Vocabulary vocabulary;
  vocabulary.reserve(place.value().size());
  parts.tokens.reserve(place.value().size());
  for (const auto& [written, id_json] : place.value().items()) {
    if (written.empty()) fail(place.where(), ": holds an empty token");
    const bool is_id = id_json.is_number_integer() && id_json.get<std::int64_t>() >= 0 &&
                       id_json.get<std::int64_t>() <= JsonPlace::max_id;
    if (!is_id) {
      fail(place.where(), ": the token '", written, "' needs an id in 0..", JsonPlace::max_id,
           ", found ", id_json.dump());
    }
    vocabulary.emplace(written, id_json.get<std::int32_t>());
  }
  for (const AddedToken& token : parts.added) {
    const auto found = vocabulary.find(token.content);
    if (found != vocabulary.end() && found->second != token.id) {
      fail(place.where(), ": the added token '", token.content, "' has id ", token.id,
           " but stands in the vocabulary with id ", found->second);
    }
    set_token(place, parts, token.id, token.content);
  }
  const auto is_added = [&](const std::string& written) {
    return std::any_of(parts.added.begin(), parts.added.end(),
                       [&](const AddedToken& token) { return token.content == written; });
  };
  for (const auto& [written, id] : vocabulary) {
    if (is_added(written)) continue;
    // As the ByteLevel decoder does, a token outside the alphabet stands for its own bytes.
    set_token(place, parts, id, alphabet_to_bytes(written).value_or(written));
  }
  return vocabulary;
}

Merge resolve_merge(const std::string& left, const std::string& right, const Vocabulary& vocabulary,
                    std::string_view where) {
  const auto id_of = [&](const std::string& written) {
    const auto found = vocabulary.find(written);
    if (found == vocabulary.end()) {
      fail(where, ": the merge '", left, " ", right, "' needs the token '", written,
           "', which the vocabulary lacks");
    }
    return found->second;
  };
  return {id_of(left), id_of(right), id_of(left + right)};
}

void demand_all_bytes(const BpeParts& parts, std::string_view where) {
  std::vector<bool> has(256, false);
  for (const std::string& token : parts.tokens) {
    if (token.size() == 1) has[static_cast<unsigned char>(token[0])] = true;
  }
  const auto missing = std::find(has.begin(), has.end(), false);
  if (missing == has.end()) return;
  fail(where, ": an unknown token is not supported beside a vocabulary that lacks bytes (byte ",
       missing - has.begin(), ")");
}

}  // namespace lathe
