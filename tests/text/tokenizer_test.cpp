#include <gtest/gtest.h>
#include <lathe/text/bytes.h>
#include <lathe/text/chars.h>
#include <lathe/text/utf8.h>

#include "support.h"

namespace lathe {
namespace {

using Ids = std::vector<std::int32_t>;

TEST(Utf8, FindsTheFirstByteThatIsNoCharacter) {
  EXPECT_EQ(find_invalid_utf8("plain and größer 日本 🙂"), std::string_view::npos);
  EXPECT_EQ(find_invalid_utf8(""), std::string_view::npos);
  EXPECT_EQ(find_invalid_utf8("12345678abc\xff"), 11u);
  EXPECT_EQ(find_invalid_utf8("a\xc0\x80"), 1u);         // overlong
  EXPECT_EQ(find_invalid_utf8("ab\xed\xa0\x80"), 2u);    // surrogate
  EXPECT_EQ(find_invalid_utf8("\xf4\x90\x80\x80"), 0u);  // past U+10FFFF
  EXPECT_EQ(find_invalid_utf8("ok\xe6\x97"), 2u);        // cut
  EXPECT_EQ(find_invalid_utf8("\xf4\x8f\xbf\xbf"), std::string_view::npos);
  EXPECT_EQ(find_invalid_utf8("x\x80"), 1u);
}

TEST(Utf8, TellsCutFromBad) {
  EXPECT_EQ(read_utf8("\xe6\x97", 0).state, Utf8State::cut);
  EXPECT_EQ(read_utf8("\xe6\x41", 0).state, Utf8State::bad);
  EXPECT_EQ(read_utf8("\xe6\x97\xa5", 0).code, 0x65E5u);
  EXPECT_EQ(read_utf8("\xf0\x9f\x99\x82", 0).code, 0x1F642u);
}

TEST(Utf8, WritesWhatItReads) {
  for (const char32_t code : {U'a', U'\u00e9', U'\u65e5', U'\U0001F642', U'\U0010FFFF'}) {
    std::string text;
    append_utf8(text, code);
    EXPECT_EQ(read_utf8(text, 0).code, code);
    EXPECT_EQ(read_utf8(text, 0).length, text.size());
  }
}

TEST(Bytes, IdsAreTheBytes) {
  const BytesTokenizer tokenizer;
  EXPECT_EQ(tokenizer.encode("aé"), (Ids{97, 0xC3, 0xA9}));
  EXPECT_EQ(tokenizer.decode(Ids{97, 0xC3, 0xA9}), "aé");
  EXPECT_EQ(tokenizer.size(), 258);
  EXPECT_EQ(tokenizer.end_id(), 256);
  EXPECT_EQ(tokenizer.pad_id(), 257);
  EXPECT_EQ(tokenizer.begin_id(), -1);
  EXPECT_EQ(tokenizer.encode("a<|endoftext|>", Special::as_id), (Ids{97, 256}));
  EXPECT_EQ(tokenizer.encode("<|endoftext|>").size(), 13u);
  EXPECT_EQ(tokenizer.token(256), "<|endoftext|>");
}

TEST(Bytes, NamesWhatIsWrong) {
  const BytesTokenizer tokenizer;
  const std::string error = error_of([&] { tokenizer.encode("ab\ncd\xff"); });
  EXPECT_IN("byte 5", error);
  EXPECT_IN("0xFF", error);
  EXPECT_IN("line 2, column 3", error);
  EXPECT_IN("token id 258", error_of([&] { tokenizer.token(258); }));
  EXPECT_IN("token id -1", error_of([&] { tokenizer.decode(Ids{-1}); }));
  EXPECT_IN("cannot be trained", error_of([] { BytesTokenizer().train({}); }));
}

TEST(Bytes, SurvivesItsFile) {
  const TemporaryFolder folder;
  BytesTokenizer().save(folder.path());
  const auto loaded = load_tokenizer(folder.path());
  ASSERT_EQ(loaded->size(), 258);
  const std::string text = "größer\n<|pad|>";
  EXPECT_EQ(loaded->encode(text), BytesTokenizer().encode(text));
  EXPECT_EQ(loaded->encode(text, Special::as_id), BytesTokenizer().encode(text, Special::as_id));
  EXPECT_EQ(loaded->end_id(), 256);
}

TEST(Bytes, MaskFollowsTheVocabulary) {
  const BytesTokenizer tokenizer(true);
  EXPECT_EQ(tokenizer.size(), 259);
  EXPECT_EQ(tokenizer.mask_id(), 258);
  EXPECT_EQ(BytesTokenizer().mask_id(), -1);
  EXPECT_EQ(tokenizer.encode("a<|mask|>", Special::as_id), (Ids{97, 258}));
  EXPECT_EQ(tokenizer.encode("<|mask|>").size(), 8u);
  EXPECT_TRUE(tokenizer.is_special(258));
  EXPECT_FALSE(tokenizer.is_special(97));
  const TemporaryFolder folder;
  tokenizer.save(folder.path());
  EXPECT_EQ(load_tokenizer(folder.path())->mask_id(), 258);
  EXPECT_EQ(load_tokenizer(folder.path())->size(), 259);
}

TEST(Chars, MaskFollowsTheVocabulary) {
  for (const bool specials : {false, true}) {
    const CharsTokenizer tokenizer(U"abc", specials, true);
    const std::int32_t mask = specials ? 5 : 3;
    EXPECT_EQ(tokenizer.mask_id(), mask);
    EXPECT_EQ(tokenizer.size(), mask + 1);
    EXPECT_EQ(tokenizer.end_id(), specials ? 3 : -1);
    EXPECT_EQ(tokenizer.encode("ca<|mask|>", Special::as_id), (Ids{2, 0, mask}));
    EXPECT_EQ(tokenizer.special_id("<|mask|>"), mask);
    EXPECT_TRUE(tokenizer.is_special(mask));
    EXPECT_FALSE(tokenizer.is_special(2));
    const TemporaryFolder folder;
    tokenizer.save(folder.path());
    const auto loaded = load_tokenizer(folder.path());
    EXPECT_EQ(loaded->mask_id(), mask);
    EXPECT_EQ(loaded->end_id(), tokenizer.end_id());
    EXPECT_EQ(loaded->size(), tokenizer.size());
  }
}

// By the bytes at the seam: letters and digits go on with each other.
TEST(Chars, WordsBeginAtSeams) {
  const CharsTokenizer tokenizer(U"a1 -\u00e9", true, true);
  const auto begins = [&](const char* before, const char* after) {
    return tokenizer.begins_word(tokenizer.encode(before).at(0), tokenizer.encode(after).at(0));
  };
  EXPECT_FALSE(begins("a", "1"));
  EXPECT_FALSE(begins("1", "\u00e9"));
  EXPECT_FALSE(begins("\u00e9", "a"));
  EXPECT_TRUE(begins(" ", "a"));
  EXPECT_TRUE(begins("a", " "));
  EXPECT_TRUE(begins("a", "-"));
  EXPECT_TRUE(begins("-", "-"));
  EXPECT_TRUE(tokenizer.begins_word(-1, 0));
  EXPECT_TRUE(tokenizer.begins_word(0, tokenizer.mask_id()));
}

TEST(Chars, VocabularyIsTheSortedCharacters) {
  CharsTokenizer tokenizer{Config()};
  EXPECT_TRUE(tokenizer.needs_training());
  EXPECT_IN("trained first", error_of([&] { tokenizer.encode("a"); }));
  const std::string_view documents[] = {"ba\n", "éa"};
  tokenizer.train(documents);
  EXPECT_FALSE(tokenizer.needs_training());
  EXPECT_EQ(tokenizer.size(), 4);
  EXPECT_EQ(tokenizer.encode("\nabé"), (Ids{0, 1, 2, 3}));
  EXPECT_EQ(tokenizer.decode(Ids{3, 0, 1}), "é\na");
  EXPECT_EQ(tokenizer.end_id(), -1);
  EXPECT_EQ(tokenizer.pad_id(), -1);
}

TEST(Chars, UnknownCharacterIsNamedWithItsPlace) {
  const CharsTokenizer tokenizer(U"\nab", false);
  const std::string error = error_of([&] { tokenizer.encode("ab\naéb"); });
  EXPECT_IN("U+00E9 'é'", error);
  EXPECT_IN("line 2, column 2", error);
}

TEST(Chars, LearnsTinyShakespeareAsNanoGpt) {
  SKIP_WITHOUT_DATA();
  std::ifstream file(data_folder() + "/tinyshakespeare/input.txt");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  CharsTokenizer tokenizer{Config()};
  const std::string_view documents[] = {text};
  tokenizer.train(documents);
  EXPECT_EQ(tokenizer.size(), 65);
  // "hii there" in nanoGPT's data/shakespeare_char.
  EXPECT_EQ(tokenizer.encode("hii there"), (Ids{46, 47, 47, 1, 58, 46, 43, 56, 43}));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
}

TEST(Chars, SurvivesItsFile) {
  for (const bool specials : {false, true}) {
    const TemporaryFolder folder;
    const CharsTokenizer tokenizer(U"\n aé日", specials);
    tokenizer.save(folder.path());
    const auto loaded = load_tokenizer(folder.path() / "tokenizer.json");
    EXPECT_EQ(loaded->size(), specials ? 7 : 5);
    EXPECT_EQ(loaded->encode("日é a\n"), (Ids{4, 3, 1, 2, 0}));
    EXPECT_EQ(loaded->end_id(), specials ? 5 : -1);
    EXPECT_EQ(loaded->pad_id(), specials ? 6 : -1);
    if (specials) {
      EXPECT_EQ(loaded->encode("a<|endoftext|>", Special::as_id), (Ids{2, 5}));
    }
  }
}

TEST(StreamDecoder, EmitsWholeCharactersOnly) {
  const BytesTokenizer tokenizer;
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push('a'), "a");
  EXPECT_EQ(decoder.push(0xE6), "");
  EXPECT_EQ(decoder.push(0x97), "");
  EXPECT_EQ(decoder.push(0xA5), "日");
  EXPECT_EQ(decoder.push(0xC3), "");
  EXPECT_EQ(decoder.push('b'),
            "\uFFFD"
            "b");  // the first byte can never be completed
  EXPECT_EQ(decoder.push(0xF0), "");
  EXPECT_EQ(decoder.flush(), "\uFFFD");
  EXPECT_EQ(decoder.flush(), "");
  EXPECT_EQ(decoder.push('c'), "c");
}

}  // namespace
}  // namespace lathe
