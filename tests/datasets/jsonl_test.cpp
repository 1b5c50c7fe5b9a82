#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/text/bytes.h>
#include <lathe/text/chars.h>

#include <cstdlib>

#include "base/temporary_folder.h"
#include "datasets/plugin_source.h"
#include "plugins/datasets/jsonl.cpp"

namespace lathe {

namespace {

using testing::error_of;
using testing::TemporaryFolder;
using Ints = std::vector<std::int32_t>;
using Floats = std::vector<float>;

// The dataset of a file with this content, tokenised.
struct Fixture {
  Fixture(std::string_view content, const std::string& options, const Tokenizer& tokenizer,
          std::string_view word_pairs = "") {
    write_durably(real_files(), folder / "pairs.txt", word_pairs);
    File file(real_files(), folder / "rows.jsonl", OpenFor::writing);
    file.write(content);
    file.close();
    data =
        std::make_unique<JsonlDataset>(parse_toml("file = \"rows.jsonl\"\n" + options, "exp.toml"));
    DataContext context;
    context.folder = folder.path();
    data->read(context);
    context.tokenizer = &tokenizer;
    data->tokenise(context);
  }
  Example train(std::int64_t index) const { return data->example(Split::train, index); }

  TemporaryFolder folder;
  std::unique_ptr<JsonlDataset> data;
};

const CharsTokenizer& letters() {
  static const CharsTokenizer tokenizer(U"abc", true);  // the end token is 3
  return tokenizer;
}

constexpr std::string_view pairs =
    "{\"prompt\":\"ab\",\"completion\":\"c\"}\n"
    "{\"prompt\":\"a\",\"completion\":\"cb\",\"answer\":\"b\"}\n"
    "{\"prompt\":\"b\",\"completion\":\"b\"}\n"
    "{\"prompt\":\"c\",\"completion\":\"a\"}\n";

TEST(JsonlDataset, LearnsCompletionsAndTheEnd) {
  const Fixture rows(pairs, "validation = 0.25\n", letters());
  EXPECT_EQ(rows.data->size(Split::train), 3);
  EXPECT_EQ(rows.data->size(Split::validation), 1);
  const Example first = rows.train(0);
  EXPECT_EQ(first.tokens, (Ints{0, 1, 2, 3}));
  EXPECT_EQ(first.weights, (Floats{0, 0, 1, 1}));
  EXPECT_EQ(first.prompt, 2);
  EXPECT_EQ(first.answer, "c");
  EXPECT_EQ(rows.train(1).tokens, (Ints{0, 2, 1, 3}));
  EXPECT_EQ(rows.train(1).answer, "b");
  EXPECT_EQ(rows.data->example(Split::validation, 0).tokens, (Ints{2, 0, 3}));
  EXPECT_EQ(rows.data->texts(), (std::vector<std::string_view>{"ab", "c", "a", "cb", "b", "b"}));
  EXPECT_EQ(error_of([&] { rows.train(3); }),
            "dataset jsonl: there is no training example 3: there are 3");
}

TEST(JsonlDataset, LearnsAllOnDemandAndWithoutEnd) {
  const Fixture rows(pairs, "loss = \"all\"\nend = false\nvalidation = 0\n", letters());
  EXPECT_EQ(rows.data->size(Split::validation), 0);
  EXPECT_EQ(rows.train(0).tokens, (Ints{0, 1, 2}));
  EXPECT_EQ(rows.train(0).weights, (Floats{1, 1, 1}));
}

TEST(JsonlDataset, KeepsPromptsAlone) {
  const Fixture rows(pairs, "completion = \"\"\nvalidation = 0\n", letters());
  EXPECT_EQ(rows.train(0).tokens, (Ints{0, 1}));
  EXPECT_EQ(rows.train(0).weights, (Floats{0, 0}));
  EXPECT_EQ(rows.train(0).prompt, 2);
  EXPECT_EQ(rows.train(1).answer, "b");
}

TEST(JsonlDataset, HandsOtherColumnsOver) {
  using Columns = std::vector<std::pair<std::string, std::string>>;
  const Fixture rows(
      "{\"prompt\":\"a\",\"completion\":\"c\",\"level\":2,\"topic\":\"sums\",\"tags\":[1]}\n"
      "{\"prompt\":\"a\",\"completion\":\"b\",\"answer\":\"cb\",\"level\":0.5}\n",
      "validation = 0\n", letters());
  EXPECT_EQ(rows.train(0).columns, (Columns{{"answer", ""}, {"level", "2"}, {"topic", "sums"}}));
  EXPECT_EQ(rows.train(1).columns, (Columns{{"answer", "cb"}, {"level", "0.5"}, {"topic", ""}}));
  EXPECT_EQ(rows.train(0).answer, "c");
  EXPECT_EQ(rows.train(1).answer, "cb");
  const Fixture other("{\"prompt\":\"a\",\"completion\":\"c\",\"key\":\"b\"}\n",
                      "validation = 0\nanswer = \"key\"\n", letters());
  EXPECT_EQ(other.train(0).answer, "b");
}

TEST(JsonlDataset, LearnsTextsWhole) {
  const Fixture rows("{\"text\":\"abc\"}\n{\"text\":\"ba\"}\n", "validation = 0.5\n", letters());
  EXPECT_EQ(rows.train(0).tokens, (Ints{0, 1, 2, 3}));
  EXPECT_EQ(rows.train(0).weights, (Floats{1, 1, 1, 1}));
  EXPECT_EQ(rows.train(0).prompt, 0);
  EXPECT_EQ(rows.data->example(Split::validation, 0).tokens, (Ints{1, 0, 3}));
}

// a <-> b, so the counterpart of a row is plain to see; the row "c" has none.
struct Mitigated : Fixture {
  explicit Mitigated(const std::string& options)
      : Fixture(
            "{\"prompt\":\"a c\",\"completion\":\"b\",\"answer\":\"b\",\"kind\":\"x\"}\n"
            "{\"prompt\":\"c\",\"completion\":\"c\",\"kind\":\"\"}\n"
            "{\"prompt\":\"c\",\"completion\":\"a\",\"kind\":\"y\"}\n"
            "{\"prompt\":\"c\",\"completion\":\"b\",\"kind\":\"x\"}\n"
            "{\"prompt\":\"b\",\"completion\":\"b\",\"kind\":\"x\"}\n",
            "validation = 0.2\nword_pairs = \"pairs.txt\"\n" + options, spaced(), "a b\n") {}

