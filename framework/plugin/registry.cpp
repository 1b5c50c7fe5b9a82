#include <lathe/base/error.h>
#include <lathe/config/nearest.h>
#include <lathe/plugin/core_library.h>
#include <lathe/plugin/loader.h>
#include <lathe/plugin/registry.h>
#include <lathe/plugin/stamp_reader.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace lathe {
namespace filesystem = std::filesystem;

// A component that a file offers, or a file that was refused as a whole (then `fault` says why and
// the stamp has no more than a name made from the file's).
struct Registry::Candidate {
  Stamp stamp;
  filesystem::path file;
  std::size_t tier = 0;  // the place in the order of search; 0 is a path of [plugins]
  std::string fault = {};

  bool offers(std::string_view kind, std::string_view name) const {
    return stamp.kind.view() == kind && stamp.name.view() == name;
  }
};

namespace {
std::string called(std::string_view kind, std::string_view name) {
  return cat(kind, " '", name, "'");
}

std::vector<filesystem::path> user_folders() {
  std::vector<filesystem::path> folders;
  if (const char* list = std::getenv("LATHE_PLUGIN_PATH")) {
    std::istringstream stream(list);
    for (std::string folder; std::getline(stream, folder, ':');) {
      if (!folder.empty()) folders.push_back(folder);
    }
  }
  if (const filesystem::path own = user_plugin_folder(); !own.empty()) folders.push_back(own);
  return folders;
}

std::string fault_of(const Stamp& stamp, std::string_view hash_of_headers) {
  const std::string fault = stamp_fault(stamp);
  return fault.empty() ? header_fault(stamp, hash_of_headers) : fault;
}

std::string listed(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += cat(text.empty() ? "" : ", ", part);
  return text;
}
}  // namespace

Registry::Registry(PluginPlaces places) : places_(std::move(places)) {}
Registry::~Registry() = default;

void Registry::add_built_in(const Stamp& stamp, Descriptor (*describe)(const Stamp&)) {
  const std::lock_guard lock(mutex_);
  if (built_in(stamp.kind.view(), stamp.name.view())) {
    fail(called(stamp.kind.view(), stamp.name.view()), " is added twice");
  }
  stamps_.push_back(stamp);
  built_in_.push_back(describe(stamps_.back()));
}

const Descriptor* Registry::built_in(std::string_view kind, std::string_view name) const {
  for (const Descriptor& descriptor : built_in_) {
    if (descriptor.kind() == kind && descriptor.name() == name) return &descriptor;
  }
  return nullptr;
}

void Registry::prefer(const std::string& name, const filesystem::path& file) {
  const std::lock_guard lock(mutex_);
  const filesystem::path path = filesystem::weakly_canonical(filesystem::absolute(file));
  const std::string distrust = trust_fault(path);
  if (!distrust.empty()) fail(distrust);
  std::vector<std::string> offered;
  bool found = false;
  const PluginFile read = read_plugin_file(path);
  for (const Stamp& stamp : read.stamps) {
    const std::string fault = fault_of(stamp, read.header_hash);
    if (!fault.empty()) fail(fault, " (file ", path.string(), ")");
    found = found || stamp.name.view() == name;
    offered.emplace_back(stamp.name.view());
  }
  std::sort(offered.begin(), offered.end());
  if (!found) {
    fail("the plugin file ", path.string(), " does not offer '", name, "', only ", listed(offered));
  }
  places_.files[name] = path;
  candidates_.clear();
  searched_.clear();
  scanned_ = false;
}

