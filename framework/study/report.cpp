// The report of a sweep: its cells and groups as text and as JSON.
#include <lathe/base/json.h>
#include <lathe/study/sweep.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

namespace lathe {
namespace {
std::string number_text(double value) {
  if (std::isnan(value)) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.5g", value);
  return text;
}

// JSON has no NaN: null.
Json number_json(double value) { return std::isfinite(value) ? Json(value) : Json(); }

// The numbers of an estimate; NaN where the seeds are too few for one.
struct Shown {
  static constexpr double nothing = std::numeric_limits<double>::quiet_NaN();
  std::int64_t n = 0;
  double mean = nothing, deviation = nothing, low = nothing, high = nothing;

  explicit Shown(const std::optional<MeanEstimate>& estimate) {
    if (!estimate) return;
    n = estimate->n;
    mean = estimate->mean;
    if (!estimate->interval) return;
    deviation = estimate->deviation;
    low = estimate->interval->low;
    high = estimate->interval->high;
  }
};

std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;  // a character's first byte
  }));
}

std::vector<Report::Group> grouped(const Report& report) {
  std::vector<Report::Group> groups;
  std::vector<std::map<std::string, std::vector<double>>> values;
  for (const Report::Row& row : report.rows) {
    if (groups.empty() || groups.back().name != row.cell->group) {
      groups.push_back({row.cell->group, 0, {}});
      values.emplace_back();
    }
    ++groups.back().cells;
    for (const auto& [metric, value] : row.values) values.back()[metric].push_back(value);
  }
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (const std::string& metric : report.metrics) {
      const std::vector<double>& seeds = values[g][metric];
      groups[g].metrics[metric] =
          seeds.empty() ? std::nullopt : std::optional(mean_estimate(seeds));
    }
  }
  return groups;
}
}  // namespace

std::string table_text(const std::vector<std::vector<std::string>>& rows, std::size_t left) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width_of(row[c]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string gap(widths[c] - width_of(row[c]), ' ');
      line += cat(c == 0 ? "" : "  ", c < left ? row[c] + gap : gap + row[c]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

Report report_of(const Plan& plan, Registry& registry) {
  Report report{.metrics = plan.settings.metrics, .rows = {}, .groups = {}, .complaints = {}};
  for (const Cell& cell : plan.cells) {
    report.rows.push_back({&cell, state_of(cell, registry), {}});
  }
  for (const Report::Row& row : report.rows) {
    if (report.metrics.empty() && row.state.done()) report.metrics = {usual_metric(*row.cell)};
  }
  for (Report::Row& row : report.rows) {
    for (const std::string& metric : report.metrics) {
      try {
        if (row.state.done()) row.values[metric] = value_of(*row.cell, metric, plan.settings.take);
      } catch (const Error& error) {
        report.complaints.emplace_back(error.what());
      }
    }
  }
  report.groups = grouped(report);
  return report;
}

std::string Report::to_text() const {
  std::vector<std::vector<std::string>> table = {{"cell", "seed", "state", "step"}};
  table[0].insert(table[0].end(), metrics.begin(), metrics.end());
  for (const Row& row : rows) {
    const std::string state =
        row.state.drift.empty() ? row.state.text : row.state.text + " (stale)";
    table.push_back({row.cell->group, cat(row.cell->seed), state, cat(row.state.step)});
    for (const std::string& metric : metrics) {
      const auto found = row.values.find(metric);
      table.back().push_back(found == row.values.end() ? "-" : number_text(found->second));
    }
  }
  std::string text = table_text(table, 1);
  for (const std::string& metric : metrics) {
    table = {{metric, "n", "mean", "deviation", "95 % from", "to"}};
    for (const Group& group : groups) {
      const Shown shown(group.metrics.at(metric));
      table.push_back({group.name, cat(shown.n, "/", group.cells), number_text(shown.mean),
                       number_text(shown.deviation), number_text(shown.low),
                       number_text(shown.high)});
    }
    text += "\n" + table_text(table, 1);
  }
  return text;
}

std::string Report::to_json(const Plan& plan) const {
  Json cells = Json::array();
  for (const Row& row : rows) {
    Json values = Json::object();
    for (const auto& [metric, value] : row.values) values[metric] = number_json(value);
    cells.push_back({{"group", row.cell->group},
                     {"set", Json::parse(row.cell->set.to_json())},
                     {"seed", row.cell->seed},
                     {"run", row.cell->stages.folder.string()},
                     {"state", row.state.text},
                     {"step", row.state.step},
                     {"drift", row.state.drift},
                     {"metrics", values}});
  }
  Json all = Json::array();
  for (const Group& group : groups) {
    Json values = Json::object();
    for (const auto& [metric, estimate] : group.metrics) {
      const Shown shown(estimate);
      values[metric] = {{"n", shown.n},
                        {"mean", number_json(shown.mean)},
                        {"deviation", number_json(shown.deviation)},
                        {"low", number_json(shown.low)},
                        {"high", number_json(shown.high)}};
    }
    all.push_back({{"group", group.name}, {"cells", group.cells}, {"metrics", values}});
  }
  const Json report = {{"format", 1},        {"plan", (plan.folder / "plan.json").string()},
                       {"metrics", metrics}, {"take", plan.settings.take},
                       {"cells", cells},     {"groups", all}};
  return report.dump(2);
}

}  // namespace lathe
