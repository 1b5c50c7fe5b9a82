// Where the framework's own library lies: plugins are found relative to it.
#pragma once

#include <filesystem>

namespace lathe {

std::filesystem::path core_library();   // .../lib/liblathe.so, links resolved
std::filesystem::path plugin_folder();  // .../lib/lathe/plugins

}  // namespace lathe
