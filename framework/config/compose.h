// An experiment file with everything it includes, its variants and the command line, as one
// configuration whose every value keeps its origin.
#pragma once

#include <lathe/config/config.h>

#include <filesystem>

namespace lathe {

struct Composed {
  Config config;                     // all references resolved; without `include` and `variant`
  Config variants;                   // the table [variant], as written
  std::vector<std::string> applied;  // the names of the variants in use
  std::vector<std::string> files;    // all that were read, in the order of their rank
};

// Later wins: the includes of a file from left to right, the file, variants in the order of their
// arguments, the cell, the command line from left to right.
//
//   include = ["base.toml", { path = "local.toml", optional = true }]   # relative to this file
//   [variant.wide.set]                                                  # applied by @wide
//
// Arguments: key=value (a TOML value or a bare string), +key=value (must be new), ~key (must be
// there), slot=plugin, @variant. `cell` is a table whose keys are paths: {"objective.clip" = 0.1};
// the keys of a variant's `set` may be paths too.
Composed compose(const std::filesystem::path& file, const std::vector<std::string>& arguments = {},
                 const Config& cell = {});

// Tables merge key by key, lists and values replace. A slot (a table with `use`) that gets another
// `use` loses its other keys; a string over a table names its plugin, and so does one under a
// table. A table over any other value, or the reverse, is an Error.
Config merge(const Config& base, const Config& over);

// Where each value of the configuration was written, in the order of `to_toml`.
struct KeyOrigin {
  std::string path;
  Origin origin;
};
std::vector<KeyOrigin> origins(const Config& config);

}  // namespace lathe
