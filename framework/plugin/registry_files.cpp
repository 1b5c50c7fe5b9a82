// The registry's files: where they are looked for, how each is judged, what is known of it, and
// when it is loaded.
#include <lathe/base/error.h>
#include <lathe/base/log.h>
#include <lathe/plugin/core_library.h>
#include <lathe/plugin/loader.h>
#include <lathe/plugin/registry_parts.h>
#include <lathe/plugin/stamp_reader.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>
#include <sstream>

namespace lathe {
namespace filesystem = std::filesystem;

namespace {
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

std::string listed(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += cat(text.empty() ? "" : ", ", part);
  return text;
}
}  // namespace

void Registry::declare_kind(std::string_view kind, int interface_version) {
  const std::lock_guard lock(mutex_);
  kinds_[std::string(kind)] = interface_version;
  forget_scan();
}

void Registry::set_guard(FileGuard guard) {
  const std::lock_guard lock(mutex_);
  guard_ = std::move(guard);
  for (auto& [file, library] : libraries_) library.known.reset();
}

void Registry::forget_scan() {
  candidates_.clear();
  searched_.clear();
  scanned_ = false;
}

std::string Registry::fault_of(const Stamp& stamp, std::string_view hash_of_headers) const {
  const auto kind = kinds_.find(stamp.kind.view());
  const std::string fault = kind == kinds_.end() ? "" : interface_fault(stamp, kind->second);
  return fault.empty() ? stamp_fault(stamp, hash_of_headers) : fault;
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
  forget_scan();
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

// What is known of a file that the scan has accepted: by an earlier probe, by its sidecar, or by a
// probe now. Nothing when a probe would be needed and may not be made.
const Probe* Registry::known(const filesystem::path& file, bool may_probe) {
  Library& library = libraries_[file];
  if (library.known) return &*library.known;
  const LibraryIdentity identity = library_identity(file);
  const std::string refusal = guard_ ? guard_(file, identity.sha256) : "";
  if (!refusal.empty()) return &library.known.emplace(Probe{.sidecar = {}, .fault = refusal});
  library.known = KeptProbes(places_.probe_folder).find(identity);
  if (library.known) return &*library.known;
  try {
    const std::optional<Sidecar> sidecar = read_sidecar(sidecar_of(file), identity);
    if (sidecar) return &library.known.emplace(Probe{.sidecar = *sidecar});
  } catch (const Error& error) {
    log_warning(error.what(), ", so the plugin itself is asked. To write it anew: lathe sidecar ",
                file.string());
  }
  return may_probe ? &library.known.emplace(asked(file, identity)) : nullptr;
}

Probe Registry::asked(const filesystem::path& file, const LibraryIdentity& identity) {
  Probe probe = probe_library(file);
  KeptProbes(places_.probe_folder).keep(identity, probe);
  return probe;
}

void Registry::probe_all() {
  const std::lock_guard lock(mutex_);
  scan();
  std::set<filesystem::path> files;
  for (const Candidate& candidate : candidates_) {
    if (candidate.fault.empty()) files.insert(candidate.file);
  }
  for (const filesystem::path& file : files) {
    libraries_[file].known = asked(file, library_identity(file));
  }
}

const Description& Registry::described(const Candidate& candidate) {
  const Probe& probe = *known(candidate.file, true);
  if (!probe.fault.empty()) fail(probe.fault, " (file ", candidate.file.string(), ")");
  const Description* found =
      probe.sidecar.find(candidate.stamp.kind.view(), candidate.stamp.name.view());
  if (found != nullptr) return *found;
  fail("E109 the sidecar of ", candidate.file.string(), " does not know the ",
       candidate.stamp.kind.view(), " '", candidate.stamp.name.view(),
       "' that the library has. Write it anew: lathe sidecar ", candidate.file.string());
}

// The library, loaded once; then its stamps, its file and its declarations must still be those that
// it was judged by.
const Descriptor& Registry::load(const Candidate& candidate) {
  const Description& promised = described(candidate);
  Library& library = libraries_[candidate.file];
  const bool first = !library.loaded;
  if (first) library.loaded = load_library(candidate.file);
  const bool same = !first || library_identity(candidate.file) == library.known->sidecar.library;
  for (const Descriptor& descriptor : *library.loaded) {
    if (!same || std::memcmp(descriptor.stamp, &candidate.stamp, sizeof(Stamp)) != 0) continue;
    const std::string wrong = difference(promised, description_of(descriptor, promised.manual));
    if (wrong.empty()) return descriptor;
    fail("E109 the sidecar of ", candidate.file.string(), " says otherwise than the library about ",
         wrong, " of ", promised.kind, " '", promised.name, "'. Write it anew: lathe sidecar ",
         candidate.file.string());
  }
  fail("E101 the plugin file ", candidate.file.string(),
       " changed while it was being loaded. Start again.");
}

}  // namespace lathe
