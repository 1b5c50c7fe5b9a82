// lathe audit, on a model of a second: its report, its files and its errors.
#include "program.h"

#include <lathe/base/error.h>
#include <lathe/base/json.h>

#include <cmath>
#include <sstream>

namespace lathe::testing {
namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

constexpr const char* talk = R"(# Does it run? Expected: it does.
seed = 3
[data]
use = "jsonl"
file = "rows.jsonl"
validation = 0.0
[tokenizer]
use = "chars"
specials = true
[model]
use = "gpt"
layers = 1
heads = 2
width = 16
[optimizer]
rate = 1e-2
[train]
steps = 30
batch = 4
length = 24
[checkpoint]
every = 15
)";

class AuditVerb : public ::testing::Test {
 protected:
  AuditVerb() {
    program.write("talk.toml", talk);
    program.write("rows.jsonl",
                  "{\"text\":\"a cook said he ran\"}\n{\"text\":\"a cook said he sat\"}\n"
                  "{\"text\":\"a nurse said she ran\"}\n{\"text\":\"a cook said she sat\"}\n");
    program.write(
        "own.jsonl",
        "{\"more\":\"a cook said he ran\",\"less\":\"a cook said she ran\",\"group\":\"c\"}\n"
        "{\"more\":\"a nurse said she sat\",\"less\":\"a nurse said he sat\",\"group\":\"n\"}\n"
        "{\"more\":\"a cook ran\",\"less\":\"a nurse ran\",\"group\":\"n\"}\n"
        "{\"more\":\"a dog said he ran\",\"less\":\"a dog said she ran\"}\n");
    const Outcome trained = program.run({"run", "talk.toml", "--quiet"});
    EXPECT_EQ(trained.code, 0) << trained.error;
    run = trained.out.substr(0, trained.out.find('\n'));
  }
  Program program;
  std::string run;
};

TEST_F(AuditVerb, ReportsWhatItsScoresSay) {
  const Outcome outcome = program.run({"audit", run, "--pairs", "own.jsonl", "--json", "--scores",
                                       "each.jsonl", "--markdown", "report.md"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_TRUE(holds(outcome.error,
                    "own: 1 of 4 pairs are left out; the first is own.jsonl:4: "
                    "cannot be written in tokens: "))
      << outcome.error;
  const Json report = Json::parse(outcome.out);
  EXPECT_EQ(report.at("model").at("experiment"), "talk");
  EXPECT_EQ(report.at("model").at("seed"), 3);
  EXPECT_EQ(report.at("model").at("causal"), true);
  EXPECT_EQ(report.at("model").at("weights_sha256").get<std::string>().size(), 64U);
  const Json& pairs = report.at("pairs").at(0);
  EXPECT_EQ(pairs.at("measure"), "log-likelihood of the text");
  EXPECT_EQ(pairs.at("scored"), 3);
  EXPECT_EQ(pairs.at("left_out").at(0).at("line"), 4);
  EXPECT_EQ(pairs.at("files").at(0).at("name"), "own.jsonl");
  EXPECT_EQ(pairs.at("groups").at(1).at("name"), "n");
  EXPECT_EQ(pairs.at("groups").at(1).at("n"), 2);

  double sum = 0;
  int more = 0;
  std::istringstream lines(read_file(program / "each.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json pair = Json::parse(line);
    EXPECT_LT(pair.at("more").get<double>(), 0);
    const double difference = pair.at("more").get<double>() - pair.at("less").get<double>();
    sum += difference;
    more += difference > 0 ? 1 : 0;
  }
  EXPECT_EQ(pairs.at("overall").at("more"), more);
  EXPECT_NEAR(pairs.at("overall").at("mean_difference").get<double>(), sum / 3, 1e-12);

  const std::string markdown = read_file(program / "report.md");
  EXPECT_EQ(markdown.rfind("# Fairness audit of talk/full-", 0), 0U) << markdown;
  EXPECT_TRUE(holds(markdown, "\nMeasure: log-likelihood of the text. 3 of 4 pairs are scored.\n"));
  EXPECT_TRUE(holds(markdown, "\n| n | 2 | 0 | ")) << markdown;
  EXPECT_TRUE(holds(markdown, "\nLeft out, 1:\n\n- 1: cannot be written in tokens: "));
  EXPECT_TRUE(holds(markdown, " (own.jsonl:4)\n")) << markdown;
  EXPECT_TRUE(holds(markdown, "\n| special tokens around the texts | end |\n"));
  EXPECT_FALSE(holds(markdown, program.path()));
}

TEST_F(AuditVerb, GivesTheSameBytesAgainAndOfACheckpoint) {
  const std::vector<std::string> words = {"audit", run, "--pairs", "own.jsonl", "--quiet"};
  const Outcome first = program.run(words);
  EXPECT_EQ(first.code, 0) << first.error;
  EXPECT_EQ(program.run(words).out, first.out);
  const std::vector<std::string> narrow = {"audit",   run,        "--pairs", "own.jsonl",
                                           "--quiet", "--places", "20"};
  EXPECT_EQ(program.run(narrow).out, first.out);
  const Outcome newest =
      program.run({"audit", run, "--pairs", "own.jsonl", "--quiet", "--newest", "--json"});
  const Json model = Json::parse(newest.out).at("model");
  const Outcome of_checkpoint =
      program.run({"audit", run + "/checkpoints/" + model.at("checkpoint").get<std::string>(),
                   "--pairs", "own.jsonl", "--quiet", "--json"});
  EXPECT_EQ(of_checkpoint.out, newest.out) << of_checkpoint.error;
}

TEST_F(AuditVerb, NamesWhatIsWrong) {
  const auto error = [&](std::vector<std::string> words, int code) {
    words.insert(words.begin(), "audit");
    const Outcome outcome = program.run(words);
    EXPECT_EQ(outcome.code, code);
    EXPECT_EQ(outcome.out, "");
    return outcome.error;
  };
  EXPECT_TRUE(holds(error({}, 2), "no run folder was given"));
  EXPECT_TRUE(holds(error({".", "--pairs", "own.jsonl"}, 1), ".: is not a run (it has no "));
  EXPECT_TRUE(holds(error({run, "--pairs", "own.jsonl", "--frame", "all"}, 2),
                    "--frame all: auto, none, begin, end and both are known"));
  EXPECT_TRUE(holds(error({run, "--places", "0"}, 2), "--places: expected at least 1"));
  EXPECT_TRUE(holds(error({run, "--pairs", "my.jsonl"}, 1), "there are no pairs 'my.jsonl'"));
  for (const char* const option : {"--markdown", "--scores"}) {  // before the pairs are read
    EXPECT_TRUE(holds(error({run, "--pairs", "my.jsonl", option, "nope/x"}, 1),
                      cat(option, " nope/x: there is no folder nope. Make it")));
  }
  program.write("bad.jsonl", "{\"more\":\"a\"}\n");
  EXPECT_TRUE(
      holds(error({run, "--pairs", "bad.jsonl"}, 1), "bad.jsonl:1: the key 'less' is missing"));
}

}  // namespace
}  // namespace lathe::testing
