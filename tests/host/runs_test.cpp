// Runs that are stopped, killed and started twice.
#include "program.h"

#include <lathe/base/error.h>
#include <lathe/base/json.h>
#include <lathe/io/metrics_file.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

namespace lathe::testing {
namespace {
namespace filesystem = std::filesystem;

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class Runs : public ::testing::Test {
 protected:
  Runs() { program.write("tiny.toml", tiny); }

  // The words of a run kept under `runs`, a longer one than `tiny`.
  static std::vector<std::string> words(const std::string& folder) {
    return {"run", "tiny.toml", "--folder", folder, "--quiet", "train.steps=300"};
  }
  // All that the run reported, without its speed.
  std::vector<MetricsRow> metrics(const std::string& run) const {
    auto rows = read_metrics(real_files(), program / (run + "/metrics.jsonl"));
    for (MetricsRow& row : rows) {
      std::erase_if(row.values,
                    [](const MetricValue& value) { return value.first.starts_with("speed/"); });
    }
    return rows;
  }
  void expect_same(const std::string& run, const std::string& other) const {
    const auto rows = metrics(run);
    const auto expected = metrics(other);
    ASSERT_EQ(rows.size(), expected.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].step, expected[i].step);
      EXPECT_EQ(rows[i].values, expected[i].values) << "step " << rows[i].step;
    }
    for (const char* file : {"checkpoints/00000300/weights.safetensors",
                             "checkpoints/00000300/optimizer.safetensors", "samples.jsonl"}) {
      EXPECT_TRUE(read_file(program / (run + "/" + file)) ==
                  read_file(program / (other + "/" + file)))
          << file;
    }
  }
  // Until the run has reported a step beyond `step`, or has ended.
  void wait_for(const std::string& run, std::int64_t step) const {
    for (int tries = 0; tries < 2000; ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      const std::string path = program / (run + "/metrics.jsonl");
      if (!exists(path)) continue;
      const auto rows = read_metrics(real_files(), path);
      if (!rows.empty() && rows.back().step > step) return;
    }
    FAIL() << "the run reports nothing";
  }

  Program program;
};

TEST_F(Runs, AFinishedRunIsSkippedUnlessAskedAgain) {
  const Outcome first = program.run({"run", "tiny.toml", "--json"});
  ASSERT_EQ(first.code, 0) << first.error;
  const Json result = Json::parse(first.out);
  EXPECT_EQ(result.at("step"), 60);
  EXPECT_GT(result.at("evaluation").at("loss").get<double>(), 0);
  const std::string run = result.at("run");
  EXPECT_EQ(run.rfind("runs/tiny/full-", 0), 0U);
  for (const char* file : {"manifest.json", "resolved.toml", "metrics.jsonl", "log.txt", "status",
                           "samples.jsonl", "tokenizer.json", "checkpoints"}) {
    EXPECT_TRUE(exists(program / (run + "/" + file))) << file;
  }
  const auto before = metrics(run);
  const Outcome second = program.run({"run", "tiny.toml", "--json"});
  EXPECT_EQ(second.code, 0);
  EXPECT_EQ(second.out, first.out);
  EXPECT_TRUE(holds(second.error, "this run is finished already")) << second.error;
  const Outcome again = program.run({"run", "tiny.toml", "--again", "--quiet"});
  EXPECT_EQ(again.code, 0);
  EXPECT_EQ(again.out, run + "\n");
  EXPECT_EQ(again.error, "");
  const auto after = metrics(run);
  ASSERT_EQ(after.size(), before.size());
  EXPECT_EQ(after.back().values, before.back().values);
  // The same configuration from other places is the same run; another one is not.
  EXPECT_EQ(program.run({"run", "tiny.toml", "train.threads=1", "-q"}).out, run + "\n");
  EXPECT_NE(program.run({"run", "tiny.toml", "train.steps=1", "-q"}).out, run + "\n");
}

TEST_F(Runs, AStoppedRunGoesOnToTheSameBits) {
  ASSERT_EQ(program.run(words("whole")).code, 0);
  const Program::Child child = program.start(words("stopped"));
  wait_for("stopped", 40);
  kill(child.process, SIGTERM);
  const Outcome stopped = Program::finish(child);
  EXPECT_EQ(stopped.code, 75) << stopped.error;
  EXPECT_EQ(stopped.out, "");
  EXPECT_EQ(Json::parse(read_file(program / "stopped/status")).at("state"), "interrupted");
  const Outcome resumed = program.run({"resume", "stopped", "--quiet"});
  EXPECT_EQ(resumed.code, 0) << resumed.error;
  EXPECT_EQ(resumed.out, "stopped\n");
  expect_same("stopped", "whole");
}

