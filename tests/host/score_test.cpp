// lathe score and lathe generate with a model that sees both sides, and score with a decoder: the
// built program, on runs of a second or so.
#include "program.h"

#include <gtest/gtest.h>
#include <lathe/base/json.h>

#include <cmath>
#include <sstream>

namespace lathe::testing {
namespace {

// The sums of one digit with an answer of two, of which an encoder learns to fill in the answers.
const char* const both_sides = R"(# Does it run? Expected: it does.
seed = 3
[data]
use = "sums"
digits = 1
padded = true
train = 60
validation = 20
[tokenizer]
use = "chars"
specials = true
mask = true
[feed]
use = "rows"
[model]
use = "encoder"
layers = 1
heads = 2
width = 16
[objective]
use = "masked"
[train]
steps = 20
batch = 8
length = 8
[sample]
every = 10
tokens = 2
prompts = ["1+2=___", "[MASK]+2=03"]
)";

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<Json> lines_of(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(Json::parse(line));
  return lines;
}

class Scores : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    program = new Program;
    program->write("encoder.toml", both_sides);
    program->write("decoder.toml", tiny);
    for (const std::string name : {"encoder", "decoder"}) {
      const Outcome made = program->run({"run", name + ".toml", "--folder", name, "--quiet"});
      ASSERT_EQ(made.code, 0) << made.error;
    }
  }
  static void TearDownTestSuite() {
    delete program;
    program = nullptr;
  }

  // Of each line of a file of tokens that is from `source`.
  static std::vector<double> values(const std::string& file, const std::string& source) {
    std::vector<double> all;
    for (const Json& line : lines_of(read_file(*program / file))) {
      if (line.at("source") == source) all.push_back(line.at("log_probability"));
    }
    return all;
  }

  static inline Program* program = nullptr;
};

TEST_F(Scores, AreSumsOfTheirTokens) {
  program->write("texts.txt", "1+2=03\n\n9+9=18\n");
  const Outcome out = program->run({"score", "encoder", "texts.txt", "--lines", "--text", "4+4=08",
                                    "--json", "--jsonl", "each"});
  ASSERT_EQ(out.code, 0) << out.error;
  const std::vector<Json> lines = lines_of(out.out);
  ASSERT_EQ(lines.size(), 4U);
  double total = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const char* const sources[] = {"text 1", "texts.txt:1", "texts.txt:3"};
    EXPECT_EQ(lines[i].at("source"), sources[i]);
    EXPECT_EQ(lines[i].at("tokens"), 6);
    double sum = 0;
    const std::vector<double> each = values("each", sources[i]);
    ASSERT_EQ(each.size(), 6U);
    for (const double one : each) sum += one;
    EXPECT_LT(sum, 0);
    EXPECT_NEAR(lines[i].at("pseudo_log_likelihood").get<double>(), sum, 1e-12 * -sum);
    EXPECT_NEAR(lines[i].at("pseudo_perplexity").get<double>(), std::exp(-sum / 6), 1e-9);
    total += sum;
  }
  const Json all = lines[3].at("total");
  EXPECT_EQ(all.at("texts"), 3);
  EXPECT_EQ(all.at("tokens"), 18);
  EXPECT_NEAR(all.at("pseudo_log_likelihood").get<double>(), total, 1e-12 * -total);
  const Json token = lines_of(read_file(*program / "each")).at(2);
  EXPECT_EQ(token.at("token"), "4");
  EXPECT_EQ(token.at("place"), 2);
  EXPECT_EQ(token.at("begin"), 2);
  EXPECT_EQ(token.at("end"), 3);
}

TEST(GenerateUsage, NumbersOutOfRangeAreRefused) {
  Program program;
  const std::vector<std::vector<std::string>> all = {
      {"generate", "run", "x", "--samples=0"},
      {"generate", "run", "x", "--samples=-1"},
      {"generate", "run", "x", "--seed=-1"},
      {"play", "run", "--episode=-1"},
  };
  for (const std::vector<std::string>& words : all) {
    const Outcome outcome = program.run(words);
    EXPECT_EQ(outcome.code, 2) << outcome.error;
    EXPECT_TRUE(holds(outcome.error, ", allowed: at least ")) << outcome.error;
  }
}

