// Stamps read from a plugin's file without loading it. Private to the room.
#pragma once

#include <lathe/plugin/stamp.h>

#include <filesystem>
#include <string>
#include <vector>

namespace lathe {

// All stamps of the file. Error when it is not a library for this machine, is damaged, or has no
// stamp that this host can read.
std::vector<Stamp> read_stamps(const std::filesystem::path& file);

// The comment that the plugin's source begins with, as lathe_add_plugin keeps it; "" without one.
std::string read_manual(const std::filesystem::path& file);

// Why this host refuses the stamp, as "E101 ..." or "E102 ..." with both sides and what to do; ""
// when it fits. The interface version of the kind is compared when the kind is asked for.
std::string stamp_fault(const Stamp& stamp);
std::string interface_fault(const Stamp& stamp, int host_version);

// Why the file or its folder is not to be trusted, or "": both must belong to this user or root and
// not be writable for everyone, since whoever can write them runs code here.
std::string trust_fault(const std::filesystem::path& file);

}  // namespace lathe
