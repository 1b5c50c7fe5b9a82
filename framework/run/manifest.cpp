#include <lathe/run/manifest.h>

#include <lathe/base/clock.h>
#include <lathe/base/file.h>
#include <lathe/base/hash.h>
#include <lathe/base/json.h>
#include <lathe/base/threads.h>
#include <lathe/plugin/core_library.h>

#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>

namespace lathe {
namespace {
// What a command prints, or "" when it fails: git may be absent, and that is no fault.
std::string output_of(const std::string& command) {
  struct Close {
    void operator()(FILE* pipe) const { pclose(pipe); }
  };
  const std::unique_ptr<FILE, Close> pipe(popen((command + " 2>/dev/null").c_str(), "r"));
  if (!pipe) return {};
  std::string text;
  std::array<char, 4096> buffer{};
  while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) {
    text.append(buffer.data(), size);
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

Json git_state() {
  const std::string commit = output_of("git rev-parse HEAD");
  if (commit.empty()) return nullptr;
  return {{"commit", commit},
          {"changes", output_of("git status --porcelain")},
          {"diff_sha256", sha256(output_of("git diff HEAD"))}};
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

Json data_files(const Dataset& dataset) {
  Json all = Json::array();
  for (const DataFile& file : dataset.files()) {
    all.push_back({{"path", file.path.string()}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  }
  return all;
}

Json plugins_of(const Experiment& experiment, Registry& registry) {
  Json all = Json::array();
  for (const Slot& slot : slots()) {
    const std::string name = experiment.plugin_of(slot.table);
    Json entry = {
        {"kind", slot.kind}, {"name", name}, {"version", registry.find(slot.kind, name).version()}};
    const std::string file = registry.file_of(slot.kind, name).string();
    if (!file.empty()) {
      entry["file"] = file;
      entry["sha256"] = sha256_of_file(file);
    }
    all.push_back(entry);
  }
  return all;
}
}  // namespace

void write_manifest(const ManifestRequest& request, const Experiment& experiment,
                    const Session& session, Registry& registry) {
  const std::string resolved = experiment.resolved().to_toml();
  write_durably((request.folder / "resolved.toml").string(), resolved);
  const Json manifest = {{"format", 1},
                         {"lathe", LATHE_VERSION},
                         {"experiment", experiment.name()},
                         {"variant", experiment.variant()},
                         {"files", experiment.files()},
                         {"identity", experiment.identity()},
                         {"resolved_sha256", sha256(resolved)},
                         {"seed", session.seed},
                         {"arguments", request.arguments},
                         {"work_folder", request.work_folder.string()},
                         {"started", iso_time()},
                         {"git", git_state()},
                         {"plugins", plugins_of(experiment, registry)},
                         {"host",
                          {{"name", host_name()},
                           {"device", session.backend->device()},
                           {"threads", threads()},
                           {"compiler", LATHE_COMPILER},
                           {"build", LATHE_BUILD_TYPE},
                           {"headers", header_hash()},
                           {"library", core_library().string()},
                           {"library_sha256", sha256_of_file(core_library().string())}}},
                         {"data", data_files(*session.dataset)},
                         {"tokenizer", {{"size", session.tokenizer->size()}}},
                         {"parameters", session.parameters.count()}};
  write_durably((request.folder / "manifest.json").string(), manifest.dump(2) + "\n");
}

ManifestNotes read_manifest(const std::filesystem::path& run) {
  const std::string path = (run / "manifest.json").string();
  const Json manifest = read_json(path);
  const auto text = [&](const char* key) {
    const auto found = manifest.find(key);
    if (found == manifest.end() || !found->is_string()) fail(path, ": has no text '", key, "'");
    return found->get<std::string>();
  };
  return {text("experiment"), text("identity"), text("work_folder")};
}

void write_status(const std::filesystem::path& folder, const std::string& state, std::int64_t step,
                  const std::string& reason) {
  const Json status = {{"state", state},
                       {"step", step},
                       {"reason", reason},
                       {"process", getpid()},
                       {"time", iso_time()}};
  write_durably((folder / "status").string(), status.dump() + "\n");
}

RunStatus read_status(const std::filesystem::path& folder) {
  const std::string path = (folder / "status").string();
  if (!exists(path)) return {};
  const Json status = read_json(path);
  try {
    return {status.at("state").get<std::string>(), status.at("step").get<std::int64_t>()};
  } catch (const nlohmann::json::exception& error) {
    fail(path, ": is not the status of a run (", error.what(), ")");
  }
}

}  // namespace lathe
