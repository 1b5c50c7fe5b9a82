#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/text/bytes.h>
#include <lathe/text/chars.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "base/temporary_folder.h"
#include "datasets/plugin_source.h"
#include "plugins/datasets/preferences.cpp"

namespace lathe {

namespace {

using testing::error_of;
using testing::TemporaryFolder;
using Ints = std::vector<std::int32_t>;
using Floats = std::vector<float>;

constexpr std::string_view four = R"({"q": 1, "prompt": "a", "chosen": "b", "rejected": "c"})"
                                  "\n\n"
                                  R"({"q": 2, "prompt": "b", "chosen": "c", "rejected": "ab"})"
                                  "\n"
                                  R"({"q": 1, "prompt": "a", "chosen": "cc", "rejected": "b"})"
                                  "\n"
                                  R"({"q": 3, "prompt": "b", "chosen": "a", "rejected": ""})"
                                  "\n";

struct Fixture {
  explicit Fixture(const std::string& options = "", std::string_view content = four,
                   std::string_view held_out = "")
      : tokenizer(U"abc/", true) {
    std::ofstream(folder / "pairs.jsonl") << content;
    if (!held_out.empty()) std::ofstream(folder / "held.jsonl") << held_out;
    data = std::make_unique<PreferencesDataset>(
        parse_toml("file = \"pairs.jsonl\"\nbetween = \"/\"\n" + options, "exp.toml"));
    DataContext context;
    context.folder = folder.path();
    data->read(context);
    context.tokenizer = &tokenizer;
    data->tokenise(context);
  }

  TemporaryFolder folder;
  CharsTokenizer tokenizer;  // '/' is 0, the letters are 1, 2, 3, the end token is 4
  std::unique_ptr<PreferencesDataset> data;
};

TEST(PreferencesDataset, GivesBothResponses) {
  const Fixture pairs("validation = 0\n");
  ASSERT_EQ(pairs.data->size(Split::train), 4);
  const CharsTokenizer& letters = pairs.tokenizer;
  const Example chosen = pairs.data->example(Split::train, 1);
  EXPECT_EQ(letters.decode(chosen.tokens), "b/c<|endoftext|>");
  EXPECT_EQ(chosen.weights, (Floats{0, 0, 1, 1}));
  EXPECT_EQ(chosen.prompt, 2);
  EXPECT_EQ(chosen.answer, "c");
  const Example rejected = pairs.data->rejected(Split::train, 1);
  EXPECT_EQ(letters.decode(rejected.tokens), "b/ab<|endoftext|>");
  EXPECT_EQ(rejected.weights, (Floats{0, 0, 1, 1, 1}));
  EXPECT_EQ(rejected.prompt, 2);
  EXPECT_EQ(pairs.data->texts().size(), 1U + 4 * 3);
  EXPECT_EQ(error_of([&] { pairs.data->rejected(Split::train, 4); }),
            "dataset preferences: there is no training example 4: there are 4");
}

TEST(PreferencesDataset, SplitsByQuestion) {
  // Three questions, of which the last is held out.
  const Fixture pairs("validation = 0.3\nquestion = \"q\"\n");
  EXPECT_EQ(pairs.data->size(Split::train), 3);
  EXPECT_EQ(pairs.data->size(Split::validation), 1);
  EXPECT_EQ(pairs.data->example(Split::validation, 0).answer, "a");
  // By the prompt there are two: the second and the last pair are of one.
  const Fixture by_prompt("validation = 0.5\n");
  EXPECT_EQ(by_prompt.data->size(Split::train), 2);
  EXPECT_EQ(by_prompt.data->example(Split::train, 1).answer, "cc");
  EXPECT_EQ(by_prompt.data->example(Split::validation, 0).answer, "c");
  EXPECT_EQ(by_prompt.data->example(Split::validation, 1).answer, "a");
}

TEST(PreferencesDataset, NamesWhatIsWrong) {
  const auto error = [](std::string_view content, const std::string& options = "",
                        std::string_view held_out = "") {
    const std::string text = error_of([&] { Fixture(options, content, held_out); });
    return text.substr(std::min(text.find(".jsonl"), text.size()));
  };
  EXPECT_EQ(error("{\"prompt\":\"a\",\"chosen\":\"b\"}"),
            ".jsonl:1: expected an object with the key 'rejected'. The options of the dataset can "
            "name other columns");
  EXPECT_EQ(error("[1]"),
            ".jsonl:1: expected an object with the key 'prompt'. The options of the dataset can "
            "name other columns");
  EXPECT_EQ(error("{\"prompt\":3,\"chosen\":\"b\",\"rejected\":\"\"}"),
            ".jsonl:1: key 'prompt': expected a string, found number");
  EXPECT_EQ(error("{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"b\"}"),
            ".jsonl:1: both responses are the same, so none can be liked more: leave the pair out");
  EXPECT_EQ(error(" \n"), ".jsonl: no pairs: expected one JSON object a line");
  EXPECT_TRUE(error("{\"prompt\":\"a\",\"chosen\":\"x\",\"rejected\":\"b\"}")
                  .starts_with(".jsonl:1: the character U+0078 'x'"));
  const std::string both = error(four, "validation_file = \"held.jsonl\"\n",
                                 R"({"prompt": "b", "chosen": "a", "rejected": "c"})");
  EXPECT_TRUE(both.starts_with(".jsonl:1: the question is in ")) << both;
  EXPECT_TRUE(both.ends_with("pairs.jsonl:3 too: leave it out of one of them")) << both;
}

TEST(PreferencesDataset, ReadsQaFeedback) {
  const char* root = std::getenv("LATHE_DATA");
  if (root == nullptr) GTEST_SKIP() << "skipped: no data";
  PreferencesDataset data(
      parse_toml("file = \"preferences-qa-feedback/pairs.jsonl\"\nquestion = \"question_index\"\n",
                 "exp.toml"));
  DataContext context;
  context.folder = root;
  data.read(context);
  const BytesTokenizer tokenizer{Config()};
  context.tokenizer = &tokenizer;
  data.tokenise(context);
  EXPECT_EQ(data.size(Split::train) + data.size(Split::validation), 2616);
  std::set<std::string> train, both;
  for (std::int64_t i = 0; i < data.size(Split::train); ++i) {
    train.insert(data.example(Split::train, i).columns.at(0).second);
  }
  for (std::int64_t i = 0; i < data.size(Split::validation); ++i) {
    const std::string question = data.example(Split::validation, i).columns.at(0).second;
    if (train.contains(question)) both.insert(question);
  }
  EXPECT_TRUE(both.empty()) << *both.begin();
  EXPECT_GT(data.size(Split::validation), 200);
  const Example first = data.example(Split::train, 0);
  EXPECT_EQ(tokenizer.decode(std::span(first.tokens).first(static_cast<std::size_t>(first.prompt))),
            "When does bloom by troye sivan come out?\n");
  EXPECT_TRUE(first.answer.starts_with("Bloom is the second studio album"));
  const Example other = data.rejected(Split::train, 0);
  EXPECT_TRUE(tokenizer.decode(other.tokens).find("The fifth single, an animal") !=
              std::string::npos);
}

}  // namespace

}  // namespace lathe
