// manifest.json: what made a run, so that it can be made again.
#pragma once

#include <lathe/run/session.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lathe {

struct ManifestRequest {
  std::vector<std::string> arguments;  // argv
  std::filesystem::path folder;        // of the run
  std::filesystem::path work_folder;
};

// Writes manifest.json and resolved.toml: configuration and its hash, seeds, git commit and
// uncommitted changes, hashes of host, plugins and data, compiler, processor, threads.
void write_manifest(const ManifestRequest& request, const Experiment& experiment,
                    const Session& session, Registry& registry);

// A run that goes on at a step: where its host, plugins, data or configuration are others than the
// manifest says, warns, naming both hashes, and notes them there under "restarts".
void note_restart(const ManifestRequest& request, std::int64_t step, const Experiment& experiment,
                  const Session& session, Registry& registry);

// What a run's manifest notes for going on: the experiment's name, its identity, the working folder
// and, with train.start, the weights that it began with.
struct ManifestNotes {
  std::string experiment;
  std::string identity;
  std::filesystem::path work_folder;
  std::optional<StartWeights> start;
};
ManifestNotes read_manifest(const std::filesystem::path& run);

// status: {"state": "running", "step": 120, ...}, replaced as a whole.
void write_status(const std::filesystem::path& folder, const std::string& state, std::int64_t step,
                  const std::string& reason = {});
struct RunStatus {
  std::string state;  // "" when there is none
  std::int64_t step = 0;
};
RunStatus read_status(const std::filesystem::path& folder);

}  // namespace lathe
