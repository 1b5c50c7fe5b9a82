// Reward "command" against small shell programs: answers, crashes, hangs, limits.
#include <lathe/base/child.h>
#include <lathe/base/clock.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "plugins/rewards/command.cpp"
#include "rewards/support.h"

namespace lathe {
namespace {

using testing::error_of;
using testing::TemporaryFolder;
using Values = std::vector<double>;

// The program is `sh program.sh` in a folder of its own.
class CommandReward : public ::testing::Test {
 protected:
  void write(const std::string& program) { std::ofstream(folder_ / "program.sh") << program; }
  std::unique_ptr<Command> opened(const std::string& options = "") {
    set_log_quiet(true);
    auto reward = std::make_unique<Command>(
        parse_toml("command = [\"sh\", \"program.sh\"]\n" + options, "exp.toml"));
    RewardContext context;
    context.folder = folder_.path();
    reward->open(context);
    return reward;
  }
  Scores score(const std::string& options, const Completions& completions) {
    return testing::scores_of(*opened(options), completions);
  }
  std::string error(const std::string& options = "", const std::string& text = "x") {
    return error_of([&] { score(options, testing::completions_of({text})); });
  }
  std::string written(const std::string& name) {
    std::ostringstream text;
    text << std::ifstream(folder_ / name).rdbuf();
    return text.str();
  }

  TemporaryFolder folder_;
};

// Zombies that nobody has waited for yet are over as well.
bool lives(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string number, name, state;
  return (file >> number >> name >> state) && state != "Z";
}
void expect_dead(const std::string& number) {
  ASSERT_FALSE(number.empty());
  const double end = steady_seconds() + 5;
  while (lives(std::stoi(number)) && steady_seconds() < end) usleep(1000);
  EXPECT_FALSE(lives(std::stoi(number))) << number;
}

constexpr const char* judge = R"(
while read -r line; do
  case "$line" in *good*) echo 1.5;; *unknown*) echo null;; *) echo -1;; esac
done
)";

TEST_F(CommandReward, AsksForEachCompletion) {
  write(judge);
  const auto reward = opened("ask = \"completion\"\n");
  const Completions completions =
      testing::completions_of({"good one", "unknown", "a\nb \"c\"", "so good \xff"});
  const Values values = testing::values_of(*reward, completions);
  EXPECT_EQ(values[0], 1.5);
  EXPECT_FALSE(applicable(values[1]));
  EXPECT_EQ(values[2], -1);
  EXPECT_EQ(values[3], 1.5);
}

TEST_F(CommandReward, AsksForABatchAndSendsAllFields) {
  write("while read -r line; do printf '%s' \"$line\" > request; echo '[1, null]'; done\n");
  Completions completions = testing::completions_of({"one\n", "t\xffo"}, {"1", ""});
  completions.columns["level"] = {"easy", ""};
  completions.ended = {1, 0};
  const Scores scores = score("", completions);
  EXPECT_EQ(scores.values[0], 1);
  EXPECT_FALSE(applicable(scores.values[1]));
  EXPECT_EQ(parse_json(written("request"), "request"), Json::parse(R"([
    {"prompt": "prompt", "text": "one\n", "answer": "1", "ended": true,
     "columns": {"level": "easy"}},
    {"prompt": "prompt", "text": "t\ufffdo", "answer": "", "ended": false,
     "columns": {"level": ""}}])"));
}

TEST_F(CommandReward, StartsAgainAfterACrash) {
  write(R"(
read -r line
[ -e crashed ] || { touch crashed; echo 'it broke' >&2; exit 3; }
echo '[7]'
while read -r line; do echo '[8]'; done
)");
  const auto reward = opened();
  const Completions one = testing::completions_of({"x"});
  const Scores first = testing::scores_of(*reward, one);
  EXPECT_EQ(first.values[0], 7);
  ASSERT_EQ(first.metrics.size(), 1U);
  EXPECT_EQ(first.metrics[0].name, "restarts");
  EXPECT_EQ(first.metrics[0].sum, 1);
  const Scores second = testing::scores_of(*reward, one);
  EXPECT_EQ(second.values[0], 8);  // the same program goes on
  EXPECT_EQ(second.metrics[0].sum, 0);
}

TEST_F(CommandReward, SaysHowItEndedAndWhatItSaid) {
  write("echo started >> starts; read -r line; echo 'no such judge' >&2; exit 3\n");
  EXPECT_EQ(error("restarts = 1\n"),
            "reward 'command', started again 1 times: the program 'sh' exited with code 3; the end "
            "of its standard error:\nno such judge\n");
  EXPECT_EQ(written("starts"), "started\nstarted\n");
  write("read -r line; kill -SEGV $$\n");
  EXPECT_EQ(error("restarts = 0\n"),
            "reward 'command', started again 0 times: the program 'sh' was ended by signal 11 "
            "(SIGSEGV); it wrote nothing to standard error");
}

