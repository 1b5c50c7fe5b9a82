#include <lathe/base/error.h>
#include <lathe/text/tokenizer.h>
#include <lathe/text/utf8.h>

namespace lathe {

Tokenizer::~Tokenizer() = default;

std::vector<std::int32_t> Tokenizer::encode_parallel(std::string_view text, Special special) const {
  return encode(text, special);
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids) const {
  std::string bytes;
  bytes.reserve(ids.size() * 4);
  for (const std::int32_t id : ids) bytes += token(id);
  return bytes;
}

std::int32_t Tokenizer::end_id() const { return -1; }
std::int32_t Tokenizer::pad_id() const { return -1; }
std::int32_t Tokenizer::begin_id() const { return -1; }
std::int32_t Tokenizer::mask_id() const { return -1; }

bool Tokenizer::is_special(std::int32_t id) const {
  return id < 0 || id == end_id() || id == pad_id() || id == begin_id() || id == mask_id();
}

namespace {
bool is_of_a_word(char byte) {
  const auto code = static_cast<unsigned char>(byte);
  return code >= 0x80 || (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') ||
         (code >= 'a' && code <= 'z');
}
}  // namespace

bool Tokenizer::begins_word(std::int32_t before, std::int32_t id) const {
  if (is_special(before) || is_special(id)) return true;
  const std::string_view left = token(before);
  const std::string_view right = token(id);
  return left.empty() || right.empty() || !is_of_a_word(left.back()) ||
         !is_of_a_word(right.front());
}

std::int32_t Tokenizer::special_id(std::string_view) const { return -1; }
bool Tokenizer::needs_training() const { return false; }

void Tokenizer::train(std::span<const std::string_view>) {
  fail("this tokenizer's vocabulary is fixed: it cannot be trained");
}

std::string StreamDecoder::push(std::int32_t id) {
  rest_ += tokenizer_.token(id);
  std::string out;
  std::size_t at = 0;
  while (at < rest_.size()) {
    const Utf8Character next = read_utf8(rest_, at);
    if (next.state == Utf8State::cut) break;
    if (next.state == Utf8State::whole) {
      out.append(rest_, at, next.length);
    } else {
      append_utf8(out, replacement_character);
    }
    at += next.length;
  }
  rest_.erase(0, at);
  return out;
}

std::string StreamDecoder::flush() {
  std::string out;
  if (!rest_.empty()) append_utf8(out, replacement_character);
  rest_.clear();
  return out;
}

}  // namespace lathe