TEST_F(Scores, LinesMayEndAsOnWindows) {
  program->write("unix.txt", "1+2=03\n\n9+9=18\n");
  program->write("windows.txt", "1+2=03\r\n\r\n9+9=18\r\n");
  const auto score = [&](const std::string& file) {
    const Outcome out = program->run({"score", "encoder", file, "--lines", "--json"});
    EXPECT_EQ(out.code, 0) << out.error;
    std::vector<Json> lines = lines_of(out.out);
    for (Json& line : lines) line.erase("source");
    return lines;
  };
  EXPECT_EQ(score("windows.txt"), score("unix.txt"));
  program->write("prompts.txt", "2010\r\n\r\n1\r\n");
  const Outcome out =
      program->run({"generate", "decoder", "--prompts", "prompts.txt", "--tokens", "1", "--json"});
  ASSERT_EQ(out.code, 0) << out.error;
  const std::vector<Json> lines = lines_of(out.out);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].at("prompt"), "2010");
  EXPECT_EQ(lines[1].at("prompt"), "1");
}

TEST_F(Scores, OfACheckpointAreThoseOfItsRun) {
  const auto score = [&](const std::vector<std::string>& of) {
    std::vector<std::string> words = {"score", "--text", "4+4=08", "--json"};
    words.insert(words.end(), of.begin(), of.end());
    const Outcome out = program->run(words);
    EXPECT_EQ(out.code, 0) << out.error;
    return out.out;
  };
  EXPECT_EQ(score({"encoder/checkpoints/00000020"}), score({"encoder", "--newest"}));
  EXPECT_NE(score({"encoder", "--newest", "--precision", "bf16"}), score({"encoder", "--newest"}));
}

// The answer alone, given its prompt, is part of the whole.
TEST_F(Scores, OfCompletionsLeaveTheirPromptsOut) {
  program->write("pair.jsonl", "{\"prompt\": \"1+2=\", \"completion\": \"03\"}\n");
  program->write("text.jsonl", "{\"text\": \"1+2=03\"}\n");
  ASSERT_EQ(program->run({"score", "encoder", "pair.jsonl", "text.jsonl", "--jsonl", "each"}).code,
            0);
  const std::vector<double> pair = values("each", "pair.jsonl:1");
  const std::vector<double> whole = values("each", "text.jsonl:1");
  ASSERT_EQ(whole.size(), 6U);
  EXPECT_EQ(pair, (std::vector<double>{whole[4], whole[5]}));
}

TEST_F(Scores, HideTheRestOfWordsIfAsked) {
  const auto each = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"score", "encoder", "--text", "1+2=03", "--jsonl", "each"};
    words.insert(words.end(), more.begin(), more.end());
    EXPECT_EQ(program->run(words).code, 0);
    return values("each", "text 1");
  };
  const std::vector<double> plain = each({}), words = each({"--word-l2r"});
  ASSERT_EQ(words.size(), 6U);
  for (const std::size_t i : {0U, 1U, 2U, 3U, 5U}) EXPECT_EQ(plain[i], words[i]) << i;
  EXPECT_NE(plain[4], words[4]);  // 0 has been seen with the 3 behind it
  EXPECT_NE(plain, each({"--frame", "none"}));
}

// A text of more tokens than the context: the first half as if it stood alone, and every token but
// the first once.
TEST_F(Scores, OfADecoderGoThroughLongTextsInWindows) {
  const std::string text = "20100012201000122121012012";
  program->write("long.txt", text);
  program->write("head.txt", text.substr(0, 16));
  const Outcome out = program->run(
      {"score", "decoder", "long.txt", "head.txt", "--stride", "5", "--jsonl", "each"});
  ASSERT_EQ(out.code, 0) << out.error;
  EXPECT_TRUE(holds(out.out, "long.txt: log-likelihood -")) << out.out;
  EXPECT_TRUE(holds(out.out, ", " + std::to_string(text.size() - 1) + " tokens, perplexity "))
      << out.out;
  EXPECT_TRUE(holds(out.out, "all 2 texts: ")) << out.out;
  const std::vector<double> whole = values("each", "long.txt"), head = values("each", "head.txt");
  ASSERT_EQ(whole.size(), text.size() - 1);
  ASSERT_EQ(head.size(), 15U);
  EXPECT_TRUE(std::equal(head.begin(), head.end(), whole.begin()));
}

