// Which of the classes that GPT-2's pattern tells apart (\p{L}, \p{N}, \s, none of them) a code
// point belongs to. The classes are Oniguruma's own, so that both ways to split agree.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace lathe {

enum class Category : std::uint8_t { other, letter, number, space };

// One entry for each code point of the basic plane; the rest is asked of Oniguruma.
class Categories {
 public:
  static const Categories& get();

  Category of(char32_t code) const {
    return code < table_.size() ? table_[code] : beyond_table(code);
  }

 private:
  Categories();
  static Category beyond_table(char32_t code);

  std::array<Category, 0x10000> table_;
};

// Bytes of white space at the begin and at the end of a text.
std::size_t space_at_begin(std::string_view text);
std::size_t space_at_end(std::string_view text);

}  // namespace lathe
