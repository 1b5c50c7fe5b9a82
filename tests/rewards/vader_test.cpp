#include <lathe/base/json.h>

#include <cstdlib>
#include <fstream>

#include "plugins/rewards/vader.cpp"
#include "rewards/support.h"

namespace lathe {
namespace {

using testing::error_of;
using testing::TemporaryFolder;

// A lexicon of four words.
class SmallVader : public ::testing::Test {
 protected:
  SmallVader() {
    std::ofstream(folder_ / "words.txt") << "good\t1.9\t0.9\t[]\nbad\t-2.5\t0.6\n\nno\t-1.2\n"
                                            "love\t3.2\t0.4\n";
    std::ofstream(folder_ / "emoji.txt") << "\U0001F600\tgood face\n";
  }
  double of(const std::string& text, const std::string& more = "") {
    auto reward = testing::made<Vader>("lexicon = \"words.txt\"\nemoji = \"emoji.txt\"\n" + more);
    RewardContext context;
    context.folder = folder_.path();
    reward.open(context);
    return testing::values_of(reward, testing::completions_of({text})).at(0);
  }
  static double compound(double sum) { return sum / std::sqrt(sum * sum + 15); }

  TemporaryFolder folder_;
};

TEST_F(SmallVader, RulesByHand) {
  EXPECT_EQ(of(""), 0);
  EXPECT_EQ(of("table"), 0);
  EXPECT_DOUBLE_EQ(of("a good one"), compound(1.9));
  EXPECT_DOUBLE_EQ(of("a very good one"), compound(1.9 + 0.293));
  EXPECT_DOUBLE_EQ(of("a very old, good one"), compound(1.9 + 0.95 * 0.293));
  EXPECT_DOUBLE_EQ(of("a slightly bad one"), compound(-2.5 + 0.293));
  EXPECT_DOUBLE_EQ(of("not a good one"), compound(-0.74 * 1.9));
  EXPECT_DOUBLE_EQ(of("a GOOD one"), compound(1.9 + 0.733));
  EXPECT_DOUBLE_EQ(of("GOOD"), compound(1.9));  // all are capitals: no emphasis
  EXPECT_DOUBLE_EQ(of("(good)!!"), compound(1.9 + 2 * 0.292));
  EXPECT_DOUBLE_EQ(of("bad???"), compound(-2.5 - 3 * 0.18));
  EXPECT_DOUBLE_EQ(of("good but bad"), compound(0.5 * 1.9 - 1.5 * 2.5));
  EXPECT_DOUBLE_EQ(of("no good"), compound(-0.74 * 1.9));
  EXPECT_DOUBLE_EQ(of("no table"), compound(-1.2));
  EXPECT_DOUBLE_EQ(of("see it: \U0001F600"), compound(1.9));
}

TEST_F(SmallVader, SharesByHand) {
  const std::string text = "good bad table";
  EXPECT_DOUBLE_EQ(of(text, "output = \"pos\"\n"), 2.9 / (2.9 + 3.5 + 1));
  EXPECT_DOUBLE_EQ(of(text, "output = \"neg\"\n"), 3.5 / (2.9 + 3.5 + 1));
  EXPECT_DOUBLE_EQ(of(text, "output = \"neu\"\n"), 1 / (2.9 + 3.5 + 1));
}

TEST_F(SmallVader, NamesTheLineThatIsNoRow) {
  std::ofstream(folder_ / "words.txt") << "good\t1.9\nbad\tvery\n";
  EXPECT_EQ(
      error_of([&] { of("x"); }),
      folder_ / "words.txt" + ":2: 'very' is no valence: expected a word, a tab and a number");
}

TEST(Vader, EqualsTheRecordedScores) {
  const char* root = std::getenv("LATHE_DATA");
  if (root == nullptr) GTEST_SKIP() << "skipped: no data";
  std::vector<Json> rows;
  std::vector<std::string> texts;
  std::ifstream file(std::string(root) + "/vader/reference-scores.jsonl");
  for (std::string line; std::getline(file, line);) {
    rows.push_back(parse_json(line, "reference-scores.jsonl"));
    texts.push_back(rows.back().at("text"));
  }
  ASSERT_GE(rows.size(), 200U);
  for (const std::string output : {"compound", "pos", "neg", "neu"}) {
    auto reward = testing::made<Vader>(
        "lexicon = \"vader/vader_lexicon.txt\"\nemoji = \"vader/emoji_utf8_lexicon.txt\"\n"
        "output = \"" +
        output + "\"\n");
    RewardContext context;
    context.folder = root;
    reward.open(context);
    const auto values = testing::values_of(reward, testing::completions_of(texts));
    const double digits = output == "compound" ? 1e4 : 1e3;
    for (std::size_t m = 0; m < rows.size(); ++m) {
      EXPECT_EQ(std::nearbyint(values[m] * digits),
                std::round(rows[m].at(output).get<double>() * digits))
          << output << ": " << texts[m];
    }
  }
}

}  // namespace
}  // namespace lathe
