#include "report.h"

#include <lathe/base/json.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>

namespace lathe::bench {
namespace {
// Four digits, without an exponent where that stays readable.
std::string number(double value) {
  char text[64];
  const double size = std::abs(value);
  const char* form = size == 0 || (size >= 1e-3 && size < 1e4) ? "%.4g"
                     : size < 1e9                              ? "%.0f"
                                                               : "%.3e";
  if (size != 0 && size < 1e-3) form = "%.2e";
  std::snprintf(text, sizeof text, form, value);
  return text;
}

std::vector<std::string> cells(const Finding& finding) {
  return {finding.group,
          finding.name,
          finding.unit.empty() ? "" : number(finding.value),
          finding.unit,
          finding.floor > 0 ? number(finding.floor) + " / " + number(finding.target) : "",
          verdict(finding),
          finding.note};
}
}  // namespace

std::string verdict(const Finding& finding) {
  if (finding.passed) return *finding.passed ? "pass" : "FAIL";
  if (finding.floor <= 0) return "";
  if (finding.value >= finding.target) return "target";
  return finding.value >= finding.floor ? "floor" : "below";
}

std::string Report::table() const {
  std::vector<std::vector<std::string>> lines{
      {"", "what", "value", "unit", "floor / target", "", "note"}};
  for (const Finding& finding : findings) lines.push_back(cells(finding));
  std::vector<std::size_t> widths(lines[0].size(), 0);
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string text = device + "\n";
  for (const auto& line : lines) {
    std::string row;
    for (std::size_t i = 0; i < line.size(); ++i) {
      const std::string gap(widths[i] - line[i].size(), ' ');
      row += (i == 2 ? gap + line[i] : line[i] + gap) + "  ";
    }
    row.erase(row.find_last_not_of(' ') + 1);
    text += row + "\n";
  }
  std::size_t checks = 0, failed = 0;
  for (const Finding& finding : findings) {
    if (!finding.passed) continue;
    ++checks;
    if (!*finding.passed) ++failed;
  }
  char last[128];
  std::snprintf(last, sizeof last, "%zu of %zu checks passed, %.0f seconds\n", checks - failed,
                checks, seconds);
  return text + last;
}

std::string Report::json() const {
  Json all;
  all["device"] = device;
  all["seconds"] = seconds;
  all["findings"] = Json::array();
  for (const Finding& finding : findings) {
    Json one{{"group", finding.group}, {"name", finding.name}};
    if (finding.passed) one["passed"] = *finding.passed;
    if (!finding.unit.empty()) {
      one["value"] = finding.value;
      one["unit"] = finding.unit;
    }
    if (finding.floor > 0) {
      one["floor"] = finding.floor;
      one["target"] = finding.target;
    }
    if (!finding.note.empty()) one["note"] = finding.note;
    all["findings"].push_back(one);
  }
  // Messages of drivers and libraries may hold anything.
  return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

int Report::exit_code() const {
  const auto failed = [](const Finding& finding) { return finding.passed && !*finding.passed; };
  return std::any_of(findings.begin(), findings.end(), failed) ? 1 : 0;
}

std::optional<Finding> parse_peer(const std::string& group, const std::string& line) {
  std::istringstream words(line);
  Finding finding{.group = group, .name = {}};
  std::string rest;
  if (!(words >> finding.name >> finding.value >> finding.unit) || words >> rest) return {};
  return finding;
}

}  // namespace lathe::bench
