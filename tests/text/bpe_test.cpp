#include <gtest/gtest.h>
#include <lathe/base/file.h>
#include <lathe/base/json.h>
#include <lathe/text/bpe.h>
#include <lathe/text/utf8.h>

#include <random>

#include "support.h"

namespace lathe {
namespace {

using Ids = std::vector<std::int32_t>;

const Tokenizer& gpt2() {
  static const auto tokenizer = load_tokenizer(data_folder() + "/gpt2-tokenizer");
  return *tokenizer;
}

TEST(Bpe, AgreesWithEveryPublishedGpt2Vector) {
  SKIP_WITHOUT_DATA();
  std::ifstream file(data_folder() + "/tokenizer-vectors/gpt2.jsonl");
  std::string line;
  int count = 0;
  while (std::getline(file, line)) {
    const Json vector = parse_json(line, "gpt2.jsonl");
    const auto text = vector["text"].get<std::string>();
    const Special special = vector["parse_special"].get<bool>() ? Special::as_id : Special::as_text;
    const Ids ids = gpt2().encode(text, special);
    EXPECT_EQ(ids, vector["ids"].get<Ids>()) << line;
    EXPECT_EQ(gpt2().decode(ids), text);
    ++count;
  }
  EXPECT_EQ(count, 113);
}

TEST(Bpe, BothFormsOfGpt2AreTheSame) {
  SKIP_WITHOUT_DATA();
  const TemporaryFolder folder;
  for (const char* name : {"vocab.json", "merges.txt"}) {
    std::filesystem::copy(data_folder() + "/gpt2-tokenizer/" + name, folder.path() / name);
  }
  const auto two_files = load_tokenizer(folder.path());
  const std::string text = read_file(data_folder() + "/wikitext-2/valid.txt").substr(0, 200000);
  EXPECT_EQ(two_files->encode(text), gpt2().encode(text));
  EXPECT_EQ(two_files->size(), 50257);
  EXPECT_EQ(two_files->end_id(), 50256);
  EXPECT_EQ(gpt2().size(), 50257);
  EXPECT_EQ(gpt2().end_id(), 50256);
  EXPECT_EQ(gpt2().special_id("<|endoftext|>"), 50256);
  EXPECT_EQ(gpt2().special_id("<|nothing|>"), -1);

  std::filesystem::remove(folder.path() / "vocab.json");
  std::filesystem::remove(folder.path() / "merges.txt");
  two_files->save(folder.path());
  EXPECT_EQ(load_tokenizer(folder.path())->encode(text), gpt2().encode(text));
}

TEST(Bpe, ParallelIsTheSame) {
  SKIP_WITHOUT_DATA();
  std::string text = read_file(data_folder() + "/tinyshakespeare/input.txt");
  text.insert(300000, "<|endoftext|>");
  text.insert(500001, "日本語の文章、🙂 <|endoftext|>\n\n");
  const Ids ids = gpt2().encode(text, Special::as_id);
  EXPECT_EQ(gpt2().encode_parallel(text, Special::as_id), ids);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 50256), 2);
  EXPECT_EQ(gpt2().decode(ids), text);
  EXPECT_EQ(gpt2().encode_parallel(text), gpt2().encode(text));
}

// Every recorded case: prefix space, Split patterns, ignore_merges, added tokens that strip.
TEST(Bpe, AgreesWithHuggingFaceOnTokenizerJson) {
  const Json cases = read_json(std::string(LATHE_FIXTURES) + "/text/tokenizer_json.json");
  ASSERT_EQ(cases.size(), 12u);
  for (const Json& item : cases) {
    const TemporaryFolder folder;
    folder.put("tokenizer.json", item["tokenizer"].dump());
    const auto first = load_tokenizer(folder.path());
    const TemporaryFolder again;
    first->save(again.path());
    const auto second = load_tokenizer(again.path());
    for (const Json& probe : item["probes"]) {
      const auto text = probe["text"].get<std::string>();
      SCOPED_TRACE(item["name"].get<std::string>() + ": " + text);
      for (const auto* tokenizer : {first.get(), second.get()}) {
        EXPECT_EQ(tokenizer->encode(text), probe["as_text"].get<Ids>());
        EXPECT_EQ(tokenizer->encode(text, Special::as_id), probe["as_id"].get<Ids>());
      }
    }
  }
}

