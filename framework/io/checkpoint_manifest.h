// How checkpoint folders are named and what their manifest says; private to this room.
#pragma once

#include <lathe/io/checkpoint.h>

#include <optional>
#include <string>
#include <string_view>

namespace lathe::detail {

inline constexpr std::string_view manifest_name = "manifest.json";
// A complete checkpoint that is being replaced by another of the same step.
inline constexpr std::string_view old_suffix = ".old";

struct CheckpointName {
  std::int64_t step = 0;
  bool old = false;
};

std::string checkpoint_name(std::int64_t step);  // at least 8 digits
std::optional<CheckpointName> parse_checkpoint_name(std::string_view name);

// The one text for a manifest. It ends in its own SHA-256, so that no flipped bit in it can pass.
std::string manifest_text(const CheckpointManifest& manifest);
CheckpointManifest read_manifest(FileSystem& files, const std::string& path);

}  // namespace lathe::detail
