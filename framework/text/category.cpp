#include <lathe/text/category.h>
#include <lathe/text/utf8.h>
#include <oniguruma.h>

namespace lathe {

namespace {

struct Types {
  OnigEncoding encoding = ONIG_ENCODING_UTF8;
  int letter = type_of("L");
  int number = type_of("N");

  int type_of(std::string_view property) const {
    // The engine only reads the name; its interface lacks the const.
    auto* begin = reinterpret_cast<OnigUChar*>(const_cast<char*>(property.data()));
    return encoding->property_name_to_ctype(encoding, begin, begin + property.size());
  }
  bool is(char32_t code, int type) const {
    return encoding->is_code_ctype(code, static_cast<OnigCtype>(type)) != 0;
  }
};

Category ask(char32_t code) {
  static const Types types;
  if (types.is(code, types.letter)) return Category::letter;
  if (types.is(code, types.number)) return Category::number;
  if (types.is(code, ONIGENC_CTYPE_SPACE)) return Category::space;
  return Category::other;
}

bool is_space(char32_t code) { return Categories::get().of(code) == Category::space; }

}  // namespace

Categories::Categories() {
  for (char32_t code = 0; code < table_.size(); ++code) table_[code] = ask(code);
}

const Categories& Categories::get() {
  static const Categories categories;
  return categories;
}

Category Categories::beyond_table(char32_t code) { return ask(code); }

std::size_t space_at_begin(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Utf8Character next = read_utf8(text, at);
    if (!is_space(next.code)) break;
    at += next.length;
  }
  return at;
}

std::size_t space_at_end(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    std::size_t at = end - 1;
    while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
    if (!is_space(read_utf8(text, at).code)) break;
    end = at;
  }
  return text.size() - end;
}

}  // namespace lathe