void Registry::scan() {
  if (scanned_) return;
  scanned_ = true;
  for (const auto& [name, file] : places_.files) scan_file(file, 0);
  searched_ = places_.folders;
  if (places_.user_folders) {
    for (filesystem::path& folder : user_folders()) searched_.push_back(std::move(folder));
  }
  if (!places_.library_folder.empty()) searched_.push_back(places_.library_folder);
  for (std::size_t i = 0; i < searched_.size(); ++i) {
    searched_[i] = filesystem::weakly_canonical(filesystem::absolute(searched_[i]));
    const bool again = std::find(searched_.begin(), searched_.begin() + static_cast<long>(i),
                                 searched_[i]) != searched_.begin() + static_cast<long>(i);
    std::error_code ignored;
    std::vector<filesystem::path> files;
    if (!again) {
      for (const auto& entry : filesystem::directory_iterator(searched_[i], ignored)) {
        if (entry.path().extension() == ".so") files.push_back(entry.path());
      }
    }
    std::sort(files.begin(), files.end());
    for (const filesystem::path& file : files) scan_file(file, i + 1);
  }
}

void Registry::scan_file(const filesystem::path& file, std::size_t tier) {
  const filesystem::path path = filesystem::weakly_canonical(filesystem::absolute(file));
  try {
    const std::string distrust = trust_fault(path);
    if (!distrust.empty()) throw Error(distrust);
    const PluginFile read = read_plugin_file(path);
    for (const Stamp& stamp : read.stamps) {
      candidates_.push_back({stamp, path, tier, fault_of(stamp, read.header_hash)});
    }
  } catch (const Error& error) {
    Stamp nameless;
    nameless.name = FixedText<64>(path.stem().string().substr(0, 63));
    candidates_.push_back({nameless, path, tier, error.what()});
  }
}

// The first candidate in the order of search; nullptr when no file offers the component.
const Registry::Candidate* Registry::chosen(std::string_view kind, std::string_view name) {
  scan();
  const Candidate* best = nullptr;
  const Candidate* twin = nullptr;
  const Candidate* refused = nullptr;
  for (const Candidate& candidate : candidates_) {
    if (!candidate.offers(kind, name)) continue;
    if (!candidate.fault.empty()) {
      if (!refused) refused = &candidate;
    } else if (!best) {
      best = &candidate;
    } else if (candidate.tier == best->tier && candidate.file != best->file) {
      twin = &candidate;
    }
  }
  if (twin) {
    fail("E107 ", called(kind, name),
         " is provided by two files of one folder: ", best->file.string(), " and ",
         twin->file.string(), ". Choose one: [plugins] ", name, " = \"PATH\"");
  }
  if (!best && refused) {
    fail(refused->fault, " (file ", refused->file.string(), ")");
  }
  return best;
}

void Registry::not_found(std::string_view kind, std::string_view name) {
  std::vector<std::string> places;
  for (const filesystem::path& folder : searched_) places.push_back(folder.string());
  std::vector<std::string> rejected;
  for (const Candidate& candidate : candidates_) {
    if (candidate.fault.empty()) continue;
    rejected.push_back(cat(candidate.stamp.name.view(), " (", candidate.fault, ")"));
  }
  const auto explicit_file = places_.files.find(std::string(name));
  const std::vector<std::string> known = names(kind);
  fail(
      "E104 no ", called(kind, name), ".", suggestion(name, known),
      known.empty() ? "" : cat(" Known: ", listed(known), "."),
      explicit_file == places_.files.end()
          ? ""
          : cat(" The file of [plugins], ", explicit_file->second.string(), ", does not offer it."),
      places.empty() ? "" : cat(" Searched: ", listed(places), "."),
      rejected.empty() ? "" : cat(" Found but rejected: ", listed(rejected), "."));
}

const Descriptor& Registry::load(const Candidate& candidate) {
  auto library = libraries_.find(candidate.file);
  if (library == libraries_.end()) {
    library = libraries_.emplace(candidate.file, load_library(candidate.file)).first;
  }
  for (const Descriptor& descriptor : library->second) {
    if (std::memcmp(descriptor.stamp, &candidate.stamp, sizeof(Stamp)) == 0) return descriptor;
  }
  fail("E101 the plugin file ", candidate.file.string(),
       " changed while it was being loaded. Start again.");
}

