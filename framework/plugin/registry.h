// All components by kind and name: those of the framework, and those of plugin files, which are
// found by their stamps and loaded when first used.
#pragma once

#include <lathe/plugin/plugin.h>
#include <lathe/plugin/probe.h>

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace lathe {

// Where plugin files are looked for. Earlier places win; the working directory is never one.
struct PluginPlaces {
  std::map<std::string, std::filesystem::path> files = {};  // [plugins] name = "path"
  std::vector<std::filesystem::path> folders = {};          // --plugin-path
  bool user_folders = true;  // LATHE_PLUGIN_PATH, then the user data folder + /lathe/plugins
  std::filesystem::path library_folder = {};  // <prefix>/lib/lathe/plugins
  std::filesystem::path probe_folder = {};    // where results of probes are kept; empty: nowhere
};

// A further judge of plugin files, before anything of them runs (a lock file): why this file with
// this SHA-256 is refused, or "".
using FileGuard =
    std::function<std::string(const std::filesystem::path& file, const std::string& sha256)>;

struct PluginState {
  std::string name;
  std::string kind;
  std::string version;
  std::string state;           // ready, loaded, unavailable, rejected, shadowed
  std::string reason;          // of unavailable and rejected
  std::filesystem::path file;  // empty for components of the framework
  std::filesystem::path shadowed_by;
};

class Registry {
 public:
  explicit Registry(PluginPlaces places = {});
  ~Registry();

  // A component that is part of the framework (or of a test).
  template <class Kind, class Type>
  void add(std::string_view name, std::string_view version) {
    add_built_in(make_stamp(Kind::kind, Kind::interface_version, name, version),
                 &descriptor_of<Kind, Type>);
  }

  // Checks the config against the declared options, then makes the component. Throws Unavailable
  // when this machine cannot offer it; every other failure is an Error that names the component.
  template <class Kind>
  std::unique_ptr<Kind> create(std::string_view name, const Config& config) {
    return std::unique_ptr<Kind>(
        static_cast<Kind*>(create_any(find(Kind::kind, name, Kind::interface_version), config)));
  }

  // The component `name` comes from this file, before all folders: [plugins] name = "path". An
  // Error where the file is refused or offers no such component.
  void prefer(const std::string& name, const std::filesystem::path& file);

  // The version of the interface that this host has of a kind, so that other versions are refused
  // before they are loaded. Kinds that are not declared are known by their components alone.
  template <class Kind>
  void add_kind() {
    declare_kind(Kind::kind, Kind::interface_version);
  }

  // What the component says about itself, without loading it: from its sidecar, or by a probe in a
  // child process where that is missing or stale. Error when the library is refused or died there.
  const Description& describe(std::string_view kind, std::string_view name);
  // Probes all plugin files anew, whatever their sidecars and earlier probes say.
  void probe_all();
  // From now on each file is shown to the guard before it is probed or loaded.
  void set_guard(FileGuard guard);

  // Loads the plugin when it is not. Without a version of the interface, any is taken: enough to
  // look at options and the manual.
  const Descriptor& find(std::string_view kind, std::string_view name, int interface_version = 0);

  // Everything known, without loading anything: components of the framework, then files.
  std::vector<PluginState> states();
  std::vector<std::string> names(std::string_view kind);
  // The file that provides the component; empty for those of the framework.
  std::filesystem::path file_of(std::string_view kind, std::string_view name);
  // "kind 'name'" of the components that offer the word, as far as it is known without a probe.
  std::vector<std::string> providers(std::string_view word);
  // The component's type's `manual`, or the comment that its plugin's source begins with; ""
  // without either.
  std::string manual_of(std::string_view kind, std::string_view name);

 private:
  struct Candidate;
  struct Library;
  void add_built_in(const Stamp& stamp, Descriptor (*make)(const Stamp&));
  void declare_kind(std::string_view kind, int interface_version);
  std::string fault_of(const Stamp& stamp, std::string_view hash_of_headers) const;
  void* create_any(const Descriptor& descriptor, const Config& config);
  void scan();
  void forget_scan();
  void scan_file(const std::filesystem::path& file, std::size_t tier);
  const Candidate* chosen(std::string_view kind, std::string_view name);
  const Candidate* located(std::string_view kind, std::string_view name);
  const Probe* known(const std::filesystem::path& file, bool may_probe);
  Probe asked(const std::filesystem::path& file, const LibraryIdentity& identity);
  const Description& described(const Candidate& candidate);
  [[noreturn]] void not_found(std::string_view kind, std::string_view name);
  const Descriptor& load(const Candidate& candidate);
  PluginState state_of(const Stamp& stamp, const Candidate* candidate);
  void note_shadow(PluginState& state, const Stamp& stamp, std::size_t tier) const;
  const Descriptor* built_in(std::string_view kind, std::string_view name) const;

  PluginPlaces places_;
  std::recursive_mutex mutex_;
  bool scanned_ = false;
  std::vector<std::filesystem::path> searched_;
  std::deque<Stamp> stamps_;  // of the framework's own; deques, so that places stay
  std::deque<Descriptor> built_in_;
  std::vector<Candidate> candidates_;
  std::map<std::filesystem::path, Library> libraries_;
  std::map<std::string, Description> built_in_descriptions_;  // by "kind 'name'"
  std::map<std::string, int, std::less<>> kinds_;             // versions of their interfaces
  FileGuard guard_;
  std::map<std::string, std::string> unavailable_;  // by "kind 'name'": why it refused
};

}  // namespace lathe
