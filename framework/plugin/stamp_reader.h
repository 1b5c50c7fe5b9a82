// Stamps read from a plugin's file without loading it. Private to the room.
#pragma once

#include <lathe/plugin/stamp.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct PluginFile {
  std::vector<Stamp> stamps;  // at least one
  std::string header_hash;    // of the public headers it was built with; "": it does not say
  std::string build_id;       // hexadecimal; "" when it was linked without one
  std::string manual;         // the comment that the plugin's source begins with, or ""
};

// Error when the file is not a library for this machine, is damaged, or has no stamp that this host
// can read.
PluginFile read_plugin_file(const std::filesystem::path& file);

// Why this host refuses the stamp, as "E101 ..." or "E102 ..." with both sides and what to do; ""
// when it fits. The interface version of the kind is compared when the kind is asked for.
std::string stamp_fault(const Stamp& stamp, std::string_view hash_of_headers);
std::string interface_fault(const Stamp& stamp, int host_version);

// Why the file or its folder is not to be trusted, or "": both must belong to this user or root and
// not be writable for everyone, since whoever can write them runs code here.
std::string trust_fault(const std::filesystem::path& file);

}  // namespace lathe