TEST_F(Scores, RefuseWhatTheyCannotRead) {
  const auto error = [&](const std::vector<std::string>& words, int code) {
    const Outcome out = program->run(words);
    EXPECT_EQ(out.code, code) << out.error;
    return out.error;
  };
  EXPECT_TRUE(holds(error({"score", "encoder"}, 2), "there is no text: name a file"));
  EXPECT_TRUE(holds(error({"score", "encoder", "none.txt"}, 1), "none.txt"));
  EXPECT_TRUE(holds(error({"score", "encoder", "--text", "1+x"}, 1), "text 1: "));
  EXPECT_TRUE(holds(error({"score", "none", "--text", "1"}, 1), "none: is not a run"));
  EXPECT_TRUE(holds(error({"score", "decoder", "--text", "1", "--word-l2r"}, 1),
                    "words are read from left to right by a decoder as it is"));
  EXPECT_TRUE(holds(error({"score", "decoder", "--text", "1", "--stride", "16"}, 1),
                    "windows of 16 tokens cannot be 16 apart: 1 to 15 can"));
  EXPECT_TRUE(holds(error({"score", "encoder", "--text", "1", "--frame", "round"}, 2), "--frame"));
}

// ---- Gaps

TEST_F(Scores, GapsAreFilledInByGenerate) {
  const Outcome plain =
      program->run({"generate", "encoder", "1+___=03", "--greedy", "--tokens", "1"});
  ASSERT_EQ(plain.code, 0) << plain.error;
  const Outcome json = program->run({"generate", "encoder", "1+___=03", "--greedy", "--tokens", "1",
                                     "--json", "--log-probabilities"});
  const Json line = Json::parse(json.out);
  EXPECT_EQ(line.at("text").get<std::string>() + "\n", plain.out);
  EXPECT_EQ(line.at("text").get<std::string>().size(), 6U);
  EXPECT_EQ(line.at("reason"), "filled");
  EXPECT_EQ(line.at("tokens"), 1);
  const Json token = line.at("log_probabilities").at(0);
  EXPECT_EQ(token.at("place"), 2);
  EXPECT_EQ(token.at("round"), 0);
  EXPECT_EQ(line.at("text"), "1+" + token.at("token").get<std::string>() + "=03");
  // Two places in one pass and in two.
  for (const int rounds : {1, 2}) {
    const Json filled = Json::parse(
        program
            ->run({"generate", "encoder", "1+2=___", "--tokens", "2", "--rounds",
                   std::to_string(rounds), "--order", "random", "--json", "--log-probabilities"})
            .out);
    EXPECT_EQ(filled.at("log_probabilities").at(1).at("round"), rounds - 1);
  }
}

TEST_F(Scores, GapsAreSamplesOfTraining) {
  const std::vector<Json> samples = lines_of(read_file(*program / "encoder/samples.jsonl"));
  ASSERT_EQ(samples.size(), 4U);  // of steps 10 and 20
  EXPECT_EQ(samples[0].at("prompt"), "1+2=___");
  EXPECT_EQ(samples[0].at("text").get<std::string>().substr(0, 4), "1+2=");
  EXPECT_EQ(samples[0].at("text").get<std::string>().size(), 6U);
  EXPECT_EQ(samples[3].at("text").get<std::string>().substr(1), "+2=03");
}

TEST_F(Scores, OptionsOfTheOtherKindAreRefused) {
  const Outcome order = program->run({"generate", "decoder", "2010", "--order", "random"});
  EXPECT_EQ(order.code, 2);
  EXPECT_TRUE(holds(order.error, "--order is for a model that sees both sides")) << order.error;
  const Outcome stop = program->run({"generate", "encoder", "1+2=", "--stop", "0"});
  EXPECT_EQ(stop.code, 2);
  EXPECT_TRUE(holds(stop.error, "--stop is for a model that writes from left to right"))
      << stop.error;
  const Outcome wrong = program->run({"generate", "encoder", "1+2=", "--order", "backwards"});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_TRUE(holds(wrong.error, "one of: confidence, entropy, random, left")) << wrong.error;
}

}  // namespace
}  // namespace lathe::testing