  static const CharsTokenizer& spaced() {
    static const CharsTokenizer tokenizer(U"abc ", true);  // the end token is 4
    return tokenizer;
  }
  // The texts of the training rows, without their end tokens.
  std::vector<std::string> training() const {
    std::vector<std::string> rows;
    for (std::int64_t i = 0; i < data->size(Split::train); ++i) {
      const Ints tokens = train(i).tokens;
      rows.push_back(spaced().decode(std::span(tokens).first(tokens.size() - 1)));
    }
    return rows;
  }
  Floats weights() const {
    Floats last;
    for (std::int64_t i = 0; i < data->size(Split::train); ++i) {
      last.push_back(train(i).weights.back());
    }
    return last;
  }
};

TEST(JsonlDataset, CounterpartsStandBesideTheirRows) {
  const Mitigated rows("counterfactual = \"both\"\n");
  using Rows = std::vector<std::string>;
  EXPECT_EQ(rows.training(), (Rows{"a cb", "b ca", "cc", "ca", "cb", "cb", "ca"}));
  EXPECT_EQ(rows.train(1).answer, "a");
  EXPECT_EQ(rows.train(1).columns[1], (std::pair<std::string, std::string>{"kind", "x"}));
  // What is held out stays as it is.
  EXPECT_EQ(rows.data->size(Split::validation), 1);
  EXPECT_EQ(rows.data->example(Split::validation, 0).tokens, (Ints{1, 1, 4}));
  EXPECT_EQ(rows.data->texts().size(), 14U);
  EXPECT_EQ(rows.data->texts()[2], "b c");
  EXPECT_EQ(rows.data->files().size(), 2U);  // the pairs are data too
  EXPECT_EQ(Mitigated("").training(), (Rows{"a cb", "cc", "ca", "cb"}));
  EXPECT_EQ(Mitigated("counterfactual = \"swap\"\nswap_chance = 1.0\n").training(),
            (Rows{"b ca", "cc", "cb", "ca"}));
}

TEST(JsonlDataset, RowsWeighByTheirGroup) {
  // Groups x, none, y, x: 3 rows in 2 groups.
  const std::string by_column = "group = \"kind\"\nreweight = ";
  EXPECT_EQ(Mitigated(by_column + "\"inverse\"\n").weights(), (Floats{0.75F, 1, 1.5F, 0.75F}));
  EXPECT_EQ(Mitigated(by_column + "\"named\"\ngroup_weights = { x = 2.0, y = 0.25 }\n").weights(),
            (Floats{2, 1, 0.25F, 2}));
  // By words: "a cb" has both sides, "cc" none, "ca" the first, "cb" the second.
  EXPECT_EQ(
      Mitigated("reweight = \"named\"\ngroup_weights = { first = 4, second = 0.5 }\n").weights(),
      (Floats{1, 1, 4, 0.5F}));
  const Mitigated rows("group = \"kind\"\nreweight = \"inverse\"\n");
  EXPECT_EQ(rows.train(0).weights, (Floats{0, 0, 0, 0.75F, 0.75F}));  // the prompt stays at 0
  EXPECT_EQ(rows.data->example(Split::validation, 0).weights, (Floats{0, 1, 1}));
  EXPECT_TRUE(error_of([] { Mitigated("group = \"sort\"\nreweight = \"inverse\"\n"); })
                  .ends_with("rows.jsonl:1: the key 'sort' is missing, which is to hold the group "
                             "of the row: a string, \"\" for none"));
}

constexpr std::string_view talk =
    R"({"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"yes"},)"
    R"({"role":"user","content":"go"},{"role":"assistant","content":"no"}]})"
    "\n";

