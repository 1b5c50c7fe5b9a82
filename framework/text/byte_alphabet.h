// The alphabet in which byte-level BPE files write bytes: each of the 256 bytes as one printable
// character (GPT-2's bytes_to_unicode: 33-126, 161-172 and 174-255 as themselves, the other 68 in
// order from U+0100).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lathe {

char32_t byte_to_character(unsigned char byte);

std::string bytes_to_alphabet(std::string_view bytes);

// Nothing where some character is outside the alphabet or the text is not UTF-8.
std::optional<std::string> alphabet_to_bytes(std::string_view text);

}  // namespace lathe
