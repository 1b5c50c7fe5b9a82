#include <lathe/run/experiment.h>

#include <lathe/base/hash.h>
#include <lathe/learn/wrap.h>
#include <lathe/run/fit.h>

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
      {"sample", schema_of<SampleSettings>()},
      {"asynchronous", schema_of<AsynchronousSettings>()},
      {"wrap", schema_of<WrapSettings>()}};
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
  for (const Slot& slot : slots()) {
    if (!slot.many) add(slot.table);
  }
  return schema;
}

const Slot& slot_of(const std::string& path) {
  const std::string table = split_path(path).front();
  for (const Slot& slot : slots()) {
    if (slot.table == table) return slot;
  }
  fail("no table '", path, "' takes a plugin");
}

Config named(const Config& name) { return Config::table({}, name.origin()).with("use", name); }
}  // namespace

const std::vector<Slot>& slots() {
  static const std::vector<Slot> all = {{"backend", "backend", "onednn"},
                                        {"data", "dataset", "", true},
                                        {"tokenizer", "tokenizer", "chars"},
                                        {"environment", "environment", "", true},
                                        {"reward", "reward", "", true, true},
                                        {"feed", "feed", "rows"},
                                        {"model", "model", "gpt"},
                                        {"objective", "objective", "sft"},
                                        {"optimizer", "optimizer", "adamw"},
                                        {"schedule", "schedule", "constant"}};
  return all;
}

Schema table_schema(const Description& component) {
  Schema schema = component.schema;
  if (component.kind == "reward") {  // what the sum of rewards asks of each part
    const Schema part = schema_of<RewardSettings>();
    schema.options.insert(schema.options.end(), part.options.begin(), part.options.end());
  }
  return schema;
}

Experiment::Experiment(const std::filesystem::path& file, const std::vector<std::string>& arguments,
                       Registry& registry)
    : Experiment(file, arguments, registry, file.stem().string()) {}

Experiment::Experiment(const std::filesystem::path& file, const std::vector<std::string>& arguments,
                       Registry& registry, std::string name)
    : Experiment(compose(file, arguments), registry, std::move(name)) {}

Experiment::Experiment(const Composed& composed, Registry& registry, std::string name)
    : name_(std::move(name)), registry_(registry) {
  config_ = composed.config;
  for (const char* table : study_tables) config_ = config_.without(table);
  files_ = composed.files;
  if (const auto stages = config_.find("stage")) {
    fail(stages->where(), ": a file with stages is several experiments, and one is asked for here");
  }
  if (!composed.applied.empty()) variant_.clear();
  for (const std::string& variant : composed.applied) {
    variant_ += (variant_.empty() ? "" : "+") + variant;
  }
  name_plugins();
  prefer_plugin_files();
  validate();
}

