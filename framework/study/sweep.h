// Runs the cells of a plan, and tells what came of them.
#pragma once

#include <lathe/study/launcher.h>
#include <lathe/study/plan.h>
#include <lathe/study/statistics.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lathe {

// What is there of a cell.
struct CellState {
  std::string text;  // "done", "interrupted", "failed", "begun", "waiting"
  std::int64_t step = 0;
  // Of a finished cell: what has changed since of the program, its plugins or data files that are
  // plugins' own. Such a cell is told of, and counts, until it is done --again.
  std::vector<std::string> drift;

  bool done() const { return text == "done"; }
};
CellState state_of(const Cell& cell, Registry& registry);

// The jobs of these cells: `program run FILE --folder ...` in this working folder.
std::vector<Job> jobs_of(const std::vector<const Cell*>& cells, const std::string& program,
                         const std::vector<std::string>& options);

// A metric of a finished cell: the last of its values, or what [sweep] take says. An Error where
// the run has no such metric; it names the nearest.
double value_of(const Cell& cell, const std::string& metric, const std::string& take);

// What is compared where nobody says: what chooses the best checkpoint, of a finished cell.
std::string usual_metric(const Cell& cell);

// Rows of text in columns; the first row is the heading. Columns after the first `left` are aligned
// at their right ends.
std::string table_text(const std::vector<std::vector<std::string>>& rows, std::size_t left);

// The cells of a plan as they stand now, with their metrics.
struct Report {
  struct Row {
    const Cell* cell = nullptr;
    CellState state;
    std::map<std::string, double> values;  // by metric, of a finished cell
  };
  struct Group {
    std::string name;
    std::int64_t cells = 0;
    // Over the seeds that are done; none where no seed is.
    std::map<std::string, std::optional<MeanEstimate>> metrics;
  };
  std::vector<std::string> metrics;
  std::vector<Row> rows;
  std::vector<Group> groups;            // in the order of the plan
  std::vector<std::string> complaints;  // metrics that a finished run does not have

  std::string to_text() const;
  std::string to_json(const Plan& plan) const;
};
Report report_of(const Plan& plan, Registry& registry);

}  // namespace lathe
