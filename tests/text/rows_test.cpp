// What stands around a text, and where its tokens lie in it.
#include <lathe/text/chars.h>
#include <lathe/text/rows.h>

#include "support.h"

namespace lathe {
namespace {
using Ids = std::vector<std::int32_t>;
using Spans = std::vector<std::pair<std::size_t, std::size_t>>;

Spans spans(const Tokenizer& tokenizer, std::string_view text) {
  Spans all;
  for (const ByteSpan& span : spans_of(tokenizer.encode(text), text, tokenizer)) {
    all.emplace_back(span.begin, span.end);
  }
  return all;
}

TEST(TextFrame, PutsTokensAround) {
  const CharsTokenizer chars(U"ab", true);  // 2 the end, 3 padding
  EXPECT_EQ(framed({0, 1}, {}, chars), (Ids{0, 1}));
  EXPECT_EQ(framed({0, 1}, {.begin = false, .end = true}, chars), (Ids{0, 1, 2}));
  EXPECT_EQ(error_of([&] { framed({0}, {.begin = true, .end = false}, chars); }),
            "the tokenizer has no begin token to put around a text");
  const CharsTokenizer plain(U"ab", false);
  EXPECT_EQ(error_of([&] { framed({0}, {.begin = false, .end = true}, plain); }),
            "the tokenizer has no end token to put around a text");
}

TEST(TextSpans, OfTextThatComesBackAreEndToEnd) {
  const CharsTokenizer chars(U"aé €", false);
  EXPECT_EQ(spans(chars, "a€ é"), (Spans{{0, 1}, {1, 4}, {4, 5}, {5, 7}}));
  EXPECT_EQ(spans(chars, ""), Spans{});
}

// Lower case keeps the bytes, an accent that is dropped does not, and an unknown word has none.
TEST(TextSpans, OfWordPiecesAreWithinTheirWords) {
  const TemporaryFolder folder;
  const auto pieces = load_tokenizer(folder.put(
      "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nun\n##want\n##ed\nran\ncafe\n##s\n,\n"));
  ASSERT_EQ(pieces->encode(" Unwanted  ran,"), (Ids{5, 6, 7, 8, 11}));
  EXPECT_EQ(spans(*pieces, " Unwanted  ran,"), (Spans{{1, 3}, {3, 7}, {7, 9}, {11, 14}, {14, 15}}));
  ASSERT_EQ(pieces->encode("ran Cafés"), (Ids{8, 9, 10}));
  EXPECT_EQ(spans(*pieces, "ran Cafés"), (Spans{{0, 3}, {4, 10}, {4, 10}}));
  ASSERT_EQ(pieces->encode("xyz, ran"), (Ids{1, 11, 8}));
  EXPECT_EQ(spans(*pieces, "xyz, ran"), (Spans{{0, 4}, {0, 4}, {5, 8}}));
  const Ids frame = framed({8}, {.begin = true, .end = true}, *pieces);
  EXPECT_EQ(frame, (Ids{2, 8, 3}));
}

}  // namespace
}  // namespace lathe
