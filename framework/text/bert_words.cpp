#include <lathe/base/error.h>
#include <lathe/text/bert_words.h>
#include <lathe/text/utf8.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>

#include <algorithm>
#include <array>
#include <string>

namespace lathe {
namespace {
using Listener = std::function<void(std::string_view)>;

bool is_ascii_punctuation(char32_t code) {
  return (code >= 33 && code <= 47) || (code >= 58 && code <= 64) || (code >= 91 && code <= 96) ||
         (code >= 123 && code <= 126);
}
bool is_punctuation(char32_t code) {
  return is_ascii_punctuation(code) ||
         (U_MASK(u_charType(static_cast<UChar32>(code))) & U_GC_P_MASK) != 0;
}
bool is_space(char32_t code) { return u_isUWhiteSpace(static_cast<UChar32>(code)) != 0; }

// Categories Cc, Cf, Cn, Co; tab and line ends count as white space.
bool is_control(char32_t code) {
  if (code == '\t' || code == '\n' || code == '\r') return false;
  return (U_MASK(u_charType(static_cast<UChar32>(code))) & U_GC_C_MASK) != 0;
}

bool is_ideograph(char32_t code) {
  struct Range {
    char32_t first, last;
  };
  static constexpr std::array<Range, 8> ranges = {{{0x4E00, 0x9FFF},
                                                   {0x3400, 0x4DBF},
                                                   {0x20000, 0x2A6DF},
                                                   {0x2A700, 0x2B73F},
                                                   {0x2B740, 0x2B81F},
                                                   {0x2B820, 0x2CEAF},
                                                   {0xF900, 0xFAFF},
                                                   {0x2F800, 0x2FA1F}}};
  return std::any_of(ranges.begin(), ranges.end(), [code](const Range& range) {
    return code >= range.first && code <= range.last;
  });
}

// The characters of a text after cleaning and spacing, in UTF-16 for ICU.
std::u16string cleaned(std::string_view text, const BertRules& rules) {
  std::u16string out;
  const auto put = [&out](char32_t code) {
    if (code > 0xFFFF) {
      out += static_cast<char16_t>(U16_LEAD(code));
      out += static_cast<char16_t>(U16_TRAIL(code));
    } else {
      out += static_cast<char16_t>(code);
    }
  };
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Character next = read_utf8(text, at);
    at += next.length;
    char32_t code = next.code;
    if (rules.clean) {
      if (code == 0 || code == replacement_character || is_control(code)) continue;
      if (is_space(code)) code = ' ';
    }
    const bool alone = rules.ideographs && is_ideograph(code);
    if (alone) put(' ');
    put(code);
    if (alone) put(' ');
  }
  return out;
}

std::u16string decomposed(const std::u16string& text) {
  UErrorCode error = U_ZERO_ERROR;
  const UNormalizer2* rule = unorm2_getNFDInstance(&error);
  if (U_FAILURE(error)) fail("ICU has no table for decomposition: ", u_errorName(error));
  // One UTF-16 unit gives at most four (U+0390 and its like; Unicode's stability policy).
  std::u16string out(4 * text.size() + 4, u'\0');
  const std::int32_t size =
      unorm2_normalize(rule, text.data(), static_cast<std::int32_t>(text.size()), out.data(),
                       static_cast<std::int32_t>(out.size()), &error);
  if (U_FAILURE(error)) fail("ICU cannot decompose a text: ", u_errorName(error));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

// Gathers characters until a word ends.
class Words {
 public:
  explicit Words(const Listener& hear) : hear_(hear) {}

  void put(char32_t code) {
    if (is_space(code)) {
      end();
    } else if (is_punctuation(code)) {
      end();
      append_utf8(word_, code);
      end();
    } else {
      append_utf8(word_, code);
    }
  }
  void end() {
    if (!word_.empty()) hear_(word_);
    word_.clear();
  }

 private:
  const Listener& hear_;
  std::string word_;
};

void hear_any(std::string_view text, const BertRules& rules, const Listener& hear) {
  std::u16string characters = cleaned(text, rules);
  if (rules.strip_accents) characters = decomposed(characters);
  Words words(hear);
  for (std::size_t i = 0; i < characters.size();) {
    char32_t unit = characters[i++];
    if (U16_IS_LEAD(unit)) unit = 0x10000 + ((unit - 0xD800) << 10) + (characters[i++] - 0xDC00u);
    const auto code = static_cast<UChar32>(unit);
    if (rules.strip_accents && u_charType(code) == U_NON_SPACING_MARK) continue;
    if (!rules.lowercase) {
      words.put(unit);
    } else if (code == 0x130) {  // the one letter whose lower case is two characters
      words.put('i');
      words.put(0x307);
    } else {
      words.put(static_cast<char32_t>(u_tolower(code)));
    }
  }
  words.end();
}

// The same for a text of ASCII without white space.
void hear_ascii(std::string_view text, const BertRules& rules, const Listener& hear) {
  std::string word;
  const auto end = [&] {
    if (!word.empty()) hear(word);
    word.clear();
  };
  for (char byte : text) {
    const auto code = static_cast<unsigned char>(byte);
    if (code < 32 || code == 127) {
      if (rules.clean) continue;
      if (code == 11 || code == 12) {
        end();
        continue;
      }
    }
    if (is_ascii_punctuation(code)) {
      end();
      hear(std::string_view(&byte, 1));
      continue;
    }
    if (rules.lowercase && byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte + 32);
    word += byte;
  }
  end();
}
}  // namespace

// No rule looks past these four, so each stretch between them stands for itself.
void for_each_bert_word(std::string_view text, const BertRules& rules, const Listener& hear) {
  constexpr std::string_view spaces = " \t\n\r";
  for (std::size_t at = text.find_first_not_of(spaces); at != text.npos;) {
    const std::size_t end = std::min(text.find_first_of(spaces, at), text.size());
    const std::string_view stretch = text.substr(at, end - at);
    const bool ascii = std::all_of(stretch.begin(), stretch.end(), [](char byte) {
      return static_cast<unsigned char>(byte) < 0x80;
    });
    if (ascii) {
      hear_ascii(stretch, rules, hear);
    } else {
      hear_any(stretch, rules, hear);
    }
    at = text.find_first_not_of(spaces, end);
  }
}

}  // namespace lathe
