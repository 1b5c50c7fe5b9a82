// An experiment: a composed configuration whose every key has been checked against what the
// plugins declare, before anything runs.
#pragma once

#include <lathe/config/compose.h>
#include <lathe/plugin/registry.h>
#include <lathe/run/settings.h>

#include <filesystem>
#include <string>
#include <vector>

namespace lathe {

// A table of the experiment that a plugin fills: [model] use = "gpt".
struct Slot {
  std::string table;
  std::string kind;
  std::string fallback;   // the plugin when `use` is absent; empty: it must be named
  bool optional = false;  // may be absent altogether
  bool many = false;      // a list of tables: [[reward]]
};
const std::vector<Slot>& slots();

// Tables of a file that say how many runs are made of it and where. They are no part of a run, and
// who makes them (study/plan.h) checks them.
inline constexpr const char* study_tables[] = {"sweep", "launcher"};

// What an experiment may write in the table of a component: its options, and for some kinds those
// of the loop.
Schema table_schema(const Description& component);

// A plugin that an experiment uses, and the path of its table: "model", "reward.0".
struct Filling {
  std::string path;
  std::string kind;
  std::string plugin;
};

class Experiment {
 public:
  // Reads and validates; throws an Error that lists every fault.
  Experiment(const std::filesystem::path& file, const std::vector<std::string>& arguments,
             Registry& registry);
  // The same under another name than the file's: a run that goes on keeps its experiment's.
  Experiment(const std::filesystem::path& file, const std::vector<std::string>& arguments,
             Registry& registry, std::string name);
  // Of what has been composed already: a stage of a file.
  Experiment(const Composed& composed, Registry& registry, std::string name);

  const Config& config() const { return config_; }         // defaults not written out
  Config resolved() const;                                 // with every default
  const std::string& name() const { return name_; }        // the file's stem
  const std::string& variant() const { return variant_; }  // "full", or names joined by "+"
  const std::vector<std::string>& files() const { return files_; }
  std::uint64_t seed() const { return static_cast<std::uint64_t>(TopSettings(config_).seed); }

  std::string plugin_of(const std::string& path) const;
  Config table(const std::string& path) const;  // empty where absent
  bool uses(const std::string& table) const;    // an optional slot is filled
  // Every plugin in use, in the order of the slots.
  std::vector<Filling> fillings() const;

  // Hash of what decides results: the configuration without runtime keys and seed, and the
  // versions of the plugins. 64 hexadecimal digits.
  std::string identity() const;
  // <runs>/<name>/<variant>-<id8>/s<seed>
  std::filesystem::path folder() const;

 private:
  void name_plugins();
  void prefer_plugin_files();
  void validate() const;
  std::vector<std::string> faults() const;
  std::vector<std::string> unmet_needs() const;
  void note_slot_faults(const Slot& slot, std::vector<std::string>& all) const;
  Schema schema_of_table(const std::string& path) const;

  Config config_;
  std::string name_;
  std::string variant_ = "full";
  std::vector<std::string> files_;
  Registry& registry_;
};

}  // namespace lathe
