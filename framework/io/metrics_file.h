// metrics.jsonl: every number a run reports, one JSON object a line, in full precision.
//
//   {"step": 12, "loss": 2.302585092994046, "grad_norm": "NaN"}
//
// A number that is not finite is written as one of the strings "NaN", "Infinity", "-Infinity",
// because JSON has none and a gap or a zero would hide it.
#pragma once

#include <lathe/base/file.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace lathe {

using MetricValue = std::pair<std::string, double>;

struct MetricsRow {
  std::int64_t step = 0;
  std::vector<MetricValue> values;
};

// The line, without its line feed. Numbers are the shortest that read back as the same double.
// Errors: the name "step", a name twice, a name that is not UTF-8.
std::string metrics_line(std::int64_t step, std::span<const MetricValue> values);

class MetricsFile {
 public:
  // Opens for appending. A last line without its line feed (of a killed run) is cut off. With
  // `keep_through`, rows of later steps are dropped first, because a run that goes on from a
  // checkpoint will write them again; the rest is rewritten durably.
  MetricsFile(FileSystem& files, const std::string& path,
              std::optional<std::int64_t> keep_through = std::nullopt);

  // One line in one write, so that a kill leaves whole lines.
  void write(std::int64_t step, std::span<const MetricValue> values);
  void sync() { file_.sync(); }

 private:
  File file_;
};

// What MetricsFile does when it opens, for any file of JSON lines that have a "step"; an absent
// file stays absent.
void trim_rows(FileSystem& files, const std::string& path,
               std::optional<std::int64_t> keep_through);

// All rows in the order of the file; values sorted by name. An incomplete last line is left out,
// anything else that is not such a row is an Error naming file and line.
std::vector<MetricsRow> read_metrics(FileSystem& files, const std::string& path);

}  // namespace lathe