TEST_F(Runs, AKilledRunGoesOnToTheSameBits) {
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(program.run(words("whole")).code, 0);
  const auto whole = std::chrono::steady_clock::now() - begin;
  int kills = 0;
  // In hundredths of the whole run: the first four cannot have let it come to its end.
  for (const int part : {1, 8, 15, 20, 30, 4, 60, 40, 80, 50}) {
    const Program::Child child = program.start(words("killed"));
    std::this_thread::sleep_for(whole * part / 100);
    kill(child.process, SIGKILL);
    if (Program::finish(child).code == 128 + SIGKILL) ++kills;
  }
  const Outcome last = program.run(words("killed"));
  EXPECT_EQ(last.code, 0) << last.error;
  EXPECT_GT(kills, 3);
  expect_same("killed", "whole");
}

// The lock is the first file that a run opens: it would be standard error.
TEST_F(Runs, AClosedStandardErrorIsNoFileOfTheRun) {
  const Outcome outcome =
      program.run({"run", "tiny.toml", "--folder", "unheard"}, [] { close(STDERR_FILENO); });
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.error, "");
  EXPECT_EQ(read_file(program / "unheard/lock"), "");
}

TEST_F(Runs, ASecondProcessIsRefused) {
  std::vector<std::string> longer = words("busy");
  longer.back() = "train.steps=100000";
  const Program::Child child = program.start(longer);
  wait_for("busy", 0);
  const Outcome second = program.run(longer);
  EXPECT_EQ(second.code, 1);
  EXPECT_EQ(second.error,
            "error: busy: another process works on this run; wait for it, or stop it first\n");
  kill(child.process, SIGINT);
  EXPECT_EQ(Program::finish(child).code, 75);
}

TEST_F(Runs, AFolderKeepsOneConfiguration) {
  ASSERT_EQ(program.run({"run", "tiny.toml", "--folder", "mine", "-q"}).code, 0);
  const Outcome other = program.run({"run", "tiny.toml", "--folder", "mine", "optimizer.rate=0.5"});
  EXPECT_EQ(other.code, 1);
  EXPECT_TRUE(holds(other.error, "mine: holds a run of another configuration ('tiny')"))
      << other.error;
}

// What a run has not written is none of its business, even when it is told to begin anew.
TEST_F(Runs, AFolderOfOtherFilesIsRefused) {
  program.write("mine/notes.txt", "dear diary");
  program.write("mine/log.txt", "of another program");
  program.write("page/manifest.json", R"({"name": "an extension"})");
  program.write("locked/lock", "");
  program.write("locked/checkpoints/model.bin", "weights");
  ASSERT_EQ(program.run({"run", "tiny.toml", "--folder", "runs/one", "-q", "train.steps=1"}).code,
            0);
  for (const char* folder : {".", "mine", "page", "locked", "runs"}) {
    const auto before = list_folder(real_files(), program / folder);
    for (const bool again : {false, true}) {
      std::vector<std::string> all = {"run", "tiny.toml", "--folder", folder, "-q"};
      if (again) all.push_back("--again");
      const Outcome outcome = program.run(all);
      EXPECT_EQ(outcome.code, 1) << folder;
      if (!again && folder == std::string("page")) continue;  // read as a run's, in vain
      EXPECT_TRUE(holds(outcome.error, cat("error: ", folder, ": is no run, and not empty")))
          << outcome.error;
      EXPECT_TRUE(holds(outcome.error, "choose another folder, or an empty one"));
    }
    auto after = list_folder(real_files(), program / folder);
    std::erase_if(after, [](const std::string& name) {  // of this test
      return name.starts_with("out.") || name.starts_with("error.");
    });
    EXPECT_TRUE(std::ranges::includes(before, after)) << folder;
    for (const char* name : {"lock", "status", "checkpoints"}) {
      EXPECT_EQ(exists(program / cat(folder, "/", name)),
                std::ranges::find(before, name) != before.end())
          << folder << " " << name;
    }
  }
  EXPECT_EQ(read_file(program / "mine/notes.txt"), "dear diary");
  EXPECT_EQ(read_file(program / "mine/log.txt"), "of another program");
  EXPECT_EQ(read_file(program / "locked/checkpoints/model.bin"), "weights");
  EXPECT_TRUE(exists(program / "runs/one/manifest.json"));
}

TEST_F(Runs, NotesInTheFolderOfARunOutliveIt) {
  const std::vector<std::string> all = {"run", "tiny.toml", "--folder",
                                        "one", "-q",        "train.steps=2"};
  ASSERT_EQ(program.run(all).code, 0);
  program.write("one/notes.txt", "a good one");
  std::vector<std::string> again = all;
  again.push_back("--again");
  ASSERT_EQ(program.run(again).code, 0);
  EXPECT_EQ(read_file(program / "one/notes.txt"), "a good one");
  EXPECT_EQ(metrics("one").size(), 2U);  // of training and of the evaluation
}

