#include <lathe/run/pins.h>

#include <lathe/base/hash.h>
#include <lathe/base/json.h>
#include <lathe/plugin/core_library.h>
#include <lathe/plugin/stamp_reader.h>
#include <lathe/run/stages.h>

#include <algorithm>

namespace lathe {
namespace {
Pin pin_of(std::string what, const std::filesystem::path& file) {
  return {std::move(what), file, sha256_of_file(file.string())};
}

std::string plugin_text(const std::string& kind, const std::string& name) {
  return cat(kind, " '", name, "'");
}

std::string data_text(std::size_t index) { return cat("data file ", index + 1); }

std::filesystem::path manifest_of(const std::filesystem::path& run_or_manifest) {
  if (!std::filesystem::is_directory(run_or_manifest)) return run_or_manifest;
  return run_or_manifest / "manifest.json";
}

// "" without drift.
std::string refusal(const std::vector<Pin>& pinned, const std::vector<Pin>& here,
                    const std::filesystem::path& from) {
  const std::vector<std::string> sentences = drift(pinned, here);
  if (sentences.empty()) return "";
  std::string text = cat("locked to ", from.string(), ", but");
  for (const std::string& sentence : sentences) text += "\n  " + sentence;
  return text + "\nBring back what was pinned, or run without --locked";
}
}  // namespace

std::vector<Pin> code_pins(const Experiment& experiment, Registry& registry) {
  std::vector<Pin> pins = {pin_of("host program", std::filesystem::canonical("/proc/self/exe")),
                           pin_of("library", core_library())};
  for (const Filling& filling : experiment.fillings()) {
    const std::filesystem::path file = registry.file_of(filling.kind, filling.plugin);
    if (!file.empty()) pins.push_back(pin_of(plugin_text(filling.kind, filling.plugin), file));
  }
  return pins;
}

std::vector<Pin> data_pins(const Dataset* dataset) {
  std::vector<Pin> pins;
  if (dataset == nullptr) return pins;
  for (const DataFile& file : dataset->files()) {
    pins.push_back({data_text(pins.size()), file.path, file.sha256});
  }
  return pins;
}

std::vector<Pin> pins_of(const std::filesystem::path& run_or_manifest, bool latest) {
  const std::string path = manifest_of(run_or_manifest).string();
  Json manifest = read_json(path);
  try {
    if (latest && manifest.contains("restarts")) manifest = Json(manifest.at("restarts").back());
    const Json& host = manifest.at("host");
    std::vector<Pin> pins = {{"host program", host.at("program"), host.at("program_sha256")},
                             {"library", host.at("library"), host.at("library_sha256")}};
    for (const Json& plugin : manifest.at("plugins")) {
      if (!plugin.contains("sha256")) continue;
      pins.push_back({plugin_text(plugin.at("kind"), plugin.at("name")), plugin.at("file"),
                      plugin.at("sha256")});
    }
    for (std::size_t i = 0; i < manifest.at("data").size(); ++i) {
      const Json& file = manifest.at("data")[i];
      pins.push_back({data_text(i), file.at("path"), file.at("sha256")});
    }
    return pins;
  } catch (const nlohmann::json::exception& error) {
    fail(path, ": pins no hashes: it is not the manifest of a run of this version (", error.what(),
         ")");
  }
}

std::vector<std::string> drift(const std::vector<Pin>& pinned, const std::vector<Pin>& here) {
  std::vector<std::string> sentences;
  for (const Pin& pin : here) {
    const auto same = std::find_if(pinned.begin(), pinned.end(),
                                   [&](const Pin& other) { return other.what == pin.what; });
    if (same == pinned.end()) {
      sentences.push_back(
          cat("the ", pin.what, " (", pin.file.string(), ", ", pin.sha256, ") is not pinned"));
    } else if (same->sha256 != pin.sha256) {
      sentences.push_back(cat("the ", pin.what, " has changed: pinned ", same->sha256, " (",
                              same->file.string(), "), here ", pin.sha256, " (", pin.file.string(),
                              ")"));
    }
  }
  return sentences;
}

void demand_pinned(const std::vector<Pin>& pinned, const std::vector<Pin>& here,
                   const std::filesystem::path& from) {
  const std::string text = refusal(pinned, here, from);
  if (!text.empty()) fail(text);
}

FileGuard guard_of(const std::filesystem::path& from) {
  std::vector<Pin> pinned;
  const auto pin = [&](const std::filesystem::path& run_or_manifest) {
    for (Pin& one : pins_of(run_or_manifest)) pinned.push_back(std::move(one));
  };
  if (std::filesystem::exists(from / stages_file)) {
    for (const auto& entry : std::filesystem::directory_iterator(from)) {
      if (std::filesystem::exists(entry.path() / "manifest.json")) pin(entry.path());
    }
  } else {
    pin(from);
  }
  return [pinned, from](const std::filesystem::path& file, const std::string& sha256) {
    const auto same = [&](const Pin& one) { return one.sha256 == sha256; };
    if (std::any_of(pinned.begin(), pinned.end(), same)) return std::string();
    std::vector<Pin> here;
    for (const Stamp& stamp : read_plugin_file(file).stamps) {
      here.push_back({plugin_text(std::string(stamp.kind.view()), std::string(stamp.name.view())),
                      file, sha256});
    }
    return cat("E110 ", refusal(pinned, here, from));
  };
}

}  // namespace lathe