const Descriptor& Registry::find(std::string_view kind, std::string_view name,
                                 int interface_version) {
  const std::lock_guard lock(mutex_);
  const Descriptor* own = built_in(kind, name);
  if (own && !places_.files.contains(std::string(name))) return *own;
  const Candidate* candidate = chosen(kind, name);
  if (!candidate) {
    if (own) return *own;
    not_found(kind, name);
  }
  const std::string fault =
      interface_version == 0 ? "" : interface_fault(candidate->stamp, interface_version);
  if (!fault.empty()) fail(fault, " (file ", candidate->file.string(), ")");
  return load(*candidate);
}

void* Registry::create_any(const Descriptor& descriptor, const Config& config) {
  const std::string name = called(descriptor.kind(), descriptor.name());
  if (descriptor.describe) {
    Schema schema;
    descriptor.describe(schema);
    demand(config, schema, name);
  }
  try {
    return descriptor.create(config);
  } catch (const Unavailable& reason) {
    const std::lock_guard lock(mutex_);
    unavailable_[name] = reason.what();
    throw Unavailable(cat(name, " is unavailable: ", reason.what()));
  } catch (const std::exception& error) {
    fail(name, ": ", error.what());
  } catch (...) {
    fail(name,
         ": its constructor threw something that is not an exception of the standard library");
  }
}

std::vector<PluginState> Registry::states() {
  const std::lock_guard lock(mutex_);
  scan();
  std::vector<PluginState> states;
  const auto add = [&](const Stamp& stamp, std::string state, std::string reason) -> PluginState& {
    states.push_back({std::string(stamp.name.view()),
                      std::string(stamp.kind.view()),
                      std::string(stamp.version.view()),
                      std::move(state),
                      std::move(reason),
                      {},
                      {}});
    const auto refused = unavailable_.find(called(stamp.kind.view(), stamp.name.view()));
    PluginState& added = states.back();
    if (refused != unavailable_.end() && added.reason.empty()) {
      added.state = "unavailable";
      added.reason = refused->second;
    }
    return added;
  };
  for (const Descriptor& descriptor : built_in_) add(*descriptor.stamp, "ready", "");
  for (const Candidate& candidate : candidates_) {
    const Stamp& stamp = candidate.stamp;
    const bool rejected = !candidate.fault.empty();
    const bool loaded = libraries_.contains(candidate.file);
    const char* state = rejected ? "rejected" : loaded ? "loaded" : "ready";
    PluginState& added = add(stamp, state, candidate.fault);
    added.file = candidate.file;
    if (rejected) continue;
    const auto first =
        std::find_if(candidates_.begin(), candidates_.end(), [&](const Candidate& other) {
          return other.fault.empty() && other.offers(stamp.kind.view(), stamp.name.view());
        });
    const bool own = candidate.tier > 0 && built_in(stamp.kind.view(), stamp.name.view());
    if (!own && first->tier == candidate.tier) continue;
    added.state = "shadowed";
    added.reason = own ? "the framework has its own" : "";
    if (!own) added.shadowed_by = first->file;
  }
  return states;
}

std::vector<std::string> Registry::names(std::string_view kind) {
  const std::lock_guard lock(mutex_);
  scan();
  std::vector<std::string> names;
  for (const Descriptor& descriptor : built_in_) {
    if (descriptor.kind() == kind) names.emplace_back(descriptor.name());
  }
  for (const Candidate& candidate : candidates_) {
    if (candidate.fault.empty() && candidate.stamp.kind.view() == kind) {
      names.emplace_back(candidate.stamp.name.view());
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

filesystem::path Registry::file_of(std::string_view kind, std::string_view name) {
  const std::lock_guard lock(mutex_);
  if (built_in(kind, name) && !places_.files.contains(std::string(name))) return {};
  const Candidate* candidate = chosen(kind, name);
  if (!candidate && !built_in(kind, name)) not_found(kind, name);
  return candidate ? candidate->file : filesystem::path();
}

std::string Registry::manual_of(std::string_view kind, std::string_view name) {
  const std::string_view own = find(kind, name).manual;
  const filesystem::path file = file_of(kind, name);
  return !own.empty() || file.empty() ? std::string(own) : read_plugin_file(file).manual;
}

}  // namespace lathe
