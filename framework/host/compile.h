// Plugins out of the tree: one file, compiled as Lathe itself was.
#pragma once

#include <lathe/plugin/registry.h>

#include <filesystem>
#include <string>
#include <vector>

namespace lathe {

struct BuiltPlugin {
  std::filesystem::path library;
  std::vector<PluginState> components;  // what it offers
  bool was_there = false;               // neither the source nor Lathe has changed since
  double seconds = 0;
};

// Compiles `source` into folder/STEM.so, with its sidecar and a copy of its sources beside it. The
// library is replaced only when everything has succeeded. An Error holds all that the compiler said
// after a line on where to look.
BuiltPlugin build_plugin(const std::filesystem::path& source, const std::filesystem::path& folder);

}  // namespace lathe
