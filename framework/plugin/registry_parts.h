// What the registry keeps of plugin files. Private to the room.
#pragma once

#include <lathe/plugin/registry.h>

#include <optional>

namespace lathe {

// A component that a file offers, or a file that was refused as a whole (then `fault` says why and
// the stamp has no more than a name made from the file's).
struct Registry::Candidate {
  Stamp stamp;
  std::filesystem::path file;
  std::size_t tier = 0;  // the place in the order of search; 0 is a path of [plugins]
  std::string fault = {};

  bool offers(std::string_view kind, std::string_view name) const {
    return stamp.kind.view() == kind && stamp.name.view() == name;
  }
};

// A library file that candidates come from.
struct Registry::Library {
  std::optional<Probe> known =
      {};  // from its sidecar, an earlier probe, or a probe of this process
  std::optional<std::span<const Descriptor>> loaded = {};
};

}  // namespace lathe
