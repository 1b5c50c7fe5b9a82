// An experiment in stages, each a run of its own that begins with the weights of the one before.
//
//   [stage.sft]                 # in the order in which they are written; each is merged over the
//   objective = "sft"           # rest of the file
//   [stage.rl]
//   objective = "ppo"
#pragma once

#include <lathe/run/experiment.h>

#include <filesystem>
#include <string>
#include <vector>

namespace lathe {

struct Stage {
  std::string name;  // "" where the file has no stages
  Experiment experiment;
};

// A file without [stage] is one nameless stage.
struct Stages {
  std::vector<Stage> all;
  // The composed file, in which each stage says what it begins with: for going on.
  Config config;
  // <runs>/<name>/<variant>-<id8>/s<seed>; the runs of stages are folders in it.
  std::filesystem::path folder;
  std::string identity;  // of all stages together
};

// Reads and validates every stage. A stage begins with the best weights of the one before, unless
// it sets train.start (to "" for weights of its own). Any text "stage:NAME" in a stage stands for
// the run of that earlier stage. `name` empty: the file's stem. `folder`
// empty: by the identity.
Stages read_stages(const std::filesystem::path& file, const std::vector<std::string>& arguments,
                   Registry& registry, std::string name = {}, std::filesystem::path folder = {});
// Of what has been composed already: a cell of a sweep.
Stages read_stages(const Composed& whole, Registry& registry, std::string name,
                   std::filesystem::path folder = {});

// Warns of values of the command line that every stage sets anew, so that they have no effect.
// read_stages of a file does so itself.
void warn_of_overridden(const Composed& whole);

// <folder>/stages.toml: what read_stages needs to go on with.
inline constexpr const char* stages_file = "stages.toml";

}  // namespace lathe
