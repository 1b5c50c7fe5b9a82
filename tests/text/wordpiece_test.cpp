// WordPiece against Hugging Face's tokenizers (recorded by tests/oracles/record_wordpiece.py) and
// against published tokenizations with BERT's own vocabulary.
#include <lathe/base/json.h>
#include <lathe/text/wordpiece.h>
#include <lathe/text/wordpiece_files.h>

#include <algorithm>
#include <sstream>

#include "support.h"

namespace lathe {
namespace {
using Ids = std::vector<std::int32_t>;

Json recorded() { return read_json(LATHE_FIXTURES "/text/wordpiece.json"); }

WordPieceTokenizer tokenizer_of(const Json& tokenizer) {
  return WordPieceTokenizer(read_wordpiece_json(tokenizer, "nowhere/tokenizer.json"));
}

TEST(WordPiece, EncodesAsHuggingFaceDoes) {
  const Json all = recorded();
  int checked = 0;
  for (const auto& [name, of] : all.items()) {
    const WordPieceTokenizer tokenizer = tokenizer_of(of.at("tokenizer"));
    for (const Json& vector : of.at("encoded")) {
      const auto text = vector.at("text").get<std::string>();
      EXPECT_EQ(tokenizer.encode(text), vector.at("as_text").get<Ids>()) << name << ": " << text;
      EXPECT_EQ(tokenizer.encode(text, Special::as_id), vector.at("as_id").get<Ids>())
          << name << ": " << text;
      ++checked;
    }
  }
  EXPECT_EQ(checked, 5 * 33);
}

TEST(WordPiece, DecodesAsHuggingFaceDoes) {
  const Json all = recorded();
  for (const auto& [name, of] : all.items()) {
    const WordPieceTokenizer tokenizer = tokenizer_of(of.at("tokenizer"));
    for (const Json& vector : of.at("decoded")) {
      const Ids ids = vector.at("ids").get<Ids>();
      const auto expected = vector.at("text").get<std::string>();
      EXPECT_EQ(tokenizer.decode(ids), expected) << name;
      StreamDecoder stream(tokenizer);  // goes on after something: with the space
      std::string streamed;
      for (const std::int32_t id : Ids(ids.begin() + 1, ids.end())) streamed += stream.push(id);
      EXPECT_EQ(tokenizer.decode(std::span(ids).first(1)) + streamed, expected) << name;
    }
  }
}

TEST(WordPiece, SurvivesItsFile) {
  const Json all = recorded();
  for (const auto& [name, of] : all.items()) {
    const WordPieceTokenizer tokenizer = tokenizer_of(of.at("tokenizer"));
    const TemporaryFolder folder;
    tokenizer.save(folder.path());
    const auto loaded = load_tokenizer(folder.path());
    ASSERT_EQ(loaded->size(), tokenizer.size());
    for (const Json& vector : of.at("encoded")) {
      const auto text = vector.at("text").get<std::string>();
      EXPECT_EQ(loaded->encode(text, Special::as_id), vector.at("as_id").get<Ids>()) << name;
    }
    for (const char* special : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
      EXPECT_EQ(loaded->special_id(special), tokenizer.special_id(special));
      EXPECT_TRUE(loaded->is_special(tokenizer.special_id(special)));
    }
    EXPECT_EQ(loaded->mask_id(), 4);
    EXPECT_EQ(loaded->begin_id(), 2);
    EXPECT_EQ(loaded->end_id(), 3);
    EXPECT_EQ(loaded->pad_id(), 0);
  }
}

constexpr std::string_view words =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nun\n##aff\n##able\nable\na\n##b\n,\n##f\n";

TEST(WordPiece, FromAWordList) {
  const TemporaryFolder folder;
  const std::string file = folder.put("vocab.txt", words);
  const auto tokenizer = load_tokenizer(file);
  EXPECT_EQ(tokenizer->encode("UNAFFABLE, ÁB xyz unaffb"), (Ids{5, 6, 7, 11, 9, 10, 1, 5, 6, 10}));
  EXPECT_EQ(load_tokenizer(folder.path())->encode("unaff"), (Ids{5, 6}));
  EXPECT_EQ(tokenizer->mask_id(), 4);
  EXPECT_TRUE(tokenizer->begins_word(5, 11));
  EXPECT_FALSE(tokenizer->begins_word(5, 6));
  EXPECT_TRUE(tokenizer->begins_word(4, 6));  // nothing goes on with a marker
  EXPECT_TRUE(tokenizer->begins_word(-1, 6));
  EXPECT_FALSE(tokenizer->is_special(5));
  // The file beside it says that case counts.
  folder.put("tokenizer_config.json", R"({"do_lower_case": false, "mask_token": "[MASK]"})");
  EXPECT_EQ(load_tokenizer(file)->encode("UN un"), (Ids{1, 5}));
  const Config asked = Config::table({}).with("file", Config::text(file));
  EXPECT_EQ(WordPieceTokenizer(asked).encode("un"), Ids{5});
}

TEST(WordPiece, NamesWhatIsWrong) {
  const TemporaryFolder folder;
  EXPECT_IN("neither tokenizer.json nor vocab.txt",
            error_of([&] { read_wordpiece(folder.path()); }));
  EXPECT_IN("vocab.txt:3: the token 'a' is twice",
            error_of([&] { read_wordpiece(folder.put("vocab.txt", "[UNK]\na\na\n")); }));
  EXPECT_IN("vocab.txt:2: expected a token",
            error_of([&] { read_wordpiece(folder.put("vocab.txt", "[UNK]\n\na\n")); }));
  EXPECT_IN("no token [UNK]", error_of([&] { read_wordpiece(folder.put("vocab.txt", "a\nb\n")); }));
  const Json whole = recorded().at("uncased").at("tokenizer");
  const auto broken = [&](const char* place, const Json& value) {
    Json json = whole;
    json[Json::json_pointer(place)] = value;
    return error_of([&] { tokenizer_of(json); });
  };
  EXPECT_IN("normalizer.type: \"NFC\" is not supported; expected BertNormalizer",
            broken("/normalizer/type", "NFC"));
  EXPECT_IN("pre_tokenizer.type", broken("/pre_tokenizer/type", "Whitespace"));
  EXPECT_IN("'[WHAT]' is not in the vocabulary", broken("/model/unk_token", "[WHAT]"));
  EXPECT_IN("share the id 0", broken("/model/vocab/the", 0));
  EXPECT_IN("there are fewer tokens", broken("/model/vocab/the", 5000));
  EXPECT_IN("version", broken("/version", "2.0"));
  const WordPieceTokenizer tokenizer = tokenizer_of(whole);
  EXPECT_IN("not UTF-8 at byte 2", error_of([&] { tokenizer.encode("ab\xff"); }));
  EXPECT_IN("token id 99999", error_of([&] { tokenizer.decode(Ids{99999}); }));
}

// Every published vector, and a long text in parallel.
TEST(WordPiece, PublishedVectors) {
  SKIP_WITHOUT_DATA();
  const std::string data = data_folder();
  const auto from_json = load_tokenizer(data + "/bert-tokenizer");
  const auto from_words = load_tokenizer(data + "/bert-tokenizer/vocab.txt");
  EXPECT_EQ(from_json->size(), 30522);
  EXPECT_EQ(from_words->size(), 30522);
  EXPECT_EQ(from_words->mask_id(), 103);
  std::string all;
  Ids ids;
  int checked = 0;
  for (const char* name : {"wordpiece-bert-uncased", "wordpiece-edge-cases"}) {
    std::ifstream file(data + "/tokenizer-vectors/" + name + ".jsonl");
    for (std::string line; std::getline(file, line); ++checked) {
      const Json vector = Json::parse(line);
      const auto text = vector.at("text").get<std::string>();
      const Ids expected = vector.at("ids").get<Ids>();
      EXPECT_EQ(from_json->encode(text), expected) << text;
      EXPECT_EQ(from_words->encode(text), expected) << text;
      all += text + "\n";
      ids.insert(ids.end(), expected.begin(), expected.end());
      if (!vector.contains("pieces")) continue;
      std::string joined;  // the pieces, by the bytes that each adds
      for (const std::string& piece : vector.at("pieces").get<std::vector<std::string>>()) {
        const bool closes = piece == "." || piece == "?" || piece == "!" || piece == ",";
        joined += piece.starts_with("##") ? piece.substr(2) : closes ? piece : " " + piece;
      }
      EXPECT_EQ(from_json->decode(expected),
                joined.substr(joined.empty() || joined[0] != ' ' ? 0 : 1));
    }
  }
  EXPECT_GT(checked, 900);
  std::string long_text;
  Ids long_ids;
  while (long_text.size() < 400000) {
    long_text += all;
    long_ids.insert(long_ids.end(), ids.begin(), ids.end());
  }
  EXPECT_EQ(from_json->encode(long_text), long_ids);
  EXPECT_EQ(from_json->encode_parallel(long_text), long_ids);
}

}  // namespace
}  // namespace lathe
