// lathe run, lathe resume: train.
#include <lathe/base/file.h>
#include <lathe/base/log.h>
#include <lathe/host/verb.h>
#include <lathe/host/watch.h>
#include <lathe/run/manifest.h>
#include <lathe/run/pins.h>
#include <lathe/run/run.h>
#include <lathe/run/run_folder.h>
#include <lathe/run/stages.h>

#include <algorithm>
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

// A folder of stages holds their file, and one of them unless it was killed at once.
void demand_stages_folder(const Stages& stages, const std::filesystem::path& folder) {
  if (exists(folder.string())) {
    const std::vector<std::string> names = list_folder(real_files(), folder.string());
    const bool alone = std::ranges::all_of(
        names, [](const std::string& name) { return name.starts_with(stages_file); });
    const bool begun = exists((folder / stages_file).string()) &&
                       std::ranges::any_of(stages.all, [&](const Stage& stage) {
                         return exists((folder / stage.name).string());
                       });
    if (!alone && !begun) {
      fail(folder.string(), ": holds no run of these stages, and is not empty (it holds '",
           names.front(), "'); choose another folder, or an empty one");
    }
  }
  for (const Stage& stage : stages.all) demand_run_folder(folder / stage.name);
}

// One stage after the other; those that are done already are passed over.
int run_stages(const Stages& stages, const std::filesystem::path& folder, RunRequest request,
               const Arguments& arguments, Registry& registry) {
  if (!stages.all.front().name.empty()) {
    demand_stages_folder(stages, folder);
    make_folders(real_files(), folder.string());
    write_durably((folder / stages_file).string(), stages.config.to_toml());
  }
  const std::filesystem::path locked = request.locked;
  for (std::size_t i = 0; i < stages.all.size(); ++i) {
    const Stage& stage = stages.all[i];
    request.folder = stage.name.empty() ? folder : folder / stage.name;
    if (!stage.name.empty()) {
      log_info("stage ", i + 1, " of ", stages.all.size(), ": ", stage.name);
      if (!locked.empty()) request.locked = locked / stage.name;
    }
    const int code = finish(run(stage.experiment, registry, request), arguments);
    if (code != exit_done) return code;
  }
  return exit_done;
}

int run_experiment(const Arguments& arguments, Registry& registry) {
  const std::string& file = arguments.word(0, "experiment file");
  const std::vector<std::string> changes(arguments.words.begin() + 1, arguments.words.end());
  const std::filesystem::path folder = arguments.has("folder") ? arguments.text("folder") : "";
  if (arguments.has("locked")) registry.set_guard(guard_of(arguments.text("locked")));
  const Stages stages = read_stages(file, changes, registry, {}, folder);
  const bool staged = !stages.all.front().name.empty();
  if (arguments.has("watch")) {
    if (staged) fail(file, ": --watch follows one run, and this file has stages");
    return watch(arguments, stages.all.front().experiment, registry);
  }
  RunRequest request{.arguments = arguments.all,
                     .folder = {},
                     .work_folder = std::filesystem::current_path(),
                     .again = arguments.has("again"),
                     .locked = arguments.has("locked") ? arguments.text("locked") : "",
                     .progress = arguments.progress()};
  if (arguments.has("folder") && !request.again && !arguments.has("adopt")) {
    for (const Stage& stage : stages.all) {
      demand_same(stage.experiment, staged ? folder / stage.name : folder);
    }
  }
  return run_stages(stages, stages.folder, request, arguments, registry);
}

void declare_resume(po::options_description& options) {
  options.add_options()("locked",
                        "refuse another program, plugin or data file than the run began with");
}

// The folder of the stage that ran first, whose manifest tells the experiment's name.
std::filesystem::path first_stage(const std::filesystem::path& file,
                                  const std::filesystem::path& folder) {
  const Config stages = compose(file).config.at("stage");
  return folder / stages.members().front().key;
}

int resume(const Arguments& arguments, Registry& registry) {
  const std::filesystem::path folder = arguments.word(0, "run folder");
  const bool staged = std::filesystem::exists(folder / stages_file);
  const std::filesystem::path file = folder / (staged ? stages_file : "resolved.toml");
  if (!std::filesystem::exists(file)) {
    fail(folder.string(), ": is not a run (it has no resolved.toml)");
  }
  const std::vector<std::string> changes(arguments.words.begin() + 1, arguments.words.end());
  const ManifestNotes notes = read_manifest(staged ? first_stage(file, folder) : folder);
  if (arguments.has("locked")) registry.set_guard(guard_of(folder));
  return run_stages(read_stages(file, changes, registry, notes.experiment), folder,
                    {.arguments = arguments.all,
                     .folder = {},
                     .work_folder = notes.work_folder,
                     .again = false,
                     .extend = !changes.empty(),
                     .locked = arguments.has("locked") ? folder : std::filesystem::path(),
                     .progress = arguments.progress()},
                    arguments, registry);
}
}  // namespace

const Verb run_verb{"run", "FILE [key=value ...]", "train as an experiment file says", declare_run,
                    run_experiment};
const Verb resume_verb{
    "resume", "RUN [key=value ...]",
    "go on with a run that was stopped or killed; with train.steps=N beyond its end",
    declare_resume, resume};

}  // namespace lathe
