#include <lathe/study/sweep.h>

#include <lathe/base/file.h>
#include <lathe/config/nearest.h>
#include <lathe/io/metrics_file.h>
#include <lathe/run/manifest.h>
#include <lathe/run/pins.h>

#include <algorithm>
#include <limits>
#include <set>

namespace lathe {
namespace filesystem = std::filesystem;

namespace {
filesystem::path folder_of(const Cell& cell, const Stage& stage) {
  return stage.name.empty() ? cell.stages.folder : cell.stages.folder / stage.name;
}

// The run whose metrics are the cell's.
filesystem::path last_folder(const Cell& cell) { return folder_of(cell, cell.stages.all.back()); }
}  // namespace

CellState state_of(const Cell& cell, Registry& registry) {
  CellState state{.text = "waiting", .step = 0, .drift = {}};
  bool all_done = true;
  for (const Stage& stage : cell.stages.all) {
    const filesystem::path folder = folder_of(cell, stage);
    const RunStatus status = read_status(folder);
    if (status.state.empty()) {
      all_done = false;
      break;
    }
    state.step = status.step;
    // A run that was killed still says that it runs.
    state.text = status.state == "running" ? "begun" : status.state;
    all_done = all_done && status.state == "done";
    if (!all_done) break;
    std::vector<std::string> sentences =
        drift(pins_of(folder, true), code_pins(stage.experiment, registry));
    state.drift.insert(state.drift.end(), sentences.begin(), sentences.end());
  }
  if (state.text == "done" && !all_done) state.text = "begun";  // the next stage has not
  return state;
}

std::vector<Job> jobs_of(const std::vector<const Cell*>& cells, const std::string& program,
                         const std::vector<std::string>& options) {
  const filesystem::path here = filesystem::current_path();
  std::vector<Job> jobs;
  for (const Cell* cell : cells) {
    Job job{
        .name = cell->name(),
        .command = {program, "run", cell->file.string(), "--folder", cell->stages.folder.string()},
        .folder = here,
        .log = filesystem::absolute(cell->log)};
    job.command.insert(job.command.end(), options.begin(), options.end());
    jobs.push_back(std::move(job));
  }
  return jobs;
}

double value_of(const Cell& cell, const std::string& metric, const std::string& take) {
  const filesystem::path file = last_folder(cell) / "metrics.jsonl";
  std::vector<double> values;
  std::set<std::string> known;
  for (const MetricsRow& row : read_metrics(real_files(), file.string())) {
    for (const auto& [name, value] : row.values) {
      if (name == metric) values.push_back(value);
      known.insert(name);
    }
  }
  if (values.empty()) {
    fail(file.string(), ": has no metric '", metric, "'.",
         suggestion(metric, {known.begin(), known.end()}));
  }
  if (take == "min") return *std::min_element(values.begin(), values.end());
  if (take == "max") return *std::max_element(values.begin(), values.end());
  if (take == "mean") return mean_estimate(values).mean;
  return values.back();
}

std::string usual_metric(const Cell& cell) {
  const EvaluateSettings settings(cell.stages.all.back().experiment.table("evaluate"));
  if (settings.best != "auto") return "eval/" + settings.best;
  const filesystem::path file = last_folder(cell) / "metrics.jsonl";
  for (const MetricsRow& row : read_metrics(real_files(), file.string())) {
    for (const auto& [name, value] : row.values) {
      if (name == "eval/return") return name;
    }
  }
  return "eval/loss";
}

}  // namespace lathe
