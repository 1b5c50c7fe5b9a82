#include <lathe/base/error.h>
#include <lathe/base/hash.h>
#include <lathe/base/json.h>
#include <lathe/base/log.h>
#include <lathe/io/checkpoint_manifest.h>

#include <algorithm>
#include <charconv>

namespace lathe {
namespace detail {

std::string checkpoint_name(std::int64_t step) {
  std::string digits = cat(step);
  if (digits.size() < 8) digits.insert(0, 8 - digits.size(), '0');
  return digits;
}

std::optional<CheckpointName> parse_checkpoint_name(std::string_view name) {
  CheckpointName parsed;
  if (name.ends_with(old_suffix)) {
    parsed.old = true;
    name.remove_suffix(old_suffix.size());
  }
  const auto end = std::from_chars(name.data(), name.data() + name.size(), parsed.step).ptr;
  // One spelling for each step, or two folders could claim the same one.
  if (end != name.data() + name.size() || name.empty() || parsed.step < 0 ||
      checkpoint_name(parsed.step) != name) {
    return std::nullopt;
  }
  return parsed;
}

std::string manifest_text(const CheckpointManifest& manifest) {
  Json body = {{"format", "lathe-checkpoint-1"}, {"step", manifest.step}};
  body["files"] = Json::object();
  for (const auto& item : manifest.files) {
    body["files"][item.name] = {{"size", item.size}, {"sha256", item.sha256}};
  }
  const Json whole = {{"manifest", body}, {"sha256", sha256(body.dump())}};
  return whole.dump(1) + "\n";
}

CheckpointManifest read_manifest(FileSystem& files, const std::string& path) {
  constexpr std::uint64_t limit = 1 << 24;
  const std::string text = read_file(files, path, limit);
  const Json whole = parse_json(text, path);
  CheckpointManifest manifest;
  try {
    const Json& body = whole.at("manifest");
    if (body.at("format") != "lathe-checkpoint-1") {
      fail(path, ": format ", body.at("format").dump(), "; this version reads lathe-checkpoint-1");
    }
    manifest.step = body.at("step").get<std::int64_t>();
    for (const auto& [name, item] : body.at("files").items()) {
      manifest.files.push_back({checked_name(name, path), item.at("size").get<std::uint64_t>(),
                                item.at("sha256").get<std::string>()});
    }
  } catch (const Json::exception& problem) {
    fail(path, ": not a checkpoint manifest (", problem.what(), ")");
  }
  if (manifest_text(manifest) != text) fail(path, ": damaged: its own checksum does not fit");
  return manifest;
}

}  // namespace detail

CheckpointManifest verify_checkpoint(FileSystem& files, const std::string& path) {
  const std::string manifest_path = join(path, detail::manifest_name);
  if (!exists(files, manifest_path)) fail(path, ": incomplete: it has no manifest.json");
  CheckpointManifest manifest = detail::read_manifest(files, manifest_path);

  const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
  const auto parsed = detail::parse_checkpoint_name(name);
  if (parsed && parsed->step != manifest.step) {
    fail(manifest_path, ": belongs to step ", manifest.step, ", not to ", name);
  }
  for (const auto& item : manifest.files) {
    const std::string file = join(path, item.name);
    if (!exists(files, file)) fail(file, ": missing; the manifest lists it");
    FileStatus status;
    if (const int result = files.status(file, status); result < 0) {
      fail_on_file("look at", file, -result);
    }
    if (status.is_folder || status.is_link) fail(file, ": not a regular file");
    if (status.size != item.size) {
      fail(file, ": ", status.size, " bytes; the manifest says ", item.size);
    }
    if (sha256_of_file(files, file) != item.sha256) {
      fail(file, ": damaged: its SHA-256 is not the one in the manifest");
    }
  }
  if (list_folder(files, path).size() != manifest.files.size() + 1) {
    fail(path, ": holds files that its manifest does not list");
  }
  return manifest;
}

FoundCheckpoint find_newest_verified(FileSystem& files, const std::string& folder) {
  FoundCheckpoint found;
  if (!exists(files, folder)) return found;
  std::vector<detail::CheckpointName> candidates;
  for (const std::string& name : list_folder(files, folder)) {
    if (const auto parsed = detail::parse_checkpoint_name(name)) candidates.push_back(*parsed);
  }
  std::sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return a.step != b.step ? a.step > b.step : a.old < b.old;
  });
  for (const auto& candidate : candidates) {
    const std::string path = join(folder, detail::checkpoint_name(candidate.step)) +
                             std::string(candidate.old ? detail::old_suffix : "");
    try {
      verify_checkpoint(files, path);
      found.path = path;
      found.step = candidate.step;
      break;
    } catch (const Error& problem) {
      log_warning("checkpoint ", path, " is not usable: ", problem.what());
      found.rejected.push_back({path, problem.what()});
    }
  }
  if (!found.rejected.empty()) {
    log_warning(found ? cat("falling back to checkpoint ", found.path)
                      : cat("no checkpoint in ", folder, " is usable"));
  }
  return found;
}

}  // namespace lathe
