// Words, characters and letter case of UTF-8 text, for what measures texts (rewards, reports).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// The text with each ill-formed part replaced by U+FFFD: what a model wrote need not be UTF-8.
std::string repaired_utf8(std::string_view text);

// What stands between white space (as Python's str.split() sees it); views into the text.
std::vector<std::string_view> words_of(std::string_view text);
// One view a code point; ill-formed parts as they are.
std::vector<std::string_view> characters_of(std::string_view text);
// Without white space at both ends.
std::string_view trimmed(std::string_view text);

// As Python's lower(), without its rule for a sigma that ends a word.
std::string lower_case(std::string_view text);
// Whether it has an upper-case letter and no lower-case one.
bool is_upper_case(std::string_view text);

}  // namespace lathe
