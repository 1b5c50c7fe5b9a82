// The framework's own library: where it lies (plugins are found relative to it), and the headers it
// was built from.
#pragma once

#include <filesystem>
#include <string_view>

namespace lathe {

std::filesystem::path core_library();   // .../lib/liblathe.so, links resolved
std::filesystem::path plugin_folder();  // .../lib/lathe/plugins
// $XDG_DATA_HOME/lathe/plugins, or ~/.local/share/lathe/plugins: what `lathe build` fills. Empty
// where the environment names neither folder.
std::filesystem::path user_plugin_folder();
std::string_view header_hash();  // of all public headers, in hexadecimal digits

}  // namespace lathe
