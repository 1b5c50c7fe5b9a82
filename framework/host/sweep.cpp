// lathe sweep: an experiment with all seeds, variants and values that its [sweep] names.
#include <lathe/base/clock.h>
#include <lathe/base/file.h>
#include <lathe/base/lock.h>
#include <lathe/base/log.h>
#include <lathe/base/process.h>
#include <lathe/base/signal.h>
#include <lathe/host/verb.h>
#include <lathe/study/sweep.h>

#include <algorithm>
#include <cstdio>

namespace lathe {
namespace {
namespace po = boost::program_options;
using Words = std::vector<std::string>;

void declare(po::options_description& options) {
  options.add_options()("metric", po::value<Words>()->composing(),
                        "compare this metric (may be given several times), whatever the file says")(
      "plan", "show the cells as they stand, and run none")("again", "do finished cells anew")(
      "fail-fast", "begin no further cell once one has failed");
}

struct Tally {
  std::size_t ended = 0, failed = 0, interrupted = 0;
};

// What each cell is started with besides its file and folder.
Words options_of_cells(const Arguments& arguments) {
  Words words;
  if (arguments.has("again")) words.push_back("--again");
  if (arguments.has("plugin-path")) {
    for (const std::string& folder : arguments.options["plugin-path"].as<Words>()) {
      words.insert(words.end(), {"--plugin-path", std::filesystem::absolute(folder).string()});
    }
  }
  return words;
}

std::string end_text(const JobEnd& end) {
  if (!end.begun) return "was not begun";
  const std::string time = cat(" after ", duration_text(end.seconds));
  if (end.code == exit_done) return "is done" + time;
  if (end.code == exit_interrupted) return "was stopped and saved" + time;
  return cat("failed with code ", end.code, time);
}

// The end of a log, where an error stands.
std::string last_line(const std::filesystem::path& log) {
  std::string text = exists(log.string()) ? read_file(log.string()) : std::string();
  text.erase(text.find_last_not_of('\n') + 1);
  return text.substr(text.rfind('\n') + 1);  // npos + 1 is 0
}

Tally launch(const Plan& plan, const std::vector<const Cell*>& cells, const Arguments& arguments,
             Registry& registry) {
  const auto launcher = registry.create<Launcher>(plan.launcher, plan.launcher_options);
  const std::vector<Job> jobs = jobs_of(cells, own_program().string(), options_of_cells(arguments));
  const StopRequest stop;
  const bool fail_fast = arguments.has("fail-fast");
  Tally tally;
  launcher->run({.jobs = jobs,
                 .began = [&](std::size_t job) { log_info("cell ", jobs[job].name, " begins"); },
                 .ended =
                     [&](std::size_t job, const JobEnd& end) {
                       ++tally.ended;
                       const std::string text = cat(tally.ended, " of ", jobs.size(), ": cell ",
                                                    jobs[job].name, " ", end_text(end));
                       if (!end.begun || end.code == exit_interrupted) {
                         ++tally.interrupted;
                       } else if (end.code != exit_done) {
                         ++tally.failed;
                         log_error(text, ": ", last_line(jobs[job].log), "\n  ",
                                   jobs[job].log.string());
                         return;
                       }
                       log_info(text);
                     },
                 .stopping = [&] { return stop.requested() || (fail_fast && tally.failed > 0); }});
  return tally;
}

std::vector<const Cell*> unfinished(const Plan& plan, bool again, Registry& registry) {
  std::vector<const Cell*> cells;
  for (const Cell& cell : plan.cells) {
    if (again || !state_of(cell, registry).done()) cells.push_back(&cell);
  }
  return cells;
}

void warn_of_stale(const Report& report) {
  std::size_t stale = 0;
  std::string first;
  for (const Report::Row& row : report.rows) {
    if (row.state.drift.empty()) continue;
    ++stale;
    if (first.empty()) first = row.state.drift.front();
  }
  if (stale == 0) return;
  log_warning(stale, " of the finished cells are stale: made with other code than this. ", first,
              ". --again does them anew");
}

// Whether all cells are finished and none has some metric: its name must be wrong.
bool lacks_metric(const Report& report) {
  const auto has = [&](const std::string& metric) {
    return std::any_of(report.rows.begin(), report.rows.end(), [&](const Report::Row& row) {
      return !row.state.done() || row.values.contains(metric);
    });
  };
  return !std::all_of(report.metrics.begin(), report.metrics.end(), has);
}

int sweep(const Arguments& arguments, Registry& registry) {
  const std::string& file = arguments.word(0, "experiment file");
  const Words changes(arguments.words.begin() + 1, arguments.words.end());
  Plan plan = make_plan(file, changes, registry);
  warn_of_overridden(compose(file, changes));
  if (arguments.has("metric")) plan.settings.metrics = arguments.options["metric"].as<Words>();
  Tally tally;
  if (!arguments.has("plan")) {
    make_folders(real_files(), plan.folder.string());
    const FolderLock lock(plan.folder, "sweep");
    plan.write(arguments.all);
    const auto cells = unfinished(plan, arguments.has("again"), registry);
    log_info("sweep ", plan.folder.string(), ": ", plan.cells.size(), " cells, ",
             plan.cells.size() - cells.size(), " done already; launcher '", plan.launcher, "'");
    if (!cells.empty()) tally = launch(plan, cells, arguments, registry);
  }
  const Report report = report_of(plan, registry);
  for (const std::string& complaint : report.complaints) log_warning(complaint);
  warn_of_stale(report);
  std::printf("%s", arguments.has("json") ? (report.to_json(plan) + "\n").c_str()
                                          : report.to_text().c_str());
  if (tally.failed > 0 || lacks_metric(report)) return exit_failed;
  return tally.interrupted > 0 ? exit_interrupted : exit_done;
}
}  // namespace

const Verb sweep_verb{"sweep", "FILE [key=value ...]",
                      "run an experiment in all the forms that its [sweep] names", declare, sweep};

}  // namespace lathe
