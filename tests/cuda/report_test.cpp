// The table of bench_cuda: verdicts, layout, exit codes, and what it takes from a peer's output.
#include <gtest/gtest.h>

#include <lathe/base/json.h>

#include "bench/cuda/report.h"

namespace lathe::bench {
namespace {

Finding speed(double value) {
  return {.group = "train",
          .name = "GPT-2",
          .value = value,
          .unit = "tokens/s",
          .floor = 420e3,
          .target = 520e3};
}

TEST(Verdict, ComparesWithFloorAndTarget) {
  EXPECT_EQ(verdict(speed(419999)), "below");
  EXPECT_EQ(verdict(speed(420000)), "floor");
  EXPECT_EQ(verdict(speed(519999)), "floor");
  EXPECT_EQ(verdict(speed(520000)), "target");
  EXPECT_EQ(verdict({.group = "product", .name = "x", .value = 3, .unit = "TFLOP/s"}), "");
  EXPECT_EQ(verdict({.group = "op", .name = "copy", .passed = true}), "pass");
  EXPECT_EQ(verdict({.group = "op", .name = "copy", .passed = false}), "FAIL");
}

Report example() {
  return {.device = "a device",
          .seconds = 12.4,
          .findings = {{.group = "op", .name = "copy", .passed = true, .value = 0.25, .unit = "s"},
                       {.group = "op", .name = "fill", .passed = false, .note = "1 failure"},
                       speed(431250)}};
}

TEST(Table, AlignsItsColumns) {
  EXPECT_EQ(example().table(),
            "a device\n"
            "       what    value  unit      floor / target          note\n"
            "op     copy     0.25  s                          pass\n"
            "op     fill                                      FAIL   1 failure\n"
            "train  GPT-2  431250  tokens/s  420000 / 520000  floor\n"
            "1 of 2 checks passed, 12 seconds\n");
}

TEST(Table, ShortensNumbers) {
  const auto shown = [](double value) {
    const Report report{.device = "",
                        .seconds = 0,
                        .findings = {{.group = "g", .name = "n", .value = value, .unit = "zz"}}};
    const std::string text = report.table();
    const std::size_t end = text.find("  zz");
    return text.substr(text.rfind(' ', end - 1) + 1, end - text.rfind(' ', end - 1) - 1);
  };
  EXPECT_EQ(shown(1234.5678), "1235");
  EXPECT_EQ(shown(0.012345), "0.01235");
  EXPECT_EQ(shown(431250.4), "431250");
  EXPECT_EQ(shown(1.5e-7), "1.50e-07");
  EXPECT_EQ(shown(0), "0");
  EXPECT_EQ(shown(2e12), "2.000e+12");
}

TEST(ExitCode, IsOneOnlyForFailedChecks) {
  EXPECT_EQ(example().exit_code(), 1);
  Report slow{.device = "", .seconds = 0, .findings = {speed(1)}};
  EXPECT_EQ(slow.exit_code(), 0) << "a missed goal is a result";
  slow.findings.push_back({.group = "op", .name = "copy", .passed = true});
  EXPECT_EQ(slow.exit_code(), 0);
}

TEST(JsonReport, HoldsWhatWasFound) {
  const Json all = Json::parse(example().json());
  EXPECT_EQ(all["device"], "a device");
  ASSERT_EQ(all["findings"].size(), 3u);
  EXPECT_EQ(all["findings"][0]["passed"], true);
  EXPECT_EQ(all["findings"][0]["value"], 0.25);
  EXPECT_FALSE(all["findings"][1].contains("value"));
  EXPECT_EQ(all["findings"][1]["note"], "1 failure");
  EXPECT_FALSE(all["findings"][2].contains("passed"));
  EXPECT_EQ(all["findings"][2]["target"], 520e3);
}

TEST(Peer, IsReadLineByLine) {
  const auto line = parse_peer("torch", "train_compiled 401234.5 tokens/s");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->group, "torch");
  EXPECT_EQ(line->name, "train_compiled");
  EXPECT_EQ(line->value, 401234.5);
  EXPECT_EQ(line->unit, "tokens/s");
  EXPECT_FALSE(parse_peer("torch", "# torch 2.15"));
  EXPECT_FALSE(parse_peer("torch", "train fast tokens/s"));
  EXPECT_FALSE(parse_peer("torch", "train 1 tokens/s and more"));
  EXPECT_FALSE(parse_peer("torch", ""));
}

}  // namespace
}  // namespace lathe::bench
