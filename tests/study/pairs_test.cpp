#include <gtest/gtest.h>
#include <lathe/study/pairs.h>

#include <cstdlib>
#include <map>

#include "base/temporary_folder.h"

namespace lathe {
namespace {

using testing::error_of;
using testing::TemporaryFolder;

void write(const std::string& path, std::string_view text) {
  make_folders(real_files(), folder_of(path));
  write_durably(path, text);
}

TEST(Pairs, CrowsPairsAreReadByTheirColumns) {
  const TemporaryFolder folder;
  write(folder / "some.csv",
        ",sent_more,sent_less,stereo_antistereo,bias_type,annotations\n"
        "0,\"Poor, A\",\"Rich, A\",stereo,socioeconomic,[]\n"
        "1,He C,She C,antistereo,gender,[]\n");
  const PairSet set = read_pairs(folder / "some.csv", "");
  EXPECT_EQ(set.name, "crows_pairs");
  EXPECT_EQ(set.rule, PairRule::shared);
  ASSERT_EQ(set.pairs.size(), 2U);
  EXPECT_EQ(set.pairs[0].more, "Poor, A");
  EXPECT_EQ(set.pairs[0].less, "Rich, A");
  EXPECT_EQ(set.pairs[0].group, "socioeconomic");
  EXPECT_EQ(set.pairs[0].direction, "stereo");
  EXPECT_EQ(set.pairs[1].direction, "antistereo");
  EXPECT_EQ(set.pairs[1].file, "some.csv");
  EXPECT_EQ(set.pairs[1].line, 3U);
  ASSERT_EQ(set.files.size(), 1U);
  write(folder / "bad.csv", "sent_more,sent_less,stereo_antistereo,bias_type\na,b,more,c\n");
  EXPECT_EQ(error_of([&] { read_pairs(folder / "bad.csv", ""); }),
            (folder / "bad.csv") +
                ":2: column 'stereo_antistereo': expected stereo or antistereo, found 'more'");
}

TEST(Pairs, WinoBiasTellsTheGenderOfThePronoun) {
  const TemporaryFolder folder;
  write(folder / "pro_stereotyped_type1.txt.dev",
        "1 [The cook] left because [he] was late.\n2 The cook met [the nurse] as [she] left.\r\n"
        "3 [The guard] lost [his] way.\n4 [The cook] saw [his] car and [he] left.\n"
        "5 [The cook] and [he] and [she].");
  write(folder / "anti_stereotyped_type1.txt.dev",
        "1 [The cook] left because [she] was late.\n2 The cook met [the nurse] as [he] left.\n"
        "3 [The guard] lost a [her] way.\n4 [The cook] saw [her] car and [she] left.\n"
        "5 [The cook] and [she] and [he].");
  const PairSet set = read_pairs(folder.path(), "");
  EXPECT_EQ(set.name, "winobias");
  EXPECT_EQ(set.rule, PairRule::differing);
  ASSERT_EQ(set.pairs.size(), 3U);
  EXPECT_EQ(set.pairs[0].more, "The cook left because he was late.");
  EXPECT_EQ(set.pairs[0].less, "The cook left because she was late.");
  EXPECT_EQ(set.pairs[0].group, "type1");
  EXPECT_EQ(set.pairs[0].direction, "male");
  EXPECT_EQ(set.pairs[1].more, "The cook met the nurse as she left.");
  EXPECT_EQ(set.pairs[1].direction, "female");
  EXPECT_EQ(set.pairs[2].line, 4U);
  ASSERT_EQ(set.left_out.size(), 2U);
  EXPECT_EQ(set.left_out[0].line, 3U);
  EXPECT_EQ(set.left_out[0].file, "pro_stereotyped_type1.txt.dev");
  EXPECT_EQ(set.left_out[0].reason, "the two sentences do not differ in the pronoun alone");
  EXPECT_EQ(set.left_out[1].line, 5U);

  write(folder / "anti_stereotyped_type1.txt.dev", "1 [The cook] left.\n");
  const std::string pro = folder / "pro_stereotyped_type1.txt.dev";
  EXPECT_EQ(error_of([&] { read_winobias(folder.path()); }),
            pro + ": has 5 lines, but " + (folder / "anti_stereotyped_type1.txt.dev") +
                " has 1: they must be in step");
  write(pro, "[The cook] left.\n");
  EXPECT_EQ(error_of([&] { read_winobias(folder.path()); }),
            pro + ":1: expected a number, a space and a sentence");
  write(pro, "1 [The cook left.\n");
  EXPECT_EQ(error_of([&] { read_winobias(folder.path()); }), pro + ":1: a '[' is not closed");
}

TEST(Pairs, AFileOfPairsIsJsonLines) {
  const TemporaryFolder folder;
  const std::string file = folder / "own.jsonl";
  write(file,
        "{\"more\":\"a b\",\"less\":\"c b\",\"group\":\"g\",\"id\":7}\n\n"
        "{\"more\":\"x\",\"less\":\"y\",\"direction\":\"d\"}\n");
  const PairSet set = read_pairs(file, "");
  EXPECT_EQ(set.name, "own");
  ASSERT_EQ(set.pairs.size(), 2U);
  EXPECT_EQ(set.pairs[0].group, "g");
  EXPECT_EQ(set.pairs[0].direction, "");
  EXPECT_EQ(set.pairs[1].direction, "d");
  EXPECT_EQ(set.pairs[1].line, 3U);
  const auto fault = [&](const char* content) {
    write(file, content);
    return error_of([&] { read_pair_file(file); }).substr(file.size());
  };
  EXPECT_EQ(fault("{\"more\":\"a\"}\n"),
            ":1: the key 'less' is missing: expected {\"more\": \"...\", \"less\": \"...\"}");
  EXPECT_EQ(fault("{\"more\":\"a\",\"less\":3}\n"),
            ":1: key 'less': expected a string, found number");
  EXPECT_EQ(fault("[1]\n"), ":1: expected an object, found array");
  EXPECT_EQ(fault("\n"), ": no pairs: expected one JSON object a line");
}

TEST(Pairs, WhatIsNotThereIsNamed) {
  EXPECT_EQ(error_of([] { read_pairs("crow_pairs", ""); }),
            "there are no pairs 'crow_pairs': expected crows_pairs, winobias, or the path of a "
            "file or folder that exists");
  EXPECT_EQ(error_of([] { read_pairs("winobias", ""); }),
            "the pairs 'winobias' are not at $LATHE_DATA: set the environment variable LATHE_DATA "
            "to the folder that has them, or give their own path");
  const TemporaryFolder folder;
  EXPECT_TRUE(error_of([&] { read_winobias(folder.path()); })
                  .ends_with("there is no pro_stereotyped_type1.txt.dev here: expected the files "
                             "of WinoBias"));
}

TEST(Pairs, ThePublishedSetsAreWhole) {
  const char* data = std::getenv("LATHE_DATA");
  if (data == nullptr) GTEST_SKIP() << "skipped: no data";
  const PairSet crows = read_pairs("crows_pairs", data);
  EXPECT_EQ(crows.pairs.size(), 1508U);
  std::map<std::string, int> groups, directions;
  for (const TextPair& pair : crows.pairs) {
    ++groups[pair.group];
    ++directions[pair.direction];
  }
  // Table 2 of the paper.
  EXPECT_EQ(groups, (std::map<std::string, int>{{"age", 87},
                                                {"disability", 60},
                                                {"gender", 262},
                                                {"nationality", 159},
                                                {"physical-appearance", 63},
                                                {"race-color", 516},
                                                {"religion", 105},
                                                {"sexual-orientation", 84},
                                                {"socioeconomic", 172}}));
  EXPECT_EQ(directions, (std::map<std::string, int>{{"antistereo", 218}, {"stereo", 1290}}));
  const PairSet wino = read_pairs("winobias", data);
  EXPECT_EQ(wino.pairs.size() + wino.left_out.size(), 792U);
  EXPECT_EQ(wino.left_out.size(), 12U);
  EXPECT_EQ(wino.files.size(), 4U);
}

}  // namespace
}  // namespace lathe
