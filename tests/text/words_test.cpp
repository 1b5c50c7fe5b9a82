#include <gtest/gtest.h>
#include <lathe/text/ngrams.h>
#include <lathe/text/words.h>

namespace lathe {
namespace {

using Views = std::vector<std::string_view>;

TEST(Words, AsPythonSplits) {
  EXPECT_EQ(words_of(" a\tb\n\nc "), (Views{"a", "b", "c"}));
  EXPECT_EQ(words_of("a\u00a0b\u2003c\u3000d\u0085e\x1c"
                     "f"),
            (Views{"a", "b", "c", "d", "e", "f"}));
  EXPECT_EQ(words_of("a\u200bb"), (Views{"a\u200bb"}));  // a space of no width is none
  EXPECT_EQ(words_of(" \n"), Views());
  EXPECT_EQ(words_of("\xff \xc3"), (Views{"\xff", "\xc3"}));  // ill-formed parts are no space
  EXPECT_EQ(trimmed("\u00a0 a b\n"), "a b");
  EXPECT_EQ(trimmed(" "), "");
}

TEST(Words, Characters) {
  EXPECT_EQ(characters_of("aä\U0001F642\xff"), (Views{"a", "ä", "\U0001F642", "\xff"}));
  EXPECT_EQ(repaired_utf8("a\xff\xc3(ä"), "a\ufffd\ufffd(ä");
  EXPECT_EQ(repaired_utf8("ä"), "ä");
}

TEST(Words, LetterCaseAsInPython) {
  EXPECT_EQ(lower_case("ABC xyz 12"), "abc xyz 12");
  EXPECT_EQ(lower_case("ÄÖÜ ÉŁ Ж Ω Ա"), "äöü éł ж ω ա");
  EXPECT_EQ(lower_case("ß \u1e9e"), "ß ß");
  EXPECT_EQ(lower_case("\u0130\u212a"), "i\u0307k");
  EXPECT_EQ(lower_case("\xff"
                       "A"),
            "\xff"
            "a");
  EXPECT_TRUE(is_upper_case("A1!"));
  EXPECT_TRUE(is_upper_case("ÄЖ"));
  EXPECT_FALSE(is_upper_case("Ab"));
  EXPECT_FALSE(is_upper_case("12!"));
  EXPECT_FALSE(is_upper_case(""));
}

TEST(Ngrams, Counts) {
  const NgramCounts pairs = count_ngrams(Views{"a", "b", "a", "b"}, 2);
  EXPECT_EQ(pairs.total, 3);
  EXPECT_EQ(pairs.counts.size(), 2U);
  EXPECT_EQ(pairs.counts.at("a\nb\n"), 2);
  EXPECT_EQ(common_ngrams(pairs, count_ngrams(Views{"a", "b", "x", "a", "b", "a", "b"}, 2)), 3);
  EXPECT_EQ(common_ngrams(pairs, count_ngrams(Views{"b", "b"}, 2)), 0);
  EXPECT_EQ(count_ngrams(Views{"a"}, 2).total, 0);
}

}  // namespace
}  // namespace lathe
