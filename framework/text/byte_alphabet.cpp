#include <lathe/text/byte_alphabet.h>
#include <lathe/text/utf8.h>

#include <array>

namespace lathe {

namespace {

constexpr char32_t alphabet_end = 0x100 + 68;

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<int, alphabet_end> byte{};
};

constexpr Alphabet make_alphabet() {
  Alphabet table;
  table.byte.fill(-1);
  char32_t shifted = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
    const char32_t character = printable ? byte : shifted++;
    table.character[byte] = character;
    table.byte[character] = static_cast<int>(byte);
  }
  return table;
}

constexpr Alphabet alphabet = make_alphabet();

}  // namespace

char32_t byte_to_character(unsigned char byte) { return alphabet.character[byte]; }

std::string bytes_to_alphabet(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) {
    append_utf8(out, byte_to_character(static_cast<unsigned char>(byte)));
  }
  return out;
}

std::optional<std::string> alphabet_to_bytes(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Character next = read_utf8(text, at);
    if (next.state != Utf8State::whole || next.code >= alphabet_end) return std::nullopt;
    const int byte = alphabet.byte[next.code];
    if (byte < 0) return std::nullopt;
    out += static_cast<char>(byte);
    at += next.length;
  }
  return out;
}

}  // namespace lathe