// Whatever a kill has left: before the manifest, or in the middle of clearing.
TEST_F(Runs, ARunThatWasKilledEarlyBegins) {
  for (const std::vector<std::string>& left :
       {std::vector<std::string>{},
        {"lock"},
        {"lock", "log.txt", "resolved.toml.tmp.12.0"},
        {"lock", "log.txt", "tokenizer.json", "tokenizer_config.json", "resolved.toml", "status"},
        {"lock", "metrics.jsonl", "samples.jsonl"}}) {
    remove_all(real_files(), program / "early");
    make_folders(real_files(), program / "early/checkpoints");
    for (const std::string& name : left) program.write("early/" + name, "");
    if (left.empty()) remove_all(real_files(), program / "early/checkpoints");
    if (exists(program / "early/status")) {
      program.write("early/status", R"({"state": "failed", "step": -1})");
    }
    const Outcome outcome =
        program.run({"run", "tiny.toml", "--folder", "early", "-q", "train.steps=2"});
    EXPECT_EQ(outcome.code, 0) << left.size() << " " << outcome.error;
    EXPECT_EQ(metrics("early").size(), 2U);  // of training and of the evaluation
  }
}

TEST_F(Runs, DamagedCheckpointsAreLeftLoudly) {
  std::vector<std::string> longer = words("hurt");
  longer.back() = "train.steps=100000";
  const Program::Child child = program.start(longer);
  wait_for("hurt", 60);
  kill(child.process, SIGTERM);
  ASSERT_EQ(Program::finish(child).code, 75);
  std::vector<std::string> steps = list_folder(real_files(), program / "hurt/checkpoints");
  std::erase_if(steps, [](const std::string& name) { return name.front() != '0'; });
  ASSERT_GE(steps.size(), 3U);
  const auto truncate = [&](const std::string& step) {
    const std::string file = program / ("hurt/checkpoints/" + step + "/weights.safetensors");
    filesystem::resize_file(file, filesystem::file_size(file) / 2);
  };
  truncate(steps.back());
  const Outcome written = program.run({"generate", "hurt", "2010", "--newest", "--greedy"});
  EXPECT_EQ(written.code, 0) << written.error;
  EXPECT_TRUE(holds(written.error, "warning: ")) << written.error;
  EXPECT_TRUE(holds(written.error, steps.back())) << written.error;
  for (const std::string& step : steps) {
    if (step != steps.back()) truncate(step);
  }
  for (const std::vector<std::string>& verb : std::vector<std::vector<std::string>>{
           {"generate", "hurt", "2010", "--newest"}, {"resume", "hurt"}}) {
    const Outcome none = program.run(verb);
    EXPECT_EQ(none.code, 1);
    EXPECT_TRUE(holds(none.error, "no checkpoint can be trusted")) << none.error;
    EXPECT_TRUE(holds(none.error, "weights.safetensors")) << none.error;
  }
}

TEST_F(Runs, TextIsWritten) {
  ASSERT_EQ(program.run({"run", "tiny.toml", "--folder", "run", "-q"}).code, 0);
  const Outcome streamed = program.run({"generate", "run", "2010", "--greedy", "--tokens", "4"});
  EXPECT_EQ(streamed.code, 0) << streamed.error;
  EXPECT_EQ(streamed.error, "");
  const Outcome json = program.run(
      {"generate", "run", "2010", "--greedy", "--tokens", "4", "--json", "--log-probabilities"});
  const Json line = Json::parse(json.out);
  EXPECT_EQ(streamed.out, "2010" + line.at("text").get<std::string>() + "\n");
  EXPECT_EQ(line.at("prompt"), "2010");
  EXPECT_EQ(line.at("tokens"), 4);
  EXPECT_EQ(line.at("reason"), "length");
  ASSERT_EQ(line.at("log_probabilities").size(), 4U);
  for (const Json& token : line.at("log_probabilities")) {
    EXPECT_LT(token.at("log_probability").get<double>(), 0);
    EXPECT_EQ(token.at("sampled_log_probability").get<double>(), 0);  // greedy: certain
  }
  const std::string text = line.at("text");
  const Json stopped = Json::parse(
      program.run({"generate", "run", "2010", "--greedy", "--json", "--stop", text.substr(1, 1)})
          .out);
  EXPECT_EQ(stopped.at("reason"), "stop");
  EXPECT_EQ(stopped.at("text"), text.substr(0, text.find(text[1])));
  // The same seed writes the same, another one something else within eight samples.
  const auto sampled = [&](const char* seed) {
    return program.run({"generate", "run", "2", "--samples", "8", "--seed", seed, "--json"}).out;
  };
  EXPECT_EQ(sampled("1"), sampled("1"));
  EXPECT_NE(sampled("1"), sampled("2"));
  const Outcome odd = program.run({"generate", "run", "20x0"});
  EXPECT_EQ(odd.code, 1);
  EXPECT_TRUE(holds(odd.error, "the character U+0078 'x' at line 1, column 3")) << odd.error;
}

}  // namespace
}  // namespace lathe::testing
