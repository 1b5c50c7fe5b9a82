// All components by kind and name: those of the framework, and those of plugin files, which are
// found by their stamps and loaded when first used.
#pragma once

#include <lathe/plugin/plugin.h>

#include <deque>
#include <filesystem>
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
};

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

  // Loads the plugin when it is not. Without a version of the interface, any is taken: enough to
  // look at options and the manual.
  const Descriptor& find(std::string_view kind, std::string_view name, int interface_version = 0);

  // Everything known, without loading anything: components of the framework, then files.
  std::vector<PluginState> states();
  std::vector<std::string> names(std::string_view kind);
  // The file that provides the component; empty for those of the framework.
  std::filesystem::path file_of(std::string_view kind, std::string_view name);
  // What the component says about itself: its type's `manual`, or the comment that its plugin's
  // source begins with; "" without either.
  std::string manual_of(std::string_view kind, std::string_view name);

 private:
  struct Candidate;
  void add_built_in(const Stamp& stamp, Descriptor (*describe)(const Stamp&));
  void* create_any(const Descriptor& descriptor, const Config& config);
  void scan();
  void scan_file(const std::filesystem::path& file, std::size_t tier);
  const Candidate* chosen(std::string_view kind, std::string_view name);
  [[noreturn]] void not_found(std::string_view kind, std::string_view name);
  const Descriptor& load(const Candidate& candidate);
  const Descriptor* built_in(std::string_view kind, std::string_view name) const;

  PluginPlaces places_;
  std::recursive_mutex mutex_;
  bool scanned_ = false;
  std::vector<std::filesystem::path> searched_;
  std::deque<Stamp> stamps_;  // of the framework's own; deques, so that places stay
  std::deque<Descriptor> built_in_;
  std::vector<Candidate> candidates_;
  std::map<std::filesystem::path, std::span<const Descriptor>> libraries_;
  std::map<std::string, std::string> unavailable_;  // by "kind 'name'": why it refused
};

}  // namespace lathe
