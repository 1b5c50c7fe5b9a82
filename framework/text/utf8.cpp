#include <lathe/base/error.h>
#include <lathe/text/utf8.h>

#include <cstdint>
#include <cstring>

namespace lathe {

namespace {

std::string hexadecimal(char32_t value, int digits) {
  static constexpr char figures[] = "0123456789ABCDEF";
  std::string out;
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += figures[(value >> shift) & 15];
  return out;
}

// How many bytes a lead byte asks for (0: no lead byte), and which second bytes it allows.
struct Lead {
  unsigned length;
  unsigned char low;
  unsigned char high;
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {1, 0x80, 0xBF};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Utf8Character read_utf8(std::string_view text, std::size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) return {first, 1, Utf8State::whole};
  Lead lead = lead_of(first);
  if (lead.length == 0) return {0, 1, Utf8State::bad};
  char32_t code = first & (0x7Fu >> lead.length);
  for (unsigned i = 1; i < lead.length; ++i) {
    if (at + i >= text.size()) return {0, i, Utf8State::cut};
    const auto byte = static_cast<unsigned char>(text[at + i]);
    if (byte < lead.low || byte > lead.high) return {0, i, Utf8State::bad};
    code = (code << 6) | (byte & 0x3Fu);
    lead.low = 0x80;
    lead.high = 0xBF;
  }
  return {code, lead.length, Utf8State::whole};
}

std::size_t find_invalid_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t eight;
    while (at + sizeof eight <= text.size()) {
      std::memcpy(&eight, text.data() + at, sizeof eight);
      if ((eight & 0x8080808080808080u) != 0) break;
      at += sizeof eight;
    }
    if (at == text.size()) break;
    const Utf8Character next = read_utf8(text, at);
    if (next.state != Utf8State::whole) return at;
    at += next.length;
  }
  return std::string_view::npos;
}

void require_utf8(std::string_view text) {
  const std::size_t at = find_invalid_utf8(text);
  if (at == std::string_view::npos) return;
  fail("the text is not UTF-8 at byte ", at, " (0x",
       hexadecimal(static_cast<unsigned char>(text[at]), 2), "; ", line_and_column(text, at),
       "): convert it, for example with iconv -f latin1 -t utf-8");
}

void append_utf8(std::string& text, char32_t code) {
  const auto put = [&text](char32_t byte) { text += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

std::string line_and_column(std::string_view text, std::size_t at) {
  std::size_t line = 1;
  std::size_t column = 1;
  for (std::size_t i = 0; i < at && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 1;
    } else if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) {
      ++column;
    }
  }
  return cat("line ", line, ", column ", column);
}

std::string describe_character(char32_t code) {
  std::string out = "U+" + hexadecimal(code, code > 0xFFFF ? 6 : 4);
  if (code < 0x20 || (code >= 0x7F && code < 0xA0)) return out;
  out += " '";
  append_utf8(out, code);
  return out + "'";
}

}  // namespace lathe