// Also larger than a pipe holds, to a program that never reads it.
TEST_F(CommandReward, AProgramThatEndsAtOnceIsAnErrorNotASignal) {
  write("exit 0\n");
  const std::string message = error("restarts = 0\n", std::string(1 << 20, 'x'));
  EXPECT_NE(message.find("the program 'sh' exited with code 0"), std::string::npos) << message;
}

TEST_F(CommandReward, KillsWhatHangsWithAllThatItStarted) {
  write("sleep 1000 & echo $! > sleeper; echo $$ > self; read -r line; wait\n");
  const double begin = steady_seconds();
  const std::string message = error("timeout = 0.3\nrestarts = 0\n");
  EXPECT_LT(steady_seconds() - begin, 30);
  EXPECT_NE(message.find("the program 'sh' gave 0 of 1 answers within 0.3 s"), std::string::npos)
      << message;
  expect_dead(written("self"));
  expect_dead(written("sleeper"));
}

TEST_F(CommandReward, EndsWithTheReward) {
  write("sleep 1000 & echo $! > sleeper; echo $$ > self; read -r line; echo '[1]'; read -r line\n");
  score("", testing::completions_of({"x"}));
  expect_dead(written("self"));
  expect_dead(written("sleeper"));
}

// The process that asks is killed outright.
TEST_F(CommandReward, EndsWithTheProcess) {
  write("echo $$ > self; trap '' TERM HUP; read -r line; echo '[1]'; while :; do sleep 1; done\n");
  const ChildEnd end = in_child(
      [&](const Say&) {
        const auto reward = opened();
        testing::scores_of(*reward, testing::completions_of({"x"}));
        std::raise(SIGKILL);
      },
      20);
  EXPECT_EQ(end.how, ChildEnd::How::signalled) << end.text();
  expect_dead(written("self"));
}

TEST_F(CommandReward, LimitsHold) {
  write("while read -r line; do echo \"[$(ulimit -v), $(ulimit -c), $(ulimit -t)]\"; done\n");
  const Scores scores =
      score("memory = 64\nprocessor = 5.5\n", testing::completions_of({"a", "b", "c"}));
  EXPECT_EQ(scores.values, (Values{64 * 1024, 0, 6}));
  write("read -r line; while :; do :; done\n");
  const std::string message = error("processor = 0.5\nrestarts = 0\n");
  EXPECT_NE(message.find("(SIGXCPU, its time of the processor was over)"), std::string::npos)
      << message;
}

TEST_F(CommandReward, NamesAnswersThatAreNone) {
  write("while read -r line; do echo '[1, 2]'; done\n");
  EXPECT_EQ(error(), "reward 'command': expected a list of 1 scores, found one of 2");
  write("while read -r line; do echo '[\"high\"]'; done\n");
  EXPECT_EQ(error(),
            "reward 'command': expected a number or null for a completion, found \"high\"");
  write("while read -r line; do echo good; done\n");
  EXPECT_TRUE(error().starts_with("reward 'command': the program's answer:1:")) << error();
  write("while read -r line; do printf 'loading\\n[1]\\n'; done\n");
  EXPECT_EQ(error("restarts = 0\n"),
            "reward 'command', started again 0 times: the program 'sh' wrote more than the 1 lines "
            "that it was asked for: '[1]'; it wrote nothing to standard error");
}

TEST_F(CommandReward, AProgramThatIsNotThereIsFoundBeforeTheFirstStep) {
  Command reward(parse_toml("command = [\"./nothing-of-that-name\"]\n", "exp.toml"));
  RewardContext context;
  context.folder = folder_.path();
  EXPECT_EQ(
      error_of([&] { reward.open(context); }),
      "exp.toml:1:1: reward 'command': cannot start './nothing-of-that-name': No such file or "
      "directory");
}

// 8 MiB there and back: neither side waits for the other.
TEST(LineProgram, LargeRequestsAndAnswersFlowAtATime) {
  LineProgram program({.words = {"cat"}, .folder = {}});
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < 8; ++i) {
    lines.push_back(std::string((1 << 20) + i, static_cast<char>('a' + i)));
  }
  EXPECT_EQ(program.ask(lines), lines);
  EXPECT_EQ(program.ask({}), std::vector<std::string>());
  EXPECT_TRUE(program.running());
}

}  // namespace
}  // namespace lathe
