// The files whose change would change a run: host program, library, plugins, data. The manifest
// pins their hashes.
#pragma once

#include <lathe/data/dataset.h>
#include <lathe/run/experiment.h>

#include <filesystem>
#include <string>
#include <vector>

namespace lathe {

struct Pin {
  std::string what;  // "host program", "model 'gpt'", "data file 1"
  std::filesystem::path file;
  std::string sha256;
};

// Program and library, then each plugin that the experiment uses and that has a file of its own.
std::vector<Pin> code_pins(const Experiment& experiment, Registry& registry);
std::vector<Pin> data_pins(const Dataset* dataset);  // none: an experiment without data

// The pins of a manifest: the file, or the run folder that holds it. With `latest`, those of the
// last restart.
std::vector<Pin> pins_of(const std::filesystem::path& run_or_manifest, bool latest = false);

// A sentence for each of `here` that is another than pinned, or not pinned at all; both hashes are
// named.
std::vector<std::string> drift(const std::vector<Pin>& pinned, const std::vector<Pin>& here);

// The judge of plugin files for Registry::set_guard: refuses, with E110 and the sentences of drift,
// each file of which the run or manifest `from` pins nothing, before anything of the file runs. Of
// a run in stages the plugins of all stages count.
FileGuard guard_of(const std::filesystem::path& from);

// Throws Error with the sentences of drift, if there are any; `from` names the manifest.
void demand_pinned(const std::vector<Pin>& pinned, const std::vector<Pin>& here,
                   const std::filesystem::path& from);

}  // namespace lathe
