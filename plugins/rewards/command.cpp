// reward "command": the score that another program gives, asked by lines of JSON.
//
//   [[reward]]
//   use = "command"
//   command = ["python3", "judge.py"]
//   timeout = 30.0          # seconds of each request
//   memory = 2048           # MiB that the program may take
//
// The program reads one request a line from standard input, writes one answer a line to standard
// output, and runs until its input ends. With ask = "batch" a request is a list of completions and
// the answer the list of their scores; with ask = "completion" a request is one completion and the
// answer one score. A completion is an object:
//
//   {"prompt": "...", "text": "...", "answer": "...", "ended": true, "columns": {"level": "2"}}
//
// "answer" and each column are "" where a row has none; "ended" is false where the text was cut off
// at the longest length. A score is a number, or null: not applicable. The program must flush after
// each answer, and a score may depend on its completion alone.
//
// It is started in the folder of the experiment's paths, with no rights to gain and no core dumps.
// When it crashes, or takes longer than `timeout`, it is killed with all that it has started, and
// started again to answer the same request, `restarts` times; then training stops with what it
// wrote to standard error. It ends with the run, however the run ends. Limits protect from
// mistakes, not from malice: a program that runs code written by a model needs a sandbox of its
// own.
#include <lathe/base/json.h>
#include <lathe/base/line_program.h>
#include <lathe/base/log.h>
#include <lathe/learn/reward.h>
#include <lathe/plugin/plugin.h>
#include <lathe/text/words.h>

#include <mutex>

namespace lathe {

namespace {

Json request_of(const Completions& completions, std::size_t m) {
  Json columns = Json::object();
  for (const auto& [name, values] : completions.columns) columns[name] = repaired_utf8(values[m]);
  return {{"prompt", repaired_utf8(completions.prompts[m])},
          {"text", repaired_utf8(completions.texts[m])},
          {"answer", repaired_utf8(completions.answers[m])},
          {"ended", completions.ended[m] != 0},
          {"columns", std::move(columns)}};
}

double score_of(const Json& score) {
  if (score.is_null()) return not_applicable;
  if (!score.is_number()) {
    fail("reward 'command': expected a number or null for a completion, found ", score.dump());
  }
  return score.get<double>();
}

}  // namespace

class Command final : public Reward {
 public:
  struct Options : Keys {
    std::vector<std::string> command =
        required<std::vector<std::string>>("command", "the program and its arguments", not_empty);
    std::string ask = key("ask", "batch",
                          "what a line asks for: the scores of a batch, or of one "
                          "completion",
                          one_of({"batch", "completion"}));
    double timeout = key("timeout", 30.0, "seconds for the answers of a batch", above(0));
    double processor =
        key("processor", 0.0, "seconds of a processor for the answers of a batch; 0: no limit",
            at_least(0));
    std::int64_t memory =
        key("memory", std::int64_t{0}, "MiB of address space; 0: no limit", between(0, 1 << 30));
    int restarts = key("restarts", 2, "times that it is started again for a batch", at_least(0));
  };
  explicit Command(const Config& config) : with_(config) {}

  void open(const RewardContext& context) override {
    program_ =
        std::make_unique<LineProgram>(LineProgramOptions{.words = with_.command,
                                                         .folder = context.folder,
                                                         .timeout = with_.timeout,
                                                         .processor_seconds = with_.processor,
                                                         .memory = with_.memory << 20});
    try {
      program_->ask({});  // starts it, so that a wrong name is found before the first step
    } catch (const Error& problem) {
      fail(with_.config().where(), ": reward 'command': ", problem.what());
    }
  }

  void score(const Completions& completions, Scores& scores) override {
    if (completions.size() == 0) return;
    std::vector<std::string> requests;
    Json batch = Json::array();
    for (std::size_t m = 0; m < completions.size(); ++m) {
      Json request = request_of(completions, m);
      if (with_.ask == "batch") {
        batch.push_back(std::move(request));
      } else {
        requests.push_back(request.dump());
      }
    }
    if (with_.ask == "batch") requests.push_back(batch.dump());
    const std::vector<std::string> answers = ask(requests, scores);
    if (with_.ask == "batch") {
      read_list(answers[0], scores.values);
    } else {
      for (std::size_t m = 0; m < answers.size(); ++m) {
        scores.values[m] = score_of(parse(answers[m]));
      }
    }
  }

 private:
  static Json parse(const std::string& answer) {
    return parse_json(answer, "reward 'command': the program's answer");
  }

  static void read_list(const std::string& answer, std::vector<double>& values) {
    const Json list = parse(answer);
    if (!list.is_array() || list.size() != values.size()) {
      fail("reward 'command': expected a list of ", values.size(), " scores, found ",
           list.is_array() ? cat("one of ", list.size()) : answer.substr(0, 200));
    }
    for (std::size_t m = 0; m < values.size(); ++m) values[m] = score_of(list[m]);
  }

  std::vector<std::string> ask(const std::vector<std::string>& requests, Scores& scores) {
    const std::lock_guard lock(mutex_);
    for (int starts = 0;; ++starts) {
      try {
        std::vector<std::string> answers = program_->ask(requests);
        scores.metrics.push_back({"restarts", static_cast<double>(starts), 1});
        return answers;
      } catch (const Error& problem) {
        if (starts >= with_.restarts) {
          fail("reward 'command', started again ", starts, " times: ", problem.what());
        }
        log_warning("reward 'command' starts again: ", problem.what());
      }
    }
  }

  Options with_;
  std::mutex mutex_;
  std::unique_ptr<LineProgram> program_;
};

LATHE_PLUGIN(Reward, Command, "command", "1.0.0")
}  // namespace lathe
