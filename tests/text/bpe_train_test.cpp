#include <gtest/gtest.h>
#include <lathe/base/json.h>
#include <lathe/text/bpe_train.h>
#include <lathe/text/byte_alphabet.h>

#include <algorithm>

#include "support.h"

namespace lathe {
namespace {

using Ids = std::vector<std::int32_t>;

Json fixture() { return read_json(std::string(LATHE_FIXTURES) + "/text/bpe_training.json"); }

TEST(BpeTraining, LearnsWhatHuggingFaceLearns) {
  const Json expected = fixture();
  const auto texts = expected["documents"].get<std::vector<std::string>>();
  const std::vector<std::string_view> documents(texts.begin(), texts.end());
  const BpeTokenizer tokenizer = train_bpe(documents, expected["size"].get<int>());
  const BpeParts& parts = tokenizer.parts();
  ASSERT_EQ(parts.tokens.size(), expected["vocab"].size());
  for (const auto& [written, id] : expected["vocab"].items()) {
    const std::string& token = parts.tokens[id.get<std::size_t>()];
    EXPECT_TRUE(token == alphabet_to_bytes(written) || token == written) << written;
  }
  ASSERT_EQ(parts.merges.size(), expected["merges"].size());
  for (std::size_t i = 0; i < parts.merges.size(); ++i) {
    const Json& pair = expected["merges"][i];
    EXPECT_EQ(parts.tokens[static_cast<std::size_t>(parts.merges[i].left)],
              alphabet_to_bytes(pair[0].get<std::string>()))
        << i;
    EXPECT_EQ(parts.tokens[static_cast<std::size_t>(parts.merges[i].right)],
              alphabet_to_bytes(pair[1].get<std::string>()))
        << i;
  }
  for (const Json& probe : expected["probes"]) {
    EXPECT_EQ(tokenizer.encode(probe["text"].get<std::string>()), probe["ids"].get<Ids>());
  }
}

TEST(BpeTraining, MaskFollowsTheVocabulary) {
  const std::string_view documents[] = {"low lower lowest", "new newer"};
  const Config asked = Config::table({})
                           .with("train", Config::boolean(true))
                           .with("size", Config::integer(262))
                           .with("mask", Config::boolean(true));
  BpeTokenizer tokenizer(asked);
  tokenizer.train(documents);
  EXPECT_EQ(tokenizer.size(), 263);
  EXPECT_EQ(tokenizer.mask_id(), 262);
  EXPECT_EQ(tokenizer.encode("low<|mask|>", Special::as_id).back(), 262);
  EXPECT_EQ(tokenizer.encode("low lower"), train_bpe(documents, 262).encode("low lower"));
  EXPECT_TRUE(tokenizer.is_special(262));
  EXPECT_TRUE(tokenizer.is_special(tokenizer.end_id()));
  EXPECT_FALSE(tokenizer.is_special(100));
  const TemporaryFolder folder;
  tokenizer.save(folder.path());
  EXPECT_EQ(load_tokenizer(folder.path())->mask_id(), 262);
  // A file that has one gets no second; one that has none gets it.
  const auto from_file = [](const TemporaryFolder& of) {
    return BpeTokenizer(Config::table({})
                            .with("file", Config::text(of.path().string()))
                            .with("mask", Config::boolean(true)));
  };
  EXPECT_EQ(from_file(folder).size(), 263);
  const TemporaryFolder without;
  train_bpe(documents, 262).save(without.path());
  EXPECT_EQ(from_file(without).mask_id(), 262);
}

TEST(BpeTraining, OrderOfDocumentsDoesNotMatter) {
  auto texts = fixture()["documents"].get<std::vector<std::string>>();
  std::vector<std::string_view> documents(texts.begin(), texts.end());
  const BpeTokenizer first = train_bpe(documents, 420);
  std::reverse(documents.begin(), documents.end());
  const BpeTokenizer second = train_bpe(documents, 420);
  EXPECT_EQ(first.parts().tokens, second.parts().tokens);
  EXPECT_EQ(first.parts().merges, second.parts().merges);
}

TEST(BpeTraining, MostFrequentFirstThenLowestIds) {
  // ab and cd stand three times each, ef twice; "ab" has the lower ids.
  const std::string_view documents[] = {"ab.cd.ef.cd.ab.ef.cd.ab"};
  const BpeTokenizer tokenizer = train_bpe(documents, 258 + 2, {.min_count = 3});
  EXPECT_EQ(tokenizer.token(258), "ab");
  EXPECT_EQ(tokenizer.token(259), "cd");
  EXPECT_EQ(train_bpe(documents, 300, {.min_count = 3}).size(), 260);
  EXPECT_EQ(train_bpe(documents, 300, {.min_count = 2}).size(), 261);
}

TEST(BpeTraining, SurvivesItsFile) {
  const std::string_view documents[] = {"low lower lowest größer größte 日本"};
  const BpeTokenizer tokenizer = train_bpe(documents, 290);
  const TemporaryFolder folder;
  tokenizer.save(folder.path());
  const auto loaded = load_tokenizer(folder.path());
  EXPECT_EQ(loaded->size(), tokenizer.size());
  EXPECT_EQ(loaded->end_id(), 0);
  EXPECT_EQ(loaded->pad_id(), 1);
  EXPECT_EQ(loaded->encode("lowest größte 日 x"), tokenizer.encode("lowest größte 日 x"));
  for (std::int32_t id = 0; id < loaded->size(); ++id) {
    EXPECT_EQ(loaded->token(id), tokenizer.token(id));
  }
}

TEST(BpeTraining, RefusesTooSmallASize) {
  EXPECT_IN("of 257 entries is too small", error_of([] { train_bpe({}, 257); }));
}

}  // namespace
}  // namespace lathe
