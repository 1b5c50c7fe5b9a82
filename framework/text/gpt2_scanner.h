// GPT-2's pattern by hand, for speed:
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// (Radford et al. 2019, encoder.py). Every byte of a text belongs to exactly one piece.
#pragma once

#include <lathe/text/category.h>
#include <lathe/text/utf8.h>

#include <array>

namespace lathe {

inline constexpr std::string_view gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

class Gpt2Scanner {
 public:
  // The text is UTF-8 and outlives the scanner.
  explicit Gpt2Scanner(std::string_view text) : text_(text), categories_(Categories::get()) {}

  // The end of the piece that begins at `at` (inside the text).
  std::size_t end_of_piece(std::size_t at) const {
    const char first = text_[at];
    if (first == '\'') {
      const std::size_t suffix = contraction(at);
      if (suffix != 0) return at + suffix;
    }
    Next next = look(at);
    std::size_t end = at + next.length;
    if (first == ' ' && end < text_.size()) {
      const Next second = look(end);
      if (second.category != Category::space) {
        next = second;
        end += second.length;
      }
    }
    if (next.category == Category::space) return end_of_space(end);
    return end_of_run(end, next.category);
  }

  // Whether a piece must end before the byte at `at`, and what follows is split as if the text
  // began there: no piece goes on with white space after anything else.
  bool is_safe_boundary(std::size_t at) const {
    const auto is_ascii_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
    const char before = text_[at - 1];
    return is_ascii_space(text_[at]) && before > ' ' && before < 0x7F;
  }

 private:
  struct Next {
    Category category;
    unsigned length;
  };

  Next look(std::size_t at) const {
    const auto byte = static_cast<unsigned char>(text_[at]);
    if (byte < 0x80) return {categories_.of(byte), 1};
    const Utf8Character next = read_utf8(text_, at);
    return {categories_.of(next.code), next.length};
  }

  std::size_t end_of_run(std::size_t at, Category category) const {
    while (at < text_.size()) {
      const Next next = look(at);
      if (next.category != category) break;
      at += next.length;
    }
    return at;
  }

  // `\s+(?!\S)|\s+`: a run of white space leaves its last character to what follows, unless it is
  // alone or the text ends with it. `at` is past the first character of the run.
  std::size_t end_of_space(std::size_t at) const {
    std::size_t last = at;
    std::size_t end = at;
    bool alone = true;
    while (end < text_.size()) {
      const Next next = look(end);
      if (next.category != Category::space) return alone ? end : last;
      alone = false;
      last = end;
      end += next.length;
    }
    return end;
  }

  std::size_t contraction(std::size_t at) const {
    if (at + 1 >= text_.size()) return 0;
    const char one = text_[at + 1];
    if (one == 's' || one == 't' || one == 'm' || one == 'd') return 2;
    if (at + 2 >= text_.size()) return 0;
    const char two = text_[at + 2];
    const bool pair =
        (one == 'r' && two == 'e') || (one == 'v' && two == 'e') || (one == 'l' && two == 'l');
    return pair ? 3 : 0;
  }

  std::string_view text_;
  const Categories& categories_;
};

}  // namespace lathe
