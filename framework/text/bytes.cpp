#include <lathe/base/error.h>
#include <lathe/text/bytes.h>
#include <lathe/text/tokenizer_json.h>

#include <array>

namespace lathe {

namespace {

const AddedTokens& special_tokens(bool with_mask) {
  const AddedToken end{.id = 256, .content = "<|endoftext|>"};
  const AddedToken pad{.id = 257, .content = "<|pad|>"};
  const AddedToken mask{.id = 258, .content = "<|mask|>"};
  static const AddedTokens two({end, pad});
  static const AddedTokens three({end, pad, mask});
  return with_mask ? three : two;
}

constexpr std::array<char, 256> make_bytes() {
  std::array<char, 256> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(static_cast<unsigned char>(i));
  }
  return bytes;
}
constexpr std::array<char, 256> all_bytes = make_bytes();

}  // namespace

std::vector<std::int32_t> BytesTokenizer::encode(std::string_view text, Special special) const {
  require_utf8(text);
  std::vector<std::int32_t> ids;
  ids.reserve(text.size());
  for (const AddedTokens::Part& part : special_tokens(mask_).cut(text, special == Special::as_id)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
    } else {
      for (const char byte : part.text) ids.push_back(static_cast<unsigned char>(byte));
    }
  }
  return ids;
}

std::string_view BytesTokenizer::token(std::int32_t id) const {
  if (id < 0 || id >= size()) {
    fail("token id ", id, " is outside the vocabulary of ", size(), " entries");
  }
  const auto index = static_cast<std::size_t>(id);
  if (index < all_bytes.size()) return {&all_bytes[index], 1};
  return special_tokens(mask_).tokens()[index - all_bytes.size()].content;
}

std::int32_t BytesTokenizer::special_id(std::string_view literal) const {
  const AddedToken* token = special_tokens(mask_).find(literal);
  return token == nullptr ? -1 : token->id;
}

void BytesTokenizer::save(const std::filesystem::path& folder) const {
  BpeParts parts;
  parts.rules.clear();
  for (std::int32_t id = 0; id < size(); ++id) parts.tokens.emplace_back(token(id));
  parts.added = special_tokens(mask_).tokens();
  parts.end = end_id();
  parts.pad = pad_id();
  parts.mask = mask_id();
  write_bpe(parts, folder, "bytes");
}

}  // namespace lathe
