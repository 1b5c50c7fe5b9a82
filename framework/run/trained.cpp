#include <lathe/run/trained.h>

#include <lathe/config/toml.h>
#include <lathe/run/stages.h>
#include <lathe/run/state_files.h>

namespace lathe {
namespace {
// The runs of the stages of an experiment whose folder this is, in their order; else "".
std::string stages_in(const std::filesystem::path& folder) {
  if (!exists((folder / stages_file).string())) return "";
  const Config stages = read_toml(folder / stages_file).at("stage");
  std::string all;
  for (const auto& [name, stage] : stages.members()) {
    if (!exists((folder / name / "resolved.toml").string())) continue;
    all += cat(all.empty() ? "" : ", ", (folder / name).string());
  }
  return all;
}

std::filesystem::path run_of(const std::string& path) {
  const std::filesystem::path folder(path);
  if (exists((folder / "resolved.toml").string())) return folder;
  const std::filesystem::path above = std::filesystem::absolute(folder).lexically_normal();
  const std::filesystem::path run = above.parent_path().parent_path();
  if (exists((folder / "state.json").string()) && exists((run / "resolved.toml").string())) {
    return run;
  }
  const std::string stages = stages_in(folder);
  if (!stages.empty()) fail(path, ": has stages, each a run of its own. Name one: ", stages);
  fail(path, ": is not a run (it has no resolved.toml), nor a checkpoint in a run's 'checkpoints'");
}
}  // namespace

Trained::Trained(const TrainedRequest& request, Registry& registry)
    : experiment(run_of(request.path) / "resolved.toml", request.changes, registry),
      session(experiment, registry,
              {.work_folder = {}, .tokenizer_folder = run_of(request.path), .data = false}) {
  if (!session.tokenizer) fail(request.path, ": its model reads no text; see `lathe play`");
  load_weights(checkpoint_of(request.path, !request.newest), session.parameters);
}

TextFrame frame_of(const Experiment& experiment, const Tokenizer& tokenizer) {
  const bool windows = experiment.uses("feed") && experiment.plugin_of("feed") == "windows";
  return {.begin = false, .end = !windows && tokenizer.end_id() >= 0};
}

}  // namespace lathe
