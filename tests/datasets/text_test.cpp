#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/text/chars.h>

#include <cstdlib>

#include "base/temporary_folder.h"
#include "datasets/plugin_source.h"
#include "plugins/datasets/text.cpp"

namespace lathe {

namespace {

using testing::error_of;
using testing::TemporaryFolder;
using Ints = std::vector<std::int32_t>;

void write(const std::string& path, std::string_view bytes) {
  File file(real_files(), path, OpenFor::writing);
  file.write(bytes);
  file.close();
}

Ints ids(std::span<const std::int32_t> stream) { return {stream.begin(), stream.end()}; }

DataContext in(const TemporaryFolder& folder) {
  DataContext context;
  context.folder = folder.path();
  return context;
}

TEST(TextDataset, HoldsOutTheEndByCharacters) {
  const TemporaryFolder folder;
  write(folder / "a.txt",
        "ab\xC3\xA9\xC3\xA9"
        "abcab\xE2\x82\xAC");  // 10 characters
  TextDataset data(parse_toml("file = \"a.txt\"\nvalidation = 0.3\n", "exp.toml"));
  DataContext context = in(folder);
  data.read(context);
  ASSERT_EQ(data.texts().size(), 1u);
  EXPECT_EQ(data.texts()[0],
            "ab\xC3\xA9\xC3\xA9"
            "abc");
  const CharsTokenizer tokenizer(U"abc\u00E9\u20AC", false);
  context.tokenizer = &tokenizer;
  data.tokenise(context);
  EXPECT_EQ(ids(data.stream(Split::train)), (Ints{0, 1, 3, 3, 0, 1, 2}));
  EXPECT_EQ(ids(data.stream(Split::validation)), (Ints{0, 1, 4}));
  EXPECT_EQ(data.size(Split::train), 0);
  ASSERT_EQ(data.files().size(), 1u);
  EXPECT_EQ(data.files()[0].bytes, 14u);
}

TEST(TextDataset, JoinsFilesWithTheEndToken) {
  const TemporaryFolder folder;
  write(folder / "1.txt", "ab");
  write(folder / "2.txt", "cabc");
  write(folder / "3.txt", "ba");
  const std::string file = "file = \"" + folder.path() + "\"\n";
  const CharsTokenizer tokenizer(U"abc", true);  // the end token is 3
  DataContext context;
  TextDataset data(parse_toml(file + "validation = 0.5\n", "exp.toml"));
  data.read(context);
  context.tokenizer = &tokenizer;
  data.tokenise(context);
  EXPECT_EQ(ids(data.stream(Split::train)), (Ints{0, 1, 3, 2, 0}));
  EXPECT_EQ(ids(data.stream(Split::validation)), (Ints{1, 2, 3, 1, 0}));

  TextDataset joined(parse_toml(file + "validation = 0\nseparator = \"none\"\n", "exp.toml"));
  joined.read(context);
  joined.tokenise(context);
  EXPECT_EQ(ids(joined.stream(Split::train)), (Ints{0, 1, 2, 0, 1, 2, 1, 0}));
  EXPECT_TRUE(joined.stream(Split::validation).empty());

  const CharsTokenizer endless(U"abc", false);
  context.tokenizer = &endless;
  EXPECT_EQ(error_of([&] { data.tokenise(context); }),
            "dataset text: the tokenizer has no end token to put between the 2 texts: give it one "
            "(specials = true for chars) or set separator = \"none\"");
}

TEST(TextDataset, ReadsAValidationFile) {
  const TemporaryFolder folder;
  write(folder / "a.txt", "abc");
  write(folder / "b.txt", "cb");
  TextDataset data(parse_toml("file = \"a.txt\"\nvalidation_file = \"b.txt\"\n", "exp.toml"));
  DataContext context = in(folder);
  data.read(context);
  const CharsTokenizer tokenizer(U"abc", false);
  context.tokenizer = &tokenizer;
  data.tokenise(context);
  EXPECT_EQ(ids(data.stream(Split::train)), (Ints{0, 1, 2}));
  EXPECT_EQ(ids(data.stream(Split::validation)), (Ints{2, 1}));
  EXPECT_EQ(data.files().size(), 2u);
}

TEST(TextDataset, CounterpartsStandBesideOrInPlaceOfTheText) {
  const TemporaryFolder folder;
  write(folder / "1.txt", "he\nme\n");
  write(folder / "2.txt", "she\nhe, she");  // the last 7 of 17 characters are held out
  const auto texts = [&](const std::string& options) {
    TextDataset data(parse_toml("file = \"" + folder.path() + "\"\nvalidation = 0.4\n" + options,
                                "exp.toml"));
    DataContext context;
    data.read(context);
    std::string all;
    for (const std::string_view text : data.texts()) all += std::string(text) + "|";
    return all;
  };
  EXPECT_EQ(texts("separator = \"none\"\n"), "he\nme\n|she\n|");
  EXPECT_EQ(texts("counterfactual = \"both\"\n"), "he\nme\n|she\n|she\nme\n|he\n|");
  EXPECT_EQ(texts("counterfactual = \"swap\"\nswap_chance = 1.0\n"), "she\nme\n|he\n|");
  EXPECT_EQ(texts("counterfactual = \"swap\"\nswap_chance = 0.0\n"), "he\nme\n|she\n|");
}

TEST(TextDataset, SaysWhatIsMissing) {
  const TemporaryFolder folder;
  TextDataset data(parse_toml("\nfile = \"a.txt\"\n", "exp.toml"));
  const std::string error = error_of([&] { data.read(in(folder)); });
  EXPECT_TRUE(error.starts_with("exp.toml:2:1: file = \"a.txt\": there is no ")) << error;
}

TEST(TextDataset, CutsTinyShakespeareAsNanoGptDoes) {
  const char* root = std::getenv("LATHE_DATA");
  if (root == nullptr) GTEST_SKIP() << "skipped: no data";
  TextDataset data(parse_toml("file = \"tinyshakespeare/input.txt\"\n", "exp.toml"));
  DataContext context;
  context.folder = root;
  data.read(context);
  CharsTokenizer tokenizer{Config()};
  tokenizer.train(data.texts());
  context.tokenizer = &tokenizer;
  data.tokenise(context);
  EXPECT_EQ(tokenizer.size(), 65);
  EXPECT_EQ(data.stream(Split::train).size(), 1003854u);
  EXPECT_EQ(data.stream(Split::validation).size(), 111540u);
  EXPECT_EQ(tokenizer.decode(data.stream(Split::train).first(14)), "First Citizen:");
}

}  // namespace

}  // namespace lathe
