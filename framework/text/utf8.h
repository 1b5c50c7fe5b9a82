// Reading and writing UTF-8, strictly: no overlong forms, no surrogates, nothing past U+10FFFF.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lathe {

enum class Utf8State {
  whole,
  cut,  // the text ends inside a character that is well formed so far
  bad,  // ill formed
};

struct Utf8Character {
  char32_t code = 0;
  unsigned length = 0;  // bytes; of the ill-formed part where bad (at least 1)
  Utf8State state = Utf8State::bad;
};

inline constexpr char32_t replacement_character = 0xFFFD;

// The character that begins at text[at]; `at` is inside the text.
Utf8Character read_utf8(std::string_view text, std::size_t at);

// Offset of the first byte that is no part of a whole character; npos where all is UTF-8.
std::size_t find_invalid_utf8(std::string_view text);

// Throws Error, naming the byte offset and the byte, where the text is not UTF-8.
void require_utf8(std::string_view text);

void append_utf8(std::string& text, char32_t code);

// "line 3, column 7" of a byte offset; columns count characters, both begin at 1.
std::string line_and_column(std::string_view text, std::size_t at);

// "U+00E9 'é'", control characters without the quoted part.
std::string describe_character(char32_t code);

}  // namespace lathe
