// A training run: TOML -> Experiment -> Feed -> Batch -> Objective -> Tape -> Optimizer -> Metrics,
// with its folder, checkpoints, samples and messages.
#pragma once

#include <lathe/base/progress.h>
#include <lathe/run/experiment.h>

#include <filesystem>
#include <string>
#include <vector>

namespace lathe {

struct RunRequest {
  std::vector<std::string> arguments;  // argv, for the manifest
  std::filesystem::path folder;        // of the run; empty: Experiment::folder()
  std::filesystem::path work_folder;   // where relative data paths start
  bool again = false;                  // a finished run is done anew
  bool extend = false;                 // a finished run goes on when train.steps asks for more
  std::filesystem::path locked = {};   // refuse other code or data than this run's manifest pins
  ProgressStyle progress = ProgressStyle::automatic;
};

struct RunResult {
  enum class End : std::uint8_t { finished, already_finished, early_stop, interrupted };
  End end = End::finished;
  std::filesystem::path folder;
  std::int64_t step = 0;
  std::vector<std::pair<std::string, double>> values;  // of the last evaluation
};

// Trains from the newest verified checkpoint in the folder, or from the start. When asked to stop
// by a signal, it saves and returns `interrupted`.
RunResult run(const Experiment& experiment, Registry& registry, const RunRequest& request);

}  // namespace lathe
