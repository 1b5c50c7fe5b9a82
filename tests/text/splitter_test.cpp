#include <gtest/gtest.h>
#include <lathe/text/splitter.h>

#include <random>

#include "support.h"

namespace lathe {
namespace {

using Words = std::vector<std::string_view>;

Words split(const Splitter& splitter, std::string_view text) {
  Words words;
  splitter.for_each_word(text, [&](std::string_view word) { words.push_back(word); });
  return words;
}

const Splitter& gpt2() {
  static const Splitter splitter({{std::string(gpt2_pattern)}});
  return splitter;
}

TEST(Splitter, CutsAsGpt2) {
  EXPECT_EQ(split(gpt2(), "I'll say it's 42%!"),
            (Words{"I", "'ll", " say", " it", "'s", " 42", "%!"}));
  EXPECT_EQ(split(gpt2(), "a  b \n\n c\n"), (Words{"a", " ", " b", " \n\n", " c", "\n"}));
  EXPECT_EQ(split(gpt2(), "  "), (Words{"  "}));
  EXPECT_EQ(split(gpt2(), "'S 's"), (Words{"'", "S", " '", "s"}));
  EXPECT_EQ(split(gpt2(), ""), Words{});
}

// Text from characters that the pattern tells apart, many of them rare.
std::string random_text(std::mt19937& random) {
  static const std::u32string alphabet =
      U" \n\t\r'stremvld's't're've'm'll'dAbZ019.,!?-\u00a0\u2003\u3000\u0085\u2028\u200b\u180e"
      U"éßЖ日本字あ\u0301\u0e01٣２²½Ⅷ🙂\U0001D7D8\U00020000\U000E0001\U0001F1E6"
      U"\U00010330";
  std::string text;
  const auto length = random() % 60;
  for (std::size_t i = 0; i < length; ++i) {
    // One in eight is any code point at all.
    char32_t code = alphabet[random() % alphabet.size()];
    if (random() % 8 == 0) code = static_cast<char32_t>(random() % 0x110000);
    if (code >= 0xD800 && code < 0xE000) code = U' ';
    append_utf8(text, code);
  }
  return text;
}

TEST(Splitter, ScannerAgreesWithOnigurumaOnRandomText) {
  ASSERT_TRUE(gpt2().is_gpt2());
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    const std::string text = random_text(random);
    ASSERT_EQ(split(gpt2(), text), gpt2().by_rules(text)) << text;
  }
}

TEST(Splitter, ScannerAgreesWithOnigurumaOnEveryCodePointOfThreePlanes) {
  for (char32_t first = 0; first < 0x30000; first += 64) {
    std::string text;
    for (char32_t code = first; code < first + 64; ++code) {
      if (code >= 0xD800 && code < 0xE000) continue;
      for (const std::string_view before : {"a", " ", "1", "."}) {
        text += before;
        append_utf8(text, code);
      }
    }
    ASSERT_EQ(split(gpt2(), text), gpt2().by_rules(text)) << "from " << static_cast<int>(first);
  }
}

TEST(Splitter, SafeBoundariesNeverLieInsideAWord) {
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    const std::string text = random_text(random);
    const Gpt2Scanner scanner(text);
    const Words whole = split(gpt2(), text);
    for (std::size_t at = 1; at < text.size(); ++at) {
      if (!scanner.is_safe_boundary(at)) continue;
      Words halves = split(gpt2(), std::string_view(text).substr(0, at));
      for (const auto word : split(gpt2(), std::string_view(text).substr(at)))
        halves.push_back(word);
      ASSERT_EQ(halves, whole) << text << " at " << at;
    }
  }
}

TEST(Splitter, RulesIsolateOrRemove) {
  using enum SplitRule::Behavior;
  EXPECT_EQ(split(Splitter({{"[0-9]", false, isolated, false}}), "a12b"),
            (Words{"a", "1", "2", "b"}));
  EXPECT_EQ(split(Splitter({{"[0-9]", false, removed, false}}), "a12b"), (Words{"a", "b"}));
  EXPECT_EQ(split(Splitter({{"[0-9]+", false, removed, true}}), "a12b"), (Words{"12"}));
  EXPECT_EQ(split(Splitter({{"a.", true, isolated, false}}), "xa.ab"), (Words{"x", "a.", "ab"}));
  EXPECT_EQ(split(Splitter({{"-", true, isolated, false}, {"b", true, removed, false}}), "ab-bc"),
            (Words{"a", "-", "c"}));
}

TEST(Splitter, NamesABrokenPattern) {
  const std::string error = error_of([] { Splitter({{"a(b"}}, "tokenizer.json"); });
  EXPECT_IN("tokenizer.json", error);
  EXPECT_IN("a(b", error);
  EXPECT_IN("parenthes", error);
}

}  // namespace
}  // namespace lathe