// Lowest rank first, leftmost first; words long enough for the queue against the plain rule.
TEST(Bpe, LongWordsMergeAsShortOnes) {
  const std::vector<Merge> merges = {{0, 1, 2}, {2, 0, 3}, {1, 1, 4}, {3, 4, 5}, {0, 0, 6}};
  const MergeTable table(merges);
  const auto plain = [&](Ids ids) {
    for (;;) {
      std::size_t best = 0;
      std::uint32_t rank = MergeTable::no_rank;
      for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
        if (table.find(ids[i], ids[i + 1]).rank < rank) {
          rank = table.find(ids[i], ids[i + 1]).rank;
          best = i;
        }
      }
      if (rank == MergeTable::no_rank) return ids;
      ids[best] = table.find(ids[best], ids[best + 1]).result;
      ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
  };
  std::mt19937 random(3);
  for (const std::size_t length : {1u, 2u, 7u, 48u, 49u, 50u, 200u}) {
    for (int round = 0; round < 50; ++round) {
      Ids ids(length);
      for (auto& id : ids) id = static_cast<std::int32_t>(random() % 2);
      const Ids expected = plain(ids);
      ids.resize(table.merge(ids));
      EXPECT_EQ(ids, expected);
    }
  }
}

// More words than the cache holds, each twice.
TEST(Bpe, TheCacheNeverChangesAResult) {
  SKIP_WITHOUT_DATA();
  std::mt19937 random(5);
  std::string text;
  for (int i = 0; i < 60000; ++i) {
    text += ' ';
    const auto length = 1 + random() % 15;
    for (std::size_t k = 0; k < length; ++k) text += static_cast<char>('a' + random() % 26);
  }
  const Ids first = gpt2().encode(text);
  EXPECT_EQ(gpt2().encode(text), first);
  EXPECT_EQ(gpt2().decode(first), text);
  Ids one_by_one;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at + 1), text.size());
    for (const auto id : gpt2().encode(text.substr(at, end - at))) one_by_one.push_back(id);
    at = end;
  }
  EXPECT_EQ(one_by_one, first);
}

TEST(Bpe, OptionsAskForAFileOrTraining) {
  EXPECT_IN("has neither", error_of([] { BpeTokenizer{Config()}; }));
  const Config both =
      Config().with("file", Config::text("somewhere")).with("train", Config::boolean(true));
  EXPECT_IN("has both", error_of([&] { BpeTokenizer{both}; }));
  BpeTokenizer tokenizer{
      Config().with("train", Config::boolean(true)).with("size", Config::integer(260))};
  EXPECT_TRUE(tokenizer.needs_training());
  EXPECT_IN("trained first", error_of([&] { tokenizer.encode("a"); }));
  const std::string_view documents[] = {"abababab abab"};
  tokenizer.train(documents);
  EXPECT_EQ(tokenizer.size(), 260);
  EXPECT_EQ(tokenizer.token(258), "ab");
  EXPECT_EQ(tokenizer.token(259), "abab");
  EXPECT_EQ(tokenizer.encode("abab"), Ids{259});
}

// A small, sound tokenizer.json to break in one place at a time.
Json sound() {
  return Json::parse(R"({
    "version": "1.0", "normalizer": null, "added_tokens": [],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})");
}

std::string error_with(const std::string& pointer, const Json& value) {
  const TemporaryFolder folder;
  Json json = sound();
  json[Json::json_pointer(pointer)] = value;
  const std::string path = folder.put("tokenizer.json", json.dump());
  const std::string error = error_of([&] { load_tokenizer(path); });
  EXPECT_IN(path, error);
  return error;
}

TEST(BpeErrors, SoundFileLoads) {
  const TemporaryFolder folder;
  const auto tokenizer = load_tokenizer(folder.put("tokenizer.json", sound().dump()));
  EXPECT_EQ(tokenizer->encode("abba"), (Ids{2, 1, 0}));
  const std::string error = error_of([&] { tokenizer->encode("abc"); });
  EXPECT_IN("byte 99", error);
}

