// The one program that runs every check and measurement of the cuda backend, from its first line to
// its table and its file, with small sizes and a CPU backend in the place of the device.
#include <gtest/gtest.h>

#include <lathe/base/json.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/temporary_folder.h"

namespace lathe {
namespace {

struct Outcome {
  int code = -1;
  std::string table;
  Json json;
};

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// In the place of Python: what the peer's script would print.
Outcome run(const std::string& script, const std::string& arguments) {
  const testing::TemporaryFolder folder;
  std::ofstream(folder / "python") << "#!/bin/sh\n" << script;
  std::filesystem::permissions(folder / "python", std::filesystem::perms::owner_all);
  const std::string command = std::string("OMP_WAIT_POLICY=passive '") + LATHE_BENCH_CUDA +
                              "' --quick " + arguments + " --json '" + (folder / "found.json") +
                              "' --python '" + (folder / "python") + "' > '" + (folder / "table") +
                              "' 2> '" + (folder / "log") + "'";
  const int status = std::system(command.c_str());
  Outcome outcome{.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
                  .table = text_of(folder / "table"),
                  .json = {}};
  if (std::filesystem::exists(folder / "found.json")) {
    outcome.json = Json::parse(text_of(folder / "found.json"));
  }
  return outcome;
}

TEST(BenchCuda, RunsFromEndToEnd) {
  const Outcome outcome = run("echo '# torch 0'; echo 'train_eager 12.5 tokens/s'; echo \"$@\" >&2",
                              "--backend onednn");
  ASSERT_EQ(outcome.code, 0) << outcome.table;
  EXPECT_GT(outcome.json["seconds"], 0.0);
  EXPECT_EQ(outcome.table.substr(0, outcome.table.find('\n')), outcome.json["device"]);
  const std::map<std::string, std::string> units = {
      {"op results", "s"}, {"op bits", "s"},      {"product", "TFLOP/s"}, {"attention", "TFLOP/s"},
      {"adamw", "GB/s"},   {"train", "tokens/s"}, {"write", "tokens/s"},  {"torch", "tokens/s"}};
  std::map<std::string, int> groups;
  for (const Json& finding : outcome.json["findings"]) {
    const std::string group = finding["group"];
    ++groups[group];
    EXPECT_NE(outcome.table.find(finding["name"].get<std::string>()), std::string::npos);
    if (finding.contains("passed")) {
      EXPECT_TRUE(finding["passed"]) << finding;
    }
    if (finding.contains("value")) {
      EXPECT_GE(finding["value"], 0.0) << finding;
    }
    if (units.contains(group) && finding.contains("unit")) {
      EXPECT_EQ(finding["unit"], units.at(group)) << finding;
    }
    if (group == "train" || (group == "write" && finding.contains("value"))) {
      EXPECT_LT(finding["floor"], finding["target"]) << finding;
    }
  }
  const std::map<std::string, int> expected = {{"op results", 2}, {"op bits", 2},   {"losses", 4},
                                               {"product", 10},   {"attention", 2}, {"adamw", 1},
                                               {"train", 1},      {"write", 3},     {"torch", 1}};
  EXPECT_EQ(groups, expected);
  EXPECT_NE(outcome.table.find("8 of 8 checks passed"), std::string::npos) << outcome.table;
}

TEST(BenchCuda, SaysWhatIsMissing) {
  const Outcome outcome = run("exit 3", "--checks --backend nowhere");
  EXPECT_EQ(outcome.code, 77);
  EXPECT_EQ(outcome.table.substr(0, 11), "no device: ") << outcome.table;
  EXPECT_TRUE(outcome.json.is_null());
}

}  // namespace
}  // namespace lathe
