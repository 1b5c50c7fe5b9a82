#include <lathe/text/rows.h>

#include <lathe/base/error.h>

#include <algorithm>

namespace lathe {
namespace {
// Cut at the bytes that every tokenizer which drops white space takes for it.
std::vector<ByteSpan> words_of(std::string_view text) {
  constexpr std::string_view white = " \t\n\r\f\v";
  std::vector<ByteSpan> words;
  for (std::size_t begin = text.find_first_not_of(white); begin < text.size();) {
    const std::size_t end = std::min(text.find_first_of(white, begin), text.size());
    words.push_back({begin, end});
    begin = text.find_first_not_of(white, end);
  }
  return words;
}

// One token after the other, from `begin`. `drop_space`: a token's own space is not of the text.
std::vector<ByteSpan> end_to_end(std::span<const std::int32_t> tokens, std::size_t begin,
                                 const Tokenizer& tokenizer, bool drop_space) {
  std::vector<ByteSpan> spans;
  for (const std::int32_t token : tokens) {
    std::string_view bytes = tokenizer.token(token);
    if (drop_space && bytes.starts_with(' ')) bytes.remove_prefix(1);
    spans.push_back({begin, begin + bytes.size()});
    begin += bytes.size();
  }
  return spans;
}
}  // namespace

std::vector<std::int32_t> framed(std::vector<std::int32_t> tokens, const TextFrame& frame,
                                 const Tokenizer& tokenizer) {
  const auto demand = [](std::int32_t id, const char* name) {
    if (id < 0) fail("the tokenizer has no ", name, " token to put around a text");
    return id;
  };
  if (frame.begin) tokens.insert(tokens.begin(), demand(tokenizer.begin_id(), "begin"));
  if (frame.end) tokens.push_back(demand(tokenizer.end_id(), "end"));
  return tokens;
}

std::vector<ByteSpan> spans_of(std::span<const std::int32_t> tokens, std::string_view text,
                               const Tokenizer& tokenizer) {
  if (tokenizer.decode(tokens) == text) return end_to_end(tokens, 0, tokenizer, false);
  std::vector<ByteSpan> spans;
  for (const ByteSpan& word : words_of(text)) {
    const std::size_t length = word.end - word.begin;
    const std::size_t count = tokenizer.encode(text.substr(word.begin, length)).size();
    if (spans.size() + count > tokens.size()) break;
    std::vector<ByteSpan> own =
        end_to_end(tokens.subspan(spans.size(), count), word.begin, tokenizer, true);
    if (!own.empty() && own.back().end != word.end) own.assign(count, word);
    spans.insert(spans.end(), own.begin(), own.end());
  }
  spans.resize(tokens.size(), {0, text.size()});  // words are not read apart: nothing is known
  return spans;
}

}  // namespace lathe