TEST(BpeErrors, NameTheJsonPath) {
  EXPECT_IN(": version: \"2.0\"", error_with("/version", "2.0"));
  EXPECT_IN(": normalizer: ", error_with("/normalizer", {{"type", "NFC"}}));
  EXPECT_IN(": pre_tokenizer.type: \"Metaspace\"", error_with("/pre_tokenizer/type", "Metaspace"));
  EXPECT_IN(": decoder.type: \"WordPiece\"", error_with("/decoder/type", "WordPiece"));
  EXPECT_IN(": model.type: expected \"BPE\", found \"Unigram\"",
            error_with("/model/type", "Unigram"));
  EXPECT_IN(": model.dropout: 0.1", error_with("/model/dropout", 0.1));
  EXPECT_IN(": model.end_of_word_suffix", error_with("/model/end_of_word_suffix", "</w>"));
  EXPECT_IN(": model.unk_token: an unknown token", error_with("/model/unk_token", "<unk>"));
  EXPECT_IN(": model.merges[0]: the merge 'a c' needs the token 'c'",
            error_with("/model/merges", Json::array({Json::array({"a", "c"})})));
  EXPECT_IN(": model.merges[0]: the merge 'b a' needs the token 'ba'",
            error_with("/model/merges", {"b a"}));
  EXPECT_IN(": model.merges[1]: expected a merge", error_with("/model/merges", {"a b", "a b c"}));
  EXPECT_IN(": model.vocab: the token 'a' needs an id", error_with("/model/vocab/a", -1));
  EXPECT_IN("share the id 1", error_with("/model/vocab/a", 1));
  EXPECT_IN(": model.vocab: expected an object", error_with("/model/vocab", 3));
  EXPECT_IN(": added_tokens: expected a list", error_with("/added_tokens", "x"));
  EXPECT_IN(": added_tokens[0].id is missing",
            error_with("/added_tokens", Json::array({{{"content", "x"}}})));
  EXPECT_IN("single_word",
            error_with("/added_tokens",
                       Json::array({{{"content", "x"}, {"id", 3}, {"single_word", true}}})));
}

TEST(BpeErrors, BrokenJsonNamesTheLine) {
  const TemporaryFolder folder;
  const std::string path = folder.put("tokenizer.json", "{\n  \"version\": \"1.0\",\n  oops\n}");
  EXPECT_IN(path + ":3:", error_of([&] { load_tokenizer(path); }));
}

TEST(BpeErrors, MergesTxtNamesTheLine) {
  const TemporaryFolder folder;
  EXPECT_IN("neither tokenizer.json nor vocab.json",
            error_of([&] { load_tokenizer(folder.path()); }));
  folder.put("vocab.json", R"({"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3})");
  EXPECT_IN("merges.txt is missing", error_of([&] { load_tokenizer(folder.path()); }));
  const std::string merges = folder.put("merges.txt", "#version: 0.2\r\na b\r\n");
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->encode("ab<|endoftext|>", Special::as_id), (Ids{2, 3}));
  EXPECT_EQ(tokenizer->end_id(), 3);
  folder.put("merges.txt", "#version: 0.2\na b\nab a\n");
  EXPECT_IN(merges + ":3: the merge 'ab a' needs the token 'aba'",
            error_of([&] { load_tokenizer(folder.path()); }));
  folder.put("merges.txt", "#version: 0.2\nab\n");
  EXPECT_IN(merges + ":2: expected a merge", error_of([&] { load_tokenizer(folder.path()); }));
}

TEST(BpeErrors, TextThatIsNotUtf8NamesTheByte) {
  const TemporaryFolder folder;
  const auto tokenizer = load_tokenizer(folder.put("tokenizer.json", sound().dump()));
  EXPECT_IN("byte 2 (0xC3", error_of([&] { tokenizer->encode("ab\xc3"); }));
  EXPECT_IN("token id 3 is outside", error_of([&] { tokenizer->decode(Ids{0, 3}); }));
}

TEST(Bpe, SpecialIdsComeFromTokenizerConfig) {
  const TemporaryFolder folder;
  Json json = sound();
  json["added_tokens"] = {{{"id", 3}, {"content", "</s>"}, {"special", true}},
                          {{"id", 4}, {"content", "<s>"}, {"special", true}}};
  folder.put("tokenizer.json", json.dump());
  EXPECT_EQ(load_tokenizer(folder.path())->end_id(), -1);
  folder.put("tokenizer_config.json",
             R"({"eos_token": "</s>", "bos_token": {"content": "<s>"}, "pad_token": null})");
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->end_id(), 3);
  EXPECT_EQ(tokenizer->begin_id(), 4);
  EXPECT_EQ(tokenizer->pad_id(), -1);
  folder.put("tokenizer_config.json", R"({"eos_token": "<end>"})");
  EXPECT_IN("eos_token: '<end>' is not among", error_of([&] { load_tokenizer(folder.path()); }));
}

}  // namespace
}  // namespace lathe
