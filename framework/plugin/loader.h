// Plugin libraries in this process. Private to the room.
#pragma once

#include <lathe/plugin/plugin.h>

#include <filesystem>
#include <span>

namespace lathe {

// Loads the library (all symbols now, none visible to others) and gives its descriptors, which live
// as long as the process: libraries are never closed, since objects, threads and exceptions may
// still refer to their code.
std::span<const Descriptor> load_library(const std::filesystem::path& file);

}  // namespace lathe
