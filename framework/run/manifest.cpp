#include <lathe/run/manifest.h>

#include <lathe/base/clock.h>
#include <lathe/base/file.h>
#include <lathe/base/hash.h>
#include <lathe/base/json.h>
#include <lathe/base/log.h>
#include <lathe/base/threads.h>
#include <lathe/plugin/core_library.h>
#include <lathe/plugin/sources.h>
#include <lathe/run/pins.h>

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

Json data_files(const Session& session) {
  Json all = Json::array();
  if (!session.dataset) return all;
  for (const DataFile& file : session.dataset->files()) {
    all.push_back({{"path", file.path.string()}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  }
  return all;
}

Json start_of(const Session& session) {
  if (!session.start) return nullptr;
  return {{"checkpoint", session.start->checkpoint}, {"sha256", session.start->sha256}};
}

// Keeps the sources of a plugin that `lathe build` made: sources/<library>-<hash>/..., so that a
// restart with a changed plugin keeps both. Gives their names and hashes.
Json kept_sources(const std::filesystem::path& library, const std::string& hash,
                  const std::filesystem::path& run) {
  Json all = Json::array();
  const auto sources = read_plugin_sources(library);
  if (!sources) return all;
  const std::filesystem::path home = sources->files.front().path.parent_path();
  const std::filesystem::path folder =
      std::filesystem::path("sources") / cat(library.stem().string(), "-", hash.substr(0, 8));
  for (const PluginSource& source : sources->files) {
    // What lies outside of the plugin's folder is kept by its name alone.
    const std::filesystem::path near = source.path.lexically_relative(home);
    const bool inside = !near.empty() && *near.begin() != "..";
    const std::filesystem::path name = folder / (inside ? near : source.path.filename());
    make_folders(real_files(), (run / name).parent_path().string());
    write_durably((run / name).string(), source.text);
    all.push_back(
        {{"path", source.path.string()}, {"kept", name.string()}, {"sha256", sha256(source.text)}});
  }
  return all;
}

Json plugins_of(const Experiment& experiment, Registry& registry,
                const std::filesystem::path& run) {
  Json all = Json::array();
  for (const auto& [path, kind, name] : experiment.fillings()) {
    Json entry = {{"kind", kind}, {"name", name}, {"version", registry.find(kind, name).version()}};
    const std::filesystem::path file = registry.file_of(kind, name);
    if (!file.empty()) {
      const std::string hash = sha256_of_file(file.string());
      entry["file"] = file.string();
      entry["sha256"] = hash;
      const Json sources = kept_sources(file, hash, run);
      if (!sources.empty()) entry["sources"] = sources;
    }
    all.push_back(entry);
  }
  return all;
}

Json host_of(const Session& session) {
  const std::string program = std::filesystem::canonical("/proc/self/exe").string();
  const std::string library = core_library().string();
  return {{"name", host_name()},       {"device", session.backend->device()},
          {"threads", threads()},      {"compiler", LATHE_COMPILER},
          {"build", LATHE_BUILD_TYPE}, {"headers", header_hash()},
          {"program", program},        {"program_sha256", sha256_of_file(program)},
          {"library", library},        {"library_sha256", sha256_of_file(library)}};
}
}  // namespace

void write_manifest(const ManifestRequest& request, const Experiment& experiment,
                    const Session& session, Registry& registry) {
  const std::string resolved = experiment.resolved().to_toml();
  write_durably((request.folder / "resolved.toml").string(), resolved);
  const Json manifest = {
      {"format", 1},
      {"lathe", LATHE_VERSION},
      {"experiment", experiment.name()},
      {"variant", experiment.variant()},
      {"files", experiment.files()},
      {"identity", experiment.identity()},
      {"resolved_sha256", sha256(resolved)},
      {"seed", session.seed},
      {"start", start_of(session)},
      {"arguments", request.arguments},
      {"work_folder", request.work_folder.string()},
      {"started", iso_time()},
      {"git", git_state()},
      {"plugins", plugins_of(experiment, registry, request.folder)},
      {"host", host_of(session)},
      {"data", data_files(session)},
      {"tokenizer", session.tokenizer ? Json{{"size", session.tokenizer->size()}} : Json()},
      {"parameters", session.parameters.count()}};
  write_durably((request.folder / "manifest.json").string(), manifest.dump(2) + "\n");
}

void note_restart(const ManifestRequest& request, std::int64_t step, const Experiment& experiment,
                  const Session& session, Registry& registry) {
  std::vector<Pin> here = code_pins(experiment, registry);
  if (session.dataset) {
    for (Pin& pin : data_pins(session.dataset.get())) here.push_back(std::move(pin));
  }
  const std::vector<std::string> sentences = drift(pins_of(request.folder, true), here);
  const std::string resolved = experiment.resolved().to_toml();
  const std::string path = (request.folder / "manifest.json").string();
  Json manifest = read_json(path);
  const bool same_identity = manifest.value("identity", "") == experiment.identity();
  if (sentences.empty() && same_identity) return;
  for (const std::string& sentence : sentences) log_warning("going on, though ", sentence);
  if (!same_identity) {
    log_warning("going on with another configuration than this run began with: its identity was ",
                manifest.value("identity", ""), " and is ", experiment.identity(),
                "; resolved.toml tells the new one");
    write_durably((request.folder / "resolved.toml").string(), resolved);
    manifest["identity"] = experiment.identity();
  }
  manifest["restarts"].push_back({{"step", step},
                                  {"time", iso_time()},
                                  {"arguments", request.arguments},
                                  {"identity", experiment.identity()},
                                  {"resolved_sha256", sha256(resolved)},
                                  {"plugins", plugins_of(experiment, registry, request.folder)},
                                  {"host", host_of(session)},
                                  {"data", data_files(session)}});
  write_durably(path, manifest.dump(2) + "\n");
}

ManifestNotes read_manifest(const std::filesystem::path& run) {
  const std::string path = (run / "manifest.json").string();
  const Json manifest = read_json(path);
  const auto text = [&](const char* key) {
    const auto found = manifest.find(key);
    if (found == manifest.end() || !found->is_string()) fail(path, ": has no text '", key, "'");
    return found->get<std::string>();
  };
  std::optional<StartWeights> start;
  if (const auto found = manifest.find("start"); found != manifest.end() && found->is_object()) {
    start = {found->value("checkpoint", ""), found->value("sha256", "")};
  }
  return {text("experiment"), text("identity"), text("work_folder"), start};
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
