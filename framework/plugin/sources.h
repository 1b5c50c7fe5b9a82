// The sources that a plugin was built from by `lathe build`, kept beside its library as
// NAME.source.json: what a run's manifest stores, and what `lathe run --watch` looks at.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lathe {

struct PluginSource {
  std::filesystem::path path;  // absolute, where it was read
  std::string text;
};

struct PluginSources {
  std::string recipe;               // hash of the compiler, its flags and the headers
  std::vector<PluginSource> files;  // the plugin's own file, then what it includes of its own
};

// Error, naming the file, where a text is not UTF-8.
void write_plugin_sources(const std::filesystem::path& library, const PluginSources& sources);

// Nothing where there is no record, where it cannot be read, or where the library is another than
// the one it was written for.
std::optional<PluginSources> read_plugin_sources(const std::filesystem::path& library);

}  // namespace lathe
