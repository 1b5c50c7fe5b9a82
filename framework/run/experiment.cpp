#include <lathe/run/experiment.h>

#include <lathe/base/hash.h>

#include <algorithm>
#include <map>

namespace lathe {
namespace {
// The tables of the loop, by name.
const std::map<std::string, Schema>& loop_tables() {
  static const std::map<std::string, Schema> tables = {
      {"train", schema_of<TrainSettings>()},
      {"evaluate", schema_of<EvaluateSettings>()},
      {"checkpoint", schema_of<CheckpointSettings>()},
      {"sample", schema_of<SampleSettings>()}};
  return tables;
}

// Explicit plugin files: names chosen by the user, read by the registry.
constexpr std::string_view plugin_files = "plugins";

// The keys outside of all tables, and the tables themselves.
Schema top_schema() {
  Schema schema = schema_of<TopSettings>();
  const auto add = [&](const std::string& name) {
    schema.options.push_back({.name = name, .type = OptionType::table});
  };
  for (const auto& [name, table] : loop_tables()) add(name);
  for (const Slot& slot : slots()) add(slot.table);
  return schema;
}

Schema schema_of_plugin(Registry& registry, const std::string& kind, const std::string& name) {
  Schema schema;
  const Descriptor& descriptor = registry.find(kind, name);
  if (descriptor.describe != nullptr) descriptor.describe(schema);
  return schema;
}
}  // namespace

const std::vector<Slot>& slots() {
  static const std::vector<Slot> all = {
      {"backend", "backend", "onednn"},    {"data", "dataset", ""},
      {"tokenizer", "tokenizer", "chars"}, {"feed", "feed", "rows"},
      {"model", "model", "gpt"},           {"objective", "objective", "sft"},
      {"optimizer", "optimizer", "adamw"}, {"schedule", "schedule", "constant"}};
  return all;
}

Experiment::Experiment(const std::filesystem::path& file, const std::vector<std::string>& arguments,
                       Registry& registry)
    : Experiment(file, arguments, registry, file.stem().string()) {}

Experiment::Experiment(const std::filesystem::path& file, const std::vector<std::string>& arguments,
                       Registry& registry, std::string name)
    : name_(std::move(name)), registry_(registry) {
  Composed composed = compose(file, arguments);
  config_ = composed.config;
  files_ = composed.files;
  if (!composed.applied.empty()) variant_.clear();
  for (const std::string& variant : composed.applied) {
    variant_ += (variant_.empty() ? "" : "+") + variant;
  }
  name_plugins();
  prefer_plugin_files();
  validate();
}

// feed = "windows", or feed=windows on the command line, is [feed] use = "windows".
void Experiment::name_plugins() {
  for (const Slot& slot : slots()) {
    const auto name = config_.find(slot.table);
    if (!name || name->type() != Config::Type::text) continue;
    const Config named = Config::table({}, name->origin()).with("use", *name);
    config_ = config_.without(slot.table).with(slot.table, named);
  }
}

// The paths become absolute, so that the run can be resumed from anywhere.
void Experiment::prefer_plugin_files() {
  const auto files = config_.find(plugin_files);
  if (!files) return;
  for (const auto& [name, value] : files->members()) {
    const std::filesystem::path file = std::filesystem::absolute(value.as<std::string>());
    try {
      registry_.prefer(name, file);
    } catch (const Error& error) {
      fail(value.where(), ": ", error.what());
    }
    config_ =
        config_.with(join_path(plugin_files, name), Config::text(file.string(), value.origin()));
  }
}

std::string Experiment::plugin_of(const std::string& table) const {
  for (const Slot& slot : slots()) {
    if (slot.table != table) continue;
    const auto use = config_.find(table + ".use");
    if (use) return use->as<std::string>();
    if (!slot.fallback.empty()) return slot.fallback;
    fail(config_.where(), ": [", table, "] needs use = \"...\": the name of a ", slot.kind,
         ". `lathe plugins` lists what there is");
  }
  fail("no table '", table, "' takes a plugin");
}

Config Experiment::table(const std::string& name) const {
  const auto found = config_.find(name);
  return found ? *found : Config::table({}, config_.origin()).placed(name, config_.origin());
}

Schema Experiment::schema_of_table(const std::string& table) const {
  const auto loop = loop_tables().find(table);
  if (loop != loop_tables().end()) return loop->second;
  for (const Slot& slot : slots()) {
    if (slot.table == table) return schema_of_plugin(registry_, slot.kind, plugin_of(table));
  }
  return {};
}

std::vector<std::string> Experiment::faults() const {
  std::vector<std::string> all;
  const auto note = [&](std::vector<std::string> some) {
    all.insert(all.end(), some.begin(), some.end());
  };
  note(check(config_.without(plugin_files), top_schema(), "the experiment"));
  if (!all.empty()) return all;

  for (const auto& [name, schema] : loop_tables())
    note(check(table(name), schema, "[" + name + "]"));
  for (const Slot& slot : slots()) {
    try {
      const std::string plugin = plugin_of(slot.table);
      note(check(table(slot.table), schema_of_plugin(registry_, slot.kind, plugin),
                 cat(slot.kind, " '", plugin, "'")));
    } catch (const Error& error) {
      const auto use = config_.find(slot.table + ".use");
      all.push_back(use ? cat(use->where(), ": ", error.what()) : error.what());
    }
  }
  return all;
}

void Experiment::validate() const {
  const std::vector<std::string> all = faults();
  if (all.empty()) return;
  std::string text;
  for (const std::string& fault : all) text += (text.empty() ? "" : "\n") + fault;
  throw Error(text);
}

Config Experiment::resolved() const {
  Config result = with_defaults(config_, schema_of<TopSettings>());
  for (const auto& [name, schema] : loop_tables()) {
    result = result.with(name, with_defaults(table(name), schema));
  }
  for (const Slot& slot : slots()) {
    const std::string plugin = plugin_of(slot.table);
    Config named = table(slot.table);
    if (!named.find("use")) named = named.with("use", Config::text(plugin));
    result = result.with(slot.table, with_defaults(named, schema_of_table(slot.table)));
  }
  return result;
}

std::string Experiment::identity() const {
  Config result = Config::table({});
  for (const auto& [name, schema] : loop_tables()) {
    result = result.with(name, identity_of(table(name), schema));
  }
  for (const Slot& slot : slots()) {
    if (slot.table == "backend") continue;  // where it runs; the manifest says which
    const std::string plugin = plugin_of(slot.table);
    Config part = identity_of(table(slot.table), schema_of_table(slot.table));
    part = part.with("use", Config::text(plugin));
    part = part.with("version",
                     Config::text(std::string(registry_.find(slot.kind, plugin).version())));
    result = result.with(slot.table, part);
  }
  return sha256(result.to_json());
}

std::filesystem::path Experiment::folder() const {
  const TopSettings top(config_);
  return std::filesystem::path(top.runs) / name_ / cat(variant_, "-", identity().substr(0, 8)) /
         cat("s", top.seed);
}

}  // namespace lathe
