// A component's declarations as people read them: tables of options, blocks of TOML, Markdown.
#pragma once

#include <lathe/plugin/registry.h>

#include <string>
#include <vector>

namespace lathe {

// The table that it fills, with every option at its default; required ones have a stand-in.
std::string toml_block(const Description& component);
// Name, type, default, range and meaning of each option, for a terminal.
std::string option_lines(const Description& component);

// The section of a reference page: version, place, manual, options, TOML.
std::string markdown_section(const PluginState& state, const Description& component);
// One page for each kind: FOLDER/<kind>.md, of all components that are neither rejected nor
// shadowed. Gives the files written.
std::vector<std::string> write_pages(const std::string& folder, Registry& registry);

}  // namespace lathe
