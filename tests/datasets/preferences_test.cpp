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
                   std::string_view held_out = "", std::string_view contexts = "")
      : tokenizer(U"abc/\n ", true) {
    if (!contexts.empty()) std::ofstream(folder / "contexts.json") << contexts;
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
  CharsTokenizer tokenizer;  // of the characters above; the end token comes after them
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

// The tokens before the response of the first pair, as text.
std::string first_prompt(const Fixture& pairs) {
  const Example example = pairs.data->example(Split::train, 0);
  EXPECT_EQ(std::count(example.weights.begin(), example.weights.end(), 0.0F), example.prompt);
  EXPECT_EQ(pairs.data->rejected(Split::train, 0).prompt, example.prompt);
  return pairs.tokenizer.decode(
      std::span(example.tokens).first(static_cast<std::size_t>(example.prompt)));
}

const std::string own = R"({"prompt": "a", "chosen": "b", "rejected": "c", "seen": )";
const std::string all_pairs = "validation = 0\n";

TEST(PreferencesDataset, PutsAContextBeforeThePrompt) {
  const auto prompt = [](const std::string& seen, const std::string& options = "") {
    return first_prompt(Fixture(all_pairs + "context = \"seen\"\n" + options, own + seen + "}"));
  };
  EXPECT_EQ(prompt("\"bc\""), "bc\na/");
  EXPECT_EQ(prompt("[]"), "a/");
  EXPECT_EQ(prompt(R"(["bc", "", "a"])"), "bc\na\na/");
  EXPECT_EQ(prompt(R"([["bc", "b"], "a", []])"), "bc b\na\na/");

  const Fixture pairs(all_pairs + "context = \"seen\"\n",
                      own + "[\"bc\", \"a\"]}\n" + own + "\"cc\"}");
  const Example example = pairs.data->example(Split::train, 0);
  EXPECT_EQ(pairs.tokenizer.decode(example.tokens), "bc\na\na/b<|endoftext|>");
  EXPECT_EQ(example.weights, (Floats{0, 0, 0, 0, 0, 0, 0, 1, 1}));
  EXPECT_EQ(example.columns.at(1), std::make_pair(std::string("context"), std::string("bc\na")));
  EXPECT_EQ(pairs.data->texts(), (std::vector<std::string_view>{"/", "\n", "bc", "a", "a", "b", "c",
                                                                "cc", "a", "b", "c"}));
}

TEST(PreferencesDataset, CutsTheLongestParts) {
  const auto prompt = [](int tokens) {
    return first_prompt(
        Fixture(all_pairs + cat("context = \"seen\"\ncontext_tokens = ", tokens, "\n"),
                own + R"(["abcabc", "b", "ccccc"]})"));
  };
  // Of 7, 2 and 6 tokens with their line feeds; the middle one is short enough to the end.
  EXPECT_EQ(prompt(15), "abcabc\nb\nccccc\na/");
  EXPECT_EQ(prompt(14), "abcab\nb\nccccc\na/");
  EXPECT_EQ(prompt(13), "abca\nb\ncccc\na/");
  EXPECT_EQ(prompt(8), "ab\nb\ncc\na/");
  EXPECT_EQ(prompt(6), "a\nb\nc\na/");
  EXPECT_EQ(prompt(5), "a/");  // one token each would be a line feed alone
}

TEST(PreferencesDataset, FindsContextsInAFile) {
  const std::string where = all_pairs + "context = \"seen\"\ncontext_file = \"contexts.json\"\n";
  const std::string by_number = where + "question = \"q\"\n";
  const std::string array = R"([{"seen": "c"}, {"seen": ["bb"]}, {"seen": []}, {"seen": "a"}])";
  const Fixture numbered(by_number, four, "", array);
  EXPECT_EQ(first_prompt(numbered), "bb\na/");
  EXPECT_EQ(numbered.tokenizer.decode(numbered.data->rejected(Split::train, 1).tokens),
            "b/ab<|endoftext|>");
  EXPECT_EQ(numbered.tokenizer.decode(numbered.data->example(Split::train, 3).tokens),
            "a\nb/a<|endoftext|>");
  EXPECT_EQ(numbered.data->files().size(), 2U);
  const std::string lines =
      "{\"id\": \"b\", \"seen\": \"c\"}\n\n{\"id\": \"a\", \"seen\": \"cb\"}\n";
  EXPECT_EQ(first_prompt(Fixture(where + "context_id = \"id\"\n", four, "", lines)), "cb\na/");
}

TEST(PreferencesDataset, LearnsAllTokensIfAsked) {
  const Fixture pairs(all_pairs + "loss = \"all\"\ncontext = \"seen\"\n", own + "\"c\"}");
  EXPECT_EQ(pairs.data->example(Split::train, 0).weights, Floats(6, 1));
  EXPECT_EQ(pairs.data->example(Split::train, 0).prompt, 4);
}

TEST(PreferencesDataset, NamesWhatIsWrongWithContexts) {
  const auto error = [](const std::string& options, std::string_view content,
                        std::string_view contexts = "") {
    const std::string text = error_of([&] { Fixture(options, content, "", contexts); });
    return text.substr(std::min({text.find(".json"), text.find("context"), text.size()}));
  };
  const std::string column = "context = \"seen\"\n";
  const std::string file = column + "context_file = \"contexts.json\"\n";
  EXPECT_EQ(error(column, four),
            ".jsonl:1: expected an object with the key 'seen'. The options of the dataset can name "
            "other columns");
  const std::string expected = ": expected a text, or a list of texts or of lists of texts, found ";
  EXPECT_EQ(error(column, own + "3}"), ".jsonl:1: key 'seen'" + expected + "number");
  EXPECT_EQ(error(column, own + "[\"a\", {}]}"), ".jsonl:1: key 'seen'" + expected + "object");
  EXPECT_EQ(error(column, own + "[[[]]]}"), ".jsonl:1: key 'seen'" + expected + "array");
  EXPECT_TRUE(error(column, own + "\"x\"}").starts_with(".jsonl:1: the character U+0078 'x'"));
  EXPECT_EQ(error("context_file = \"contexts.json\"\n", four),
            "context_file and context_id tell where contexts are, but no column of them is named: "
            "set context, for example to \"passages\"");
  EXPECT_EQ(error(column + "context_id = \"id\"\n", four),
            "context_id is a column of context_file, which is not set");
  EXPECT_TRUE(error(file, four).starts_with("context_file = \"contexts.json\": there is no "));

  EXPECT_EQ(error(file, four, "[]"),
            "contexts.json: no rows: expected one JSON object a line, or one array of objects");
  EXPECT_EQ(error(file, four, "[{\"seen\": \"a\"}, 3]"),
            "contexts.json: row 1 (from 0): expected an object with the key 'seen'. The options of "
            "the dataset can name other columns");
  EXPECT_EQ(error(file, four, "{\"seen\": \"a\"}\n{\"seen\": null}"),
            "contexts.json:2: key 'seen'" + expected + "null");
  EXPECT_TRUE(error(file, four, "[{\"seen\": \"a\"}").starts_with("contexts.json:1:"));
  const std::string id = file + "context_id = \"id\"\n";
  EXPECT_EQ(error(id, four, "{\"id\": 1, \"seen\": \"a\"}\n{\"id\": \"1\", \"seen\": \"b\"}"),
            "contexts.json:2: an earlier row has 'id' = '1' too");

  const auto absent = [&](const std::string& options, std::string_view contexts) {
    const std::string text = error_of([&] { Fixture(options, four, "", contexts); });
    const std::string begin = text.substr(text.find("pairs.jsonl"));
    const std::string folder = begin.substr(begin.find(" of ") + 4);
    return begin.substr(0, begin.find(" of ")) + " of " + folder.substr(folder.find("contexts"));
  };
  EXPECT_EQ(
      absent(file + "question = \"q\"\n", "[{\"seen\": \"a\"}, {\"seen\": \"a\"}]"),
      "pairs.jsonl:3: the question '2' is no row of contexts.json, which has 2, numbered from "
      "0: name a column of it with context_id that is the question, or add the row");
  EXPECT_EQ(absent(id, "{\"id\": \"a\", \"seen\": \"a\"}"),
            "pairs.jsonl:3: no row of contexts.json has 'id' = 'b': add it, or leave the pair out");
}

TEST(PreferencesDataset, RefusesADamagedArchiveOfContexts) {
  TemporaryFolder folder;
  std::ofstream(folder / "pairs.jsonl") << four;
  std::ofstream(folder / "contexts.json.xz") << "no archive";
  PreferencesDataset data(parse_toml(
      "file = \"pairs.jsonl\"\ncontext = \"seen\"\ncontext_file = \"contexts.json.xz\"\n",
      "exp.toml"));
  DataContext context;
  context.folder = folder.path();
  const std::string text = error_of([&] { data.read(context); });
  EXPECT_NE(text.find("contexts.json.xz: this xz file is damaged"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("fetch or compress it again")) << text;
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

// Sums over all pairs of what a script in Python counted once: bytes of the passages, each with its
// line feed, of the question and the line feed after it.
TEST(PreferencesDataset, ReadsThePassagesOfQaFeedback) {
  const char* root = std::getenv("LATHE_DATA");
  if (root == nullptr) GTEST_SKIP() << "skipped: no data";
  const auto prompts = [&](Split split, int tokens, const std::string& options = "") {
    PreferencesDataset data(parse_toml(
        cat("validation = 0.5\nfile = \"preferences-qa-feedback/pairs.jsonl\"\ncontext = "
            "\"passages\"\ncontext_file = "
            "\"preferences-qa-feedback/dev_feedback.json.xz\"\ncontext_tokens = ",
            tokens, "\n", options.empty() ? "question = \"question_index\"\n" : options),
        "exp.toml"));
    DataContext context;
    context.folder = root;
    data.read(context);
    const BytesTokenizer tokenizer{Config()};
    context.tokenizer = &tokenizer;
    data.tokenise(context);
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < data.size(split); ++i) sum += data.example(split, i).prompt;
    return sum;
  };
  EXPECT_EQ(prompts(Split::train, 0), 3744507);
  EXPECT_EQ(prompts(Split::validation, 0), 3791731);
  EXPECT_EQ(prompts(Split::train, 1000), 1380060);
  EXPECT_EQ(prompts(Split::validation, 1000), 1344552);
  EXPECT_EQ(prompts(Split::train, 1000, "context_id = \"question\"\n"), 1380060);
}

}  // namespace

}  // namespace lathe
