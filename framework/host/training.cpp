// lathe run, lathe resume: train.
#include <lathe/base/log.h>
#include <lathe/host/verb.h>
#include <lathe/host/watch.h>
#include <lathe/run/manifest.h>
#include <lathe/run/run.h>

#include <cstdio>
#include <nlohmann/json.hpp>

namespace lathe {
namespace {
namespace po = boost::program_options;

void print_result(const RunResult& result, const Arguments& arguments) {
  if (arguments.has("json")) {
    nlohmann::json values = nlohmann::json::object();
    for (const auto& [name, value] : result.values) values[name] = value;
    const nlohmann::json line = {
        {"run", result.folder.string()}, {"step", result.step}, {"evaluation", values}};
    std::printf("%s\n", line.dump().c_str());
  } else {
    std::printf("%s\n", result.folder.c_str());
  }
}

int finish(const RunResult& result, const Arguments& arguments) {
  switch (result.end) {
    case RunResult::End::already_finished:
      log_info("this run is finished already: --again does it anew");
      break;
    case RunResult::End::interrupted:
      log_info("stopped at step ", result.step, " and saved; go on with: lathe resume ",
               result.folder.string());
      return exit_interrupted;
    case RunResult::End::finished:
    case RunResult::End::early_stop:
      break;
  }
  print_result(result, arguments);
  return exit_done;
}

void declare_run(po::options_description& options) {
  options.add_options()("again", "do a finished run anew")("folder", po::value<std::string>(),
                                                           "keep the run in this folder")(
      "locked", po::value<std::string>(),
      "refuse another program, plugin or data file than this run (or manifest) was made with")(
      "watch", "build plugins again when their sources change, and go on with them")(
      "adopt", "go on with the run in --folder though its plugins or configuration have changed");
}

// A folder that was named by hand may hold another experiment's run.
void demand_same(const Experiment& experiment, const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / "manifest.json")) return;
  const ManifestNotes notes = read_manifest(folder);
  if (notes.identity == experiment.identity()) return;
  fail(folder.string(), ": holds a run of another configuration ('", notes.experiment,
       "'). Choose another --folder, or --again to replace it");
}

int run_experiment(const Arguments& arguments, Registry& registry) {
  const std::string& file = arguments.word(0, "experiment file");
  const std::vector<std::string> changes(arguments.words.begin() + 1, arguments.words.end());
  const Experiment experiment(file, changes, registry);
  if (arguments.has("watch")) return watch(arguments, experiment, registry);
  RunRequest request{.arguments = arguments.all,
                     .folder = {},
                     .work_folder = std::filesystem::current_path(),
                     .again = arguments.has("again"),
                     .locked = arguments.has("locked") ? arguments.text("locked") : "",
                     .progress = arguments.progress()};
  if (arguments.has("folder")) {
    request.folder = arguments.text("folder");
    if (!request.again && !arguments.has("adopt")) demand_same(experiment, request.folder);
  }
  return finish(run(experiment, registry, request), arguments);
}

void declare_resume(po::options_description& options) {
  options.add_options()("locked",
                        "refuse another program, plugin or data file than the run began with");
}

int resume(const Arguments& arguments, Registry& registry) {
  const std::filesystem::path folder = arguments.word(0, "run folder");
  if (!std::filesystem::exists(folder / "resolved.toml")) {
    fail(folder.string(), ": is not a run (it has no resolved.toml)");
  }
  const std::vector<std::string> changes(arguments.words.begin() + 1, arguments.words.end());
  const ManifestNotes notes = read_manifest(folder);
  const Experiment experiment(folder / "resolved.toml", changes, registry, notes.experiment);
  return finish(run(experiment, registry,
                    {.arguments = arguments.all,
                     .folder = folder,
                     .work_folder = notes.work_folder,
                     .again = false,
                     .locked = arguments.has("locked") ? folder : std::filesystem::path(),
                     .progress = arguments.progress()}),
                arguments);
}
}  // namespace

const Verb run_verb{"run", "FILE [key=value ...]", "train as an experiment file says", declare_run,
                    run_experiment};
const Verb resume_verb{"resume", "RUN", "go on with a run that was stopped or killed",
                       declare_resume, resume};

}  // namespace lathe