TEST(JsonlDataset, LearnsWhatTheAssistantSays) {
  for (const std::string name : {"plain", "chatml"}) {
    const TemporaryFolder folder;
    {
      File file(real_files(), folder / "rows.jsonl", OpenFor::writing);
      file.write(talk);
      file.close();
    }
    JsonlDataset data(parse_toml(
        "file = \"rows.jsonl\"\nvalidation = 0\ntemplate = \"" + name + "\"\n", "exp.toml"));
    DataContext context;
    context.folder = folder.path();
    data.read(context);
    CharsTokenizer tokenizer(parse_toml("specials = true\n", "exp.toml"));
    tokenizer.train(data.texts());  // knows the characters of the template too
    context.tokenizer = &tokenizer;
    data.tokenise(context);

    const Example example = data.example(Split::train, 0);
    std::string learnt, prompt;
    for (std::size_t i = 0; i < example.tokens.size(); ++i) {
      if (example.weights[i] != 0) learnt += tokenizer.token(example.tokens[i]);
      if (static_cast<std::int64_t>(i) < example.prompt) {
        prompt += tokenizer.token(example.tokens[i]);
      }
    }
    EXPECT_EQ(example.answer, "no");
    if (name == "plain") {
      EXPECT_EQ(learnt, " yes<|endoftext|> no<|endoftext|>");
      EXPECT_EQ(prompt, "User: hi\nAssistant: yes<|endoftext|>User: go\nAssistant:");
    } else {
      EXPECT_EQ(learnt, "yes<|im_end|>no<|im_end|>");
      EXPECT_TRUE(prompt.ends_with("go<|im_end|>\n<|im_start|>assistant\n")) << prompt;
    }
  }
}

TEST(JsonlDataset, NamesTheRowThatCannotBeTokenised) {
  const std::string unknown = error_of([] {
    Fixture("\n{\"prompt\":\"a\",\"completion\":\"x\"}\n", "validation = 0\n", letters());
  });
  EXPECT_NE(unknown.find("rows.jsonl:2: the character U+0078 'x'"), std::string::npos) << unknown;
  const std::string empty =
      error_of([] { Fixture("{\"text\":\"\"}\n", "end = false\nvalidation = 0\n", letters()); });
  EXPECT_TRUE(empty.ends_with("rows.jsonl:1: the row is empty: there is nothing to learn"))
      << empty;
  const std::string silent = error_of([] {
    Fixture(R"({"messages":[{"role":"user","content":"a"}]})", "validation = 0\n", letters());
  });
  EXPECT_TRUE(
      silent.ends_with("rows.jsonl:1: no message is the assistant's, so there is nothing "
                       "to learn: leave the row out or set loss = \"all\""))
      << silent;
  const CharsTokenizer endless(U"abc", false);
  const std::string no_end = error_of([&] { Fixture(pairs, "", endless); });
  EXPECT_NE(no_end.find("rows.jsonl:1: the tokenizer has no end token"), std::string::npos)
      << no_end;
}

TEST(JsonlDataset, ReadsGsm8kAndDialogues) {
  const char* root = std::getenv("LATHE_DATA");
  if (root == nullptr) GTEST_SKIP() << "skipped: no data";
  const BytesTokenizer tokenizer{Config()};
  DataContext context;
  context.folder = root;
  JsonlDataset gsm8k(
      parse_toml("file = \"gsm8k/train-7000.jsonl.gz\"\n"
                 "validation_file = \"gsm8k/test.jsonl\"\n"
                 "prompt = \"question\"\ncompletion = \"answer\"\n",
                 "exp.toml"));
  gsm8k.read(context);
  context.tokenizer = &tokenizer;
  gsm8k.tokenise(context);
  EXPECT_EQ(gsm8k.size(Split::train), 7000);
  EXPECT_EQ(gsm8k.size(Split::validation), 1319);
  const Example janet = gsm8k.example(Split::validation, 0);
  EXPECT_TRUE(janet.answer.ends_with("#### 18"));
  EXPECT_TRUE(tokenizer.decode(janet.tokens).starts_with("Janet\xE2\x80\x99s ducks"));

  JsonlDataset dialogues(parse_toml("file = \"dialogue-sgd/dialogues.jsonl\"\n", "exp.toml"));
  dialogues.read(context);
  dialogues.tokenise(context);
  EXPECT_EQ(dialogues.size(Split::train) + dialogues.size(Split::validation), 1732);
  EXPECT_EQ(dialogues.size(Split::train), 1558);
}

}  // namespace

}  // namespace lathe
