#include <lathe/text/category.h>
#include <lathe/text/utf8.h>
#include <lathe/text/words.h>
#include <oniguruma.h>

namespace lathe {

namespace {

// The information separators U+001C to U+001F part words too, in Python and in Unicode's property
// Bidi_Class alike.
bool parts_words(char32_t code) {
  return (code >= 0x1C && code <= 0x1F) || Categories::get().of(code) == Category::space;
}

// Calls see(character, bytes) for each character of the text.
template <class See>
void for_each_character(std::string_view text, const See& see) {
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Character next = read_utf8(text, at);
    see(next, text.substr(at, next.length));
    at += next.length;
  }
}

bool is_of(const Utf8Character& character, OnigCtype type) {
  const OnigEncoding encoding = ONIG_ENCODING_UTF8;
  return character.state == Utf8State::whole && encoding->is_code_ctype(character.code, type) != 0;
}
bool is_upper(const Utf8Character& character) { return is_of(character, ONIGENC_CTYPE_UPPER); }

}  // namespace

std::string repaired_utf8(std::string_view text) {
  if (find_invalid_utf8(text) == std::string_view::npos) return std::string(text);
  std::string repaired;
  for_each_character(text, [&](const Utf8Character& next, std::string_view bytes) {
    if (next.state == Utf8State::whole) {
      repaired += bytes;
    } else {
      append_utf8(repaired, replacement_character);
    }
  });
  return repaired;
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  std::size_t begin = 0, at = 0;
  const auto end_word = [&] {
    if (at > begin) words.push_back(text.substr(begin, at - begin));
  };
  for_each_character(text, [&](const Utf8Character& next, std::string_view bytes) {
    if (next.state == Utf8State::whole && parts_words(next.code)) {
      end_word();
      begin = at + bytes.size();
    }
    at += bytes.size();
  });
  end_word();
  return words;
}

std::vector<std::string_view> characters_of(std::string_view text) {
  std::vector<std::string_view> characters;
  for_each_character(
      text, [&](const Utf8Character&, std::string_view bytes) { characters.push_back(bytes); });
  return characters;
}

std::string_view trimmed(std::string_view text) {
  const std::vector<std::string_view> words = words_of(text);
  if (words.empty()) return {};
  const auto begin = static_cast<std::size_t>(words.front().data() - text.data());
  const auto last = static_cast<std::size_t>(words.back().data() - text.data());
  return text.substr(begin, last + words.back().size() - begin);
}

std::string lower_case(std::string_view text) {
  constexpr char32_t capital_sharp_s = 0x1E9E;  // its folding is "ss", its lower case "\u00DF"
  std::string result;
  result.reserve(text.size());
  for_each_character(text, [&](const Utf8Character& next, std::string_view bytes) {
    if (!is_upper(next)) {
      result += bytes;
    } else if (next.code < 0x80) {
      result += static_cast<char>(next.code + ('a' - 'A'));
    } else if (next.code == capital_sharp_s) {
      append_utf8(result, 0xDF);
    } else {
      // For capital letters folding is what makes them small.
      OnigUChar buffer[ONIGENC_MBC_CASE_FOLD_MAXLEN];
      const auto* begin = reinterpret_cast<const OnigUChar*>(bytes.data());
      const OnigEncoding encoding = ONIG_ENCODING_UTF8;
      const int length = ONIGENC_MBC_CASE_FOLD(encoding, INTERNAL_ONIGENC_CASE_FOLD_MULTI_CHAR,
                                               &begin, begin + bytes.size(), buffer);
      result.append(reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(length));
    }
  });
  return result;
}

bool is_upper_case(std::string_view text) {
  bool any = false, all = true;
  for_each_character(text, [&](const Utf8Character& next, std::string_view) {
    any = any || is_upper(next);
    all = all && !is_of(next, ONIGENC_CTYPE_LOWER);
  });
  return any && all;
}

}  // namespace lathe
