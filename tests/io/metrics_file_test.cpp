#include <gtest/gtest.h>
#include <lathe/base/error.h>
#include <lathe/io/metrics_file.h>

#include <cmath>
#include <limits>

#include "../base/faulty_files.h"
#include "../base/temporary_folder.h"

namespace lathe {
namespace {

using testing::error_of;
using testing::FaultyFiles;

constexpr double infinity = std::numeric_limits<double>::infinity();
const std::string path = "metrics.jsonl";

TEST(Metrics, LinesAreExact) {
  const std::vector<MetricValue> values = {{"loss", 0.1},       {"n", 5},
                                           {"a\"b", -infinity}, {"grad_norm", std::nan("")},
                                           {"big", infinity},   {"tiny", 5e-324}};
  EXPECT_EQ(metrics_line(12, values),
            R"({"step": 12, "loss": 0.1, "n": 5, "a\"b": "-Infinity", "grad_norm": "NaN", )"
            R"("big": "Infinity", "tiny": 5e-324})");
  EXPECT_THROW(metrics_line(1, std::vector<MetricValue>{{"step", 1}}), Error);
  EXPECT_THROW(metrics_line(1, std::vector<MetricValue>{{"a", 1}, {"a", 1}}), Error);
  EXPECT_THROW(metrics_line(1, std::vector<MetricValue>{{"\xff", 1}}), Error);
}

TEST(Metrics, ReadBackToTheLastBit) {
  FaultyFiles files;
  const double third = 1.0 / 3, odd = 0x1.fffffffffffffp+1023;
  {
    MetricsFile file(files, path);
    file.write(1, std::vector<MetricValue>{{"a", third}, {"b", -odd}, {"c", -0.0}});
    file.write(2, std::vector<MetricValue>{{"a", std::nan("")}, {"b", infinity}});
    file.write(3, {});
  }
  const std::vector<MetricsRow> rows = read_metrics(files, path);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].values[0], MetricValue("a", third));
  EXPECT_EQ(rows[0].values[1], MetricValue("b", -odd));
  EXPECT_TRUE(std::signbit(rows[0].values[2].second));
  EXPECT_TRUE(std::isnan(rows[1].values[0].second));
  EXPECT_EQ(rows[1].values[1].second, infinity);
  EXPECT_EQ(rows[2].step, 3);
  EXPECT_TRUE(rows[2].values.empty());
}

void write_steps(FaultyFiles& files, std::int64_t first, std::int64_t last,
                 std::optional<std::int64_t> keep_through = std::nullopt) {
  MetricsFile file(files, path, keep_through);
  for (std::int64_t step = first; step <= last; ++step) {
    file.write(step, std::vector<MetricValue>{{"x", static_cast<double>(step) / 10}});
  }
  file.sync();
}

TEST(Metrics, ResumingEqualsNeverHavingStopped) {
  FaultyFiles straight, resumed;
  write_steps(straight, 1, 9);
  write_steps(resumed, 1, 7);
  { File(resumed, path, OpenFor::appending).write("{\"step\": 8, \"x\""); }  // torn by a kill
  EXPECT_EQ(read_metrics(resumed, path).size(), 7u);
  write_steps(resumed, 6, 9, 5);
  EXPECT_EQ(resumed.content(path), straight.content(path));
  write_steps(resumed, 1, 0, 0);
  EXPECT_EQ(resumed.content(path), "");
}

TEST(Metrics, ATornLineGoesEvenWithoutAStep) {
  FaultyFiles files;
  write_steps(files, 1, 1);
  const std::string good = files.content(path);
  { File(files, path, OpenFor::appending).write("{\"st"); }
  { MetricsFile file(files, path); }
  EXPECT_EQ(files.content(path), good);
}

TEST(Metrics, CuttingBackSurvivesEveryCrash) {
  for (int n = 1;; ++n) {
    FaultyFiles files;
    write_steps(files, 1, 4);
    files.sync_folder(".");
    const std::string before = files.content(path);
    files.fail_at = files.operations + n;
    files.persistent = true;
    bool cut = true;
    try {
      MetricsFile file(files, path, 2);
    } catch (const Error&) {
      cut = false;
    }
    const bool finished = files.operations < files.fail_at;
    files.crash();
    const std::size_t rows = read_metrics(files, path).size();
    EXPECT_TRUE(rows == 2 || (rows == 4 && !cut)) << rows;
    if (finished) break;
  }
}

TEST(Metrics, ErrorsNameFileAndLine) {
  FaultyFiles files;
  const auto reads = [&](const std::string& text) {
    { File(files, path, OpenFor::writing).write(text); }
    return error_of([&] { read_metrics(files, path); });
  };
  EXPECT_EQ(reads("{\"step\": 1}\n{\"step\": 2,}\n").find("metrics.jsonl:2:12: "), 0u);
  EXPECT_EQ(reads("{\"x\": 1}\n").find("metrics.jsonl:1: expected an object"), 0u);
  EXPECT_EQ(reads("[]\n").find("metrics.jsonl:1: expected an object"), 0u);
  EXPECT_EQ(reads("{\"step\": 1, \"x\": null}\n").find("metrics.jsonl:1: \"x\" is null"), 0u);
}

}  // namespace
}  // namespace lathe
