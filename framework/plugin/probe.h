// The first sight of a plugin library: a child process loads it, asks what it declares, and makes
// and destroys each component that needs no options. What crashes or hangs does so there, and the
// host keeps the reason.
#pragma once

#include <lathe/plugin/sidecar.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace lathe {

struct Probe {
  Sidecar sidecar;                                 // when there is no fault
  std::string fault = {};                          // "E106 ...", "E103 ...", "E108 ..."
  std::map<std::string, std::string> absent = {};  // by "kind 'name'": why this machine lacks it
  std::string output = {};                         // what the library wrote while it was probed
};

// SHA-256, size and build-id of the file as it is now.
LibraryIdentity library_identity(const std::filesystem::path& library);

// Refuses what the stamp refuses, then probes. The limit is LATHE_PROBE_LIMIT (seconds), else 30.
// No other thread of this process may run (see base/child.h).
Probe probe_library(const std::filesystem::path& library);

// Results of earlier probes, in a folder of the user's cache, one file for each build of a library:
// a file that changes is probed anew. Failures are kept with their reason and the library's output.
class KeptProbes {
 public:
  explicit KeptProbes(std::filesystem::path folder) : folder_(std::move(folder)) {}

  std::optional<Probe> find(const LibraryIdentity& library) const;
  // Adds the place of the log to the fault. A folder that cannot be written keeps nothing.
  void keep(const LibraryIdentity& library, Probe& probe) const;

 private:
  std::filesystem::path file_of(const LibraryIdentity& library) const;
  std::filesystem::path folder_;  // empty: nothing is kept
};

// $XDG_CACHE_HOME/lathe/plugins or ~/.cache/lathe/plugins; empty where the environment names
// neither.
std::filesystem::path probe_folder();

}  // namespace lathe
