#include <lathe/learn/infill.h>

#include <lathe/base/error.h>
#include <lathe/data/packing.h>
#include <lathe/learn/masking.h>

#include <algorithm>

namespace lathe {
namespace {
// A placeholder of a text.
struct Placeholder {
  std::size_t begin = 0;
  std::size_t size = 0;  // bytes; 0: there is none
  bool long_gap = false;
};

Placeholder next_placeholder(std::string_view text, std::size_t from) {
  Placeholder first{.begin = text.size()};
  for (const std::string_view literal : {"[MASK]", "<|mask|>", "___"}) {
    const std::size_t begin = text.find(literal, from);
    if (begin >= first.begin) continue;
    first = {.begin = begin, .size = literal.size(), .long_gap = literal == "___"};
  }
  if (first.long_gap) {
    first.size = std::min(text.find_first_not_of('_', first.begin), text.size()) - first.begin;
  }
  return first;
}

// Whether tokens say the same wherever they stand, so that a text can be put together from parts.
bool are_bytes(std::span<const std::int32_t> tokens, const Tokenizer& tokenizer) {
  return std::all_of(tokens.begin(), tokens.end(), [&](const std::int32_t& token) {
    return tokenizer.decode(std::span(&token, 1)) == tokenizer.token(token);
  });
}

// The text as it was given with its gaps filled in; where tokens carry the spaces between words, or
// go on with one, what the tokens of the row say.
std::string text_of(const GapText& given, std::span<const std::int32_t> row,
                    const Tokenizer& tokenizer) {
  std::vector<std::int32_t> ordinary(row.begin(), row.end());
  std::erase_if(ordinary, [&](std::int32_t token) { return tokenizer.is_special(token); });
  if (!are_bytes(ordinary, tokenizer)) return tokenizer.decode(ordinary);
  std::string text = given.around[0];
  for (std::size_t g = 0; g < given.hidden.size(); ++g) {
    StreamDecoder decoder(tokenizer);
    for (const std::int64_t place : given.hidden[g]) {
      text += decoder.push(row[static_cast<std::size_t>(place)]);
    }
    text += decoder.flush() + given.around[g + 1];
  }
  return text;
}
}  // namespace

GapText read_gaps(std::string_view text, std::int64_t gap, const TextFrame& frame,
                  const Tokenizer& tokenizer) {
  const std::int32_t mask = mask_of(tokenizer);
  GapText read;
  if (frame.begin) read.tokens = framed({}, {.begin = true}, tokenizer);
  const auto append = [&](std::string_view part) {
    const std::vector<std::int32_t> tokens = tokenizer.encode(part);
    read.tokens.insert(read.tokens.end(), tokens.begin(), tokens.end());
    read.around.emplace_back(part);
  };
  const auto hide = [&](std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      read.hidden.back().push_back(static_cast<std::int64_t>(read.tokens.size()));
      read.tokens.push_back(mask);
    }
  };
  std::size_t from = 0;
  for (Placeholder at = next_placeholder(text, 0); at.size > 0; at = next_placeholder(text, from)) {
    const bool goes_on = !read.hidden.empty() && at.begin == from;
    if (!goes_on) {
      append(text.substr(from, at.begin - from));
      read.hidden.emplace_back();
    }
    hide(at.long_gap ? gap : 1);
    from = at.begin + at.size;
  }
  append(text.substr(from));
  if (read.hidden.empty()) {
    read.hidden.emplace_back();
    hide(gap);
    read.around.emplace_back();
  }
  read.tokens = framed(std::move(read.tokens), {.end = frame.end}, tokenizer);
  std::erase_if(read.hidden, [](const auto& places) { return places.empty(); });
  if (read.hidden.empty()) fail("a gap of no tokens leaves nothing to write");
  return read;
}

std::vector<FilledText> fill_gaps(const Model& model, const Parameters& parameters,
                                  const Tokenizer& tokenizer, std::span<const GapText> texts,
                                  const GenerationOptions& with, const UnmaskingOptions& how,
                                  std::uint64_t seed) {
  const Unmasking unmasking(model, parameters, writable_tokens(tokenizer));
  std::vector<FilledText> results;
  constexpr std::size_t most = 32;  // rows in one pass
  for (std::size_t begin = 0; begin < texts.size(); begin += most) {
    const auto some = texts.subspan(begin, std::min(most, texts.size() - begin));
    std::size_t longest = 0;
    for (const GapText& one : some) longest = std::max(longest, one.tokens.size());
    if (static_cast<std::int64_t>(longest) > model.context()) {
      fail("a text of ", longest, " tokens, gaps included, is longer than the model's context of ",
           model.context(), ": shorten it, or write fewer tokens");
    }
    Batch batch =
        padding_batch(static_cast<std::int64_t>(some.size()), static_cast<std::int64_t>(longest));
    std::vector<HiddenPlaces> hidden;
    for (std::size_t b = 0; b < some.size(); ++b) {
      const auto row = static_cast<std::int64_t>(b);
      place_piece(batch, row, 0, 0, some[b].tokens,
                  std::vector<float>(some[b].tokens.size(), 1.0F));
      hidden.push_back(
          {.row = row, .places = {}, .random = RandomStream(seed, "unmask", begin + b)});
      for (const auto& gap : some[b].hidden) {
        hidden.back().places.insert(hidden.back().places.end(), gap.begin(), gap.end());
      }
    }
    drop_trivial_segments(batch);
    std::vector<std::vector<FilledPlace>> filled = unmasking.fill(batch, hidden, with, how);
    for (std::size_t b = 0; b < some.size(); ++b) {
      const auto row = std::span(batch.tokens).subspan(b * longest, some[b].tokens.size());
      results.push_back({.text = text_of(some[b], row, tokenizer), .filled = std::move(filled[b])});
    }
  }
  return results;
}

}  // namespace lathe
