#include <lathe/base/error.h>
#include <lathe/base/json.h>
#include <lathe/io/metrics_file.h>

#include <cmath>
#include <limits>
#include <set>

namespace lathe {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

std::string number(double value) {
  if (std::isnan(value)) return "\"NaN\"";
  if (std::isinf(value)) return value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  if (value == 0 && std::signbit(value)) return "-0.0";  // "-0" would be read as an integer
  return cat(value);
}

std::string quoted(const std::string& name) {
  try {
    return Json(name).dump();
  } catch (const Json::type_error&) {
    fail("metrics: a name is not UTF-8");
  }
}

double parsed(const Json& value, const std::string& where) {
  if (value.is_number()) return value.get<double>();
  if (value == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (value == "Infinity") return infinity;
  if (value == "-Infinity") return -infinity;
  fail(where, " is ", value.dump(), R"(; expected a number, "NaN", "Infinity" or "-Infinity")");
}

std::int64_t step_of(const Json& json, const std::string& path, std::uint64_t line_number) {
  const auto step = json.is_object() ? json.find("step") : json.end();
  if (step == json.end() || !step->is_number_integer()) {
    fail(path, ":", line_number, ": expected an object with an integer \"step\"");
  }
  return step->get<std::int64_t>();
}

MetricsRow parse_row(std::string_view line, const std::string& path, std::uint64_t line_number) {
  const Json json = parse_json_line(line, path, line_number);
  MetricsRow row;
  row.step = step_of(json, path, line_number);
  for (const auto& [name, value] : json.items()) {
    if (name == "step") continue;
    row.values.emplace_back(name, parsed(value, cat(path, ":", line_number, ": \"", name, "\"")));
  }
  return row;
}

// Calls with each complete line (without its line feed) and its number.
template <class Visit>
void each_line(std::string_view text, Visit visit) {
  for (std::uint64_t number = 1;; ++number) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return;
    visit(text.substr(0, end), number);
    text.remove_prefix(end + 1);
  }
}

// The path itself, after what may not stay in the file is gone from it.
const std::string& prepared(FileSystem& files, const std::string& path,
                            std::optional<std::int64_t> keep_through) {
  trim_rows(files, path, keep_through);
  return path;
}

}  // namespace

void trim_rows(FileSystem& files, const std::string& path,
               std::optional<std::int64_t> keep_through) {
  if (!exists(files, path)) return;
  const std::string text = read_file(files, path);
  std::string kept;
  each_line(text, [&](std::string_view line, std::uint64_t number) {
    if (keep_through && step_of(parse_json_line(line, path, number), path, number) > *keep_through)
      return;
    kept += line;
    kept += '\n';
  });
  if (kept != text) write_durably(files, path, kept);
}

std::string metrics_line(std::int64_t step, std::span<const MetricValue> values) {
  std::string line = cat("{\"step\": ", step);
  std::set<std::string_view> names{"step"};
  for (const auto& [name, value] : values) {
    if (!names.insert(name).second) fail("metrics: the name \"", name, "\" is taken");
    line += cat(", ", quoted(name), ": ", number(value));
  }
  return line + "}";
}

MetricsFile::MetricsFile(FileSystem& files, const std::string& path,
                         std::optional<std::int64_t> keep_through)
    : file_(files, prepared(files, path, keep_through), OpenFor::appending) {}

void MetricsFile::write(std::int64_t step, std::span<const MetricValue> values) {
  file_.write(metrics_line(step, values) + "\n");
}

std::vector<MetricsRow> read_metrics(FileSystem& files, const std::string& path) {
  std::vector<MetricsRow> rows;
  each_line(read_file(files, path), [&](std::string_view line, std::uint64_t line_number) {
    rows.push_back(parse_row(line, path, line_number));
  });
  return rows;
}

}  // namespace lathe