// feed = "windows", or feed=windows on the command line, is [feed] use = "windows";
// reward = ["length", "regex"] is two tables [[reward]].
void Experiment::name_plugins() {
  for (const Slot& slot : slots()) {
    const auto value = config_.find(slot.table);
    if (!value) continue;
    if (!slot.many) {
      if (value->type() != Config::Type::text) continue;
      config_ = config_.without(slot.table).with(slot.table, named(*value));
      continue;
    }
    std::vector<Config> items = value->is_list() ? value->items() : std::vector<Config>{*value};
    for (Config& item : items) {
      if (item.type() == Config::Type::text) item = named(item);
      if (!item.is_table()) {
        fail(item.where(), ": [[", slot.table, "]] expects tables with use = \"...\", not ",
             described_value(item));
      }
    }
    config_ = config_.without(slot.table).with(slot.table, Config::list(items, value->origin()));
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

std::string Experiment::plugin_of(const std::string& path) const {
  const Slot& slot = slot_of(path);
  const auto use = config_.find(path + ".use");
  if (use) return use->as<std::string>();
  if (slot.table == "feed" && uses("environment")) return "rollouts";
  if (!slot.fallback.empty()) return slot.fallback;
  const auto place = config_.find(path);
  fail(place ? place->where() : config_.where(), ": [", slot.table,
       "] needs use = \"...\": the name of a ", slot.kind, ". `lathe plugins` lists what there is");
}

bool Experiment::uses(const std::string& table) const {
  const auto found = config_.find(table);
  return found && (!found->is_list() || !found->items().empty());
}

std::vector<Filling> Experiment::fillings() const {
  std::vector<Filling> all;
  for (const Slot& slot : slots()) {
    if (slot.many) {
      const std::size_t count = uses(slot.table) ? config_.at(slot.table).items().size() : 0;
      for (std::size_t i = 0; i < count; ++i) {
        const std::string path = cat(slot.table, ".", i);
        all.push_back({path, slot.kind, plugin_of(path)});
      }
      continue;
    }
    // Text needs a tokenizer; what acts in an environment need not have any text.
    const bool text = uses("data") || !uses("environment");
    if (slot.table == "data" && !text) continue;
    if (slot.table == "tokenizer" && !text) continue;
    if (slot.optional && slot.table != "data" && !uses(slot.table)) continue;
    all.push_back({slot.table, slot.kind, plugin_of(slot.table)});
  }
  return all;
}

Config Experiment::table(const std::string& path) const {
  const auto found = config_.find(path);
  return found ? *found : Config::table({}, config_.origin()).placed(path, config_.origin());
}

Schema Experiment::schema_of_table(const std::string& path) const {
  return table_schema(registry_.describe(slot_of(path).kind, plugin_of(path)));
}

std::vector<std::string> Experiment::faults() const {
  std::vector<std::string> all;
  const auto note = [&](std::vector<std::string> some) {
    all.insert(all.end(), some.begin(), some.end());
  };
  Config outer = config_.without(plugin_files);
  for (const Slot& slot : slots()) {
    if (slot.many) outer = outer.without(slot.table);
  }
  note(check(outer, top_schema(), "the experiment"));
  if (!all.empty()) return all;

  for (const auto& [name, schema] : loop_tables())
    note(check(table(name), schema, "[" + name + "]"));
  for (const Slot& slot : slots()) note_slot_faults(slot, all);
  if (all.empty()) note(unmet_needs());
  return all;
}

std::vector<std::string> Experiment::unmet_needs() const {
  std::vector<Need> needs;
  std::vector<const Description*> in_use;
  for (const Filling& filling : fillings()) {
    const Description& component = registry_.describe(filling.kind, filling.plugin);
    in_use.push_back(&component);
    const auto use = config_.find(filling.path + ".use");
    const std::string where = use ? use->where() : config_.where();
    for (const std::string& word : component.needs) {
      needs.push_back({word, cat(filling.kind, " '", filling.plugin, "'"), where});
    }
  }
  const auto precision = config_.find("train.precision");
  const std::string type = precision ? precision->as<std::string>() : "f32";
  if (type != "f32") {
    needs.push_back(
        {type + " precision", cat("[train] precision = \"", type, "\""), precision->where()});
  }
  const auto prompts = config_.find("sample.prompts");
  const bool fills_gaps = std::any_of(
      in_use.begin(), in_use.end(),
      [](const Description* component) { return component->offers("bidirectional attention"); });
  if (prompts && !prompts->items().empty() && !fills_gaps) {
    needs.push_back({"cached decoding", "[sample] with prompts", prompts->where()});
  }
  return misfits(needs, in_use, registry_);
}

void Experiment::note_slot_faults(const Slot& slot, std::vector<std::string>& all) const {
  std::vector<std::string> paths = {slot.table};
  if (slot.many) {
    paths.clear();
    const std::size_t count = uses(slot.table) ? config_.at(slot.table).items().size() : 0;
    for (std::size_t i = 0; i < count; ++i) paths.push_back(cat(slot.table, ".", i));
  } else if (!uses(slot.table) && (uses("environment") || slot.table == "environment") &&
             (slot.optional || slot.table == "tokenizer")) {
    return;
  }
  for (const std::string& path : paths) {
    try {
      const std::string plugin = plugin_of(path);
      const std::vector<std::string> some =
          check(table(path), schema_of_table(path), cat(slot.kind, " '", plugin, "'"));
      all.insert(all.end(), some.begin(), some.end());
    } catch (const Error& error) {
      const auto use = config_.find(path + ".use");
      all.push_back(use ? cat(use->where(), ": ", error.what()) : error.what());
    }
  }
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
  std::map<std::string, std::vector<Config>> many;
  for (const Filling& filling : fillings()) {
    Config own = table(filling.path);
    if (!own.find("use")) own = own.with("use", Config::text(filling.plugin));
    own = with_defaults(own, schema_of_table(filling.path));
    if (slot_of(filling.path).many) {
      many[slot_of(filling.path).table].push_back(own);
    } else {
      result = result.with(filling.path, own);
    }
  }
  for (const auto& [table, items] : many) result = result.with(table, Config::list(items));
  return result;
}

std::string Experiment::identity() const {
  Config result = Config::table({});
  for (const auto& [name, schema] : loop_tables()) {
    result = result.with(name, identity_of(table(name), schema));
  }
  for (const Filling& filling : fillings()) {
    if (filling.path == "backend") continue;  // where it runs; the manifest says which
    Config part = identity_of(table(filling.path), schema_of_table(filling.path));
    part = part.with("use", Config::text(filling.plugin));
    part = part.with("version",
                     Config::text(registry_.describe(filling.kind, filling.plugin).version));
    // A flat name: the identity is hashed, never read back.
    result = result.with(join_path("", filling.path), part);
  }
  return sha256(result.to_json());
}

std::filesystem::path Experiment::folder() const {
  const TopSettings top(config_);
  return std::filesystem::path(top.runs) / name_ / cat(variant_, "-", identity().substr(0, 8)) /
         cat("s", top.seed);
}

}  // namespace lathe
