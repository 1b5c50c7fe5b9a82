#include <lathe/run/stages.h>

#include <lathe/base/hash.h>
#include <lathe/base/log.h>

#include <algorithm>
#include <optional>

namespace lathe {
namespace {
constexpr std::string_view table = "stage";
constexpr std::string_view start = "train.start";
constexpr std::string_view run_of_stage = "stage:";

// Becomes a folder of that name.
void demand_name(const Config& stage, const std::string& name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
  if (!plain || name.empty() || name == "checkpoints") {
    fail(stage.where(), ": '", name, "' cannot name a stage: use letters, digits, '_' and '-'");
  }
  if (!stage.is_table()) {
    fail(stage.where(), ": [stage.", name, "] expects a table of changes, not ",
         described_value(stage));
  }
}

// The file as the stage sees it.
Composed changed(const Composed& whole, const Config& changes) {
  Composed own = whole;
  own.config = merge(whole.config.without(table), changes.rooted("")).rooted("");
  return own;
}

// Texts "stage:NAME" become the folder of that stage's run, which must come earlier.
Config with_folders(const Config& config, const std::vector<Stage>& earlier,
                    const std::filesystem::path& folder) {
  Config whole = config;
  if (config.is_list()) {
    for (std::size_t i = 0; i < config.items().size(); ++i) {
      whole = whole.with(cat(i), with_folders(config.items()[i].rooted(""), earlier, folder));
    }
  } else if (config.is_table()) {
    for (const auto& [key, value] : config.members()) {
      whole = whole.with(join_path("", key), with_folders(value.rooted(""), earlier, folder));
    }
  } else if (config.type() == Config::Type::text) {
    const auto text = config.as<std::string>();
    if (!text.starts_with(run_of_stage)) return config;
    const std::string name = text.substr(run_of_stage.size());
    for (const Stage& stage : earlier) {
      if (stage.name == name) return Config::text((folder / name).string(), config.origin());
    }
    fail(config.where(), ": \"", text, "\" means the run of an earlier stage of this file, and ",
         earlier.empty() ? cat("none comes before")
                         : cat("the last one before is '", earlier.back().name, "'"));
  }
  return whole;
}

// The longest beginning of the path that every stage writes.
std::string written_by_all(const Config& stages, const std::string& path) {
  const std::vector<std::string> parts = split_path(path);
  for (std::size_t count = parts.size(); count > 1; --count) {
    std::string begin;
    for (std::size_t i = 0; i < count; ++i) begin = join_path(begin, parts[i]);
    const auto writes = [&](const Config::Member& stage) { return stage.value.has(begin); };
    if (std::all_of(stages.members().begin(), stages.members().end(), writes)) return begin;
  }
  return parts.front();
}

std::string identity_of(const std::vector<Composed>& all, const std::string& name,
                        Registry& registry) {
  std::string identities;
  for (const Composed& composed : all) {
    identities += Experiment(composed, registry, name).identity() + "\n";
  }
  return sha256(identities);
}
}  // namespace

void warn_of_overridden(const Composed& whole) {
  const std::optional<Config> stages = whole.config.find(table);
  if (!stages || !stages->is_table() || stages->members().empty()) return;
  for (const KeyOrigin& key : origins(whole.config.without(table))) {
    if (!key.origin.file.starts_with("command line")) continue;
    const auto counts = [&](const Config::Member& stage) {
      const auto own = changed(whole, stage.value).config.find(key.path);
      return own && own->origin().file == key.origin.file;
    };
    if (std::any_of(stages->members().begin(), stages->members().end(), counts)) continue;
    std::string instead;
    for (const auto& [name, changes] : stages->members()) {
      instead += cat(instead.empty() ? "" : " or ", join_path(table, name), ".", key.path, "=...");
    }
    log_warning(key.origin.where(), ": has no effect, since every stage sets '",
                written_by_all(*stages, key.path), "' itself. Write ", instead);
  }
}

Stages read_stages(const std::filesystem::path& file, const std::vector<std::string>& arguments,
                   Registry& registry, std::string name, std::filesystem::path folder) {
  if (name.empty()) name = file.stem().string();
  const Composed whole = compose(file, arguments);
  Stages stages = read_stages(whole, registry, std::move(name), std::move(folder));
  warn_of_overridden(whole);
  return stages;
}

Stages read_stages(const Composed& whole, Registry& registry, std::string name,
                   std::filesystem::path folder) {
  const std::optional<Config> written = whole.config.find(table);
  if (!written) {
    Experiment only(whole, registry, name);
    if (folder.empty()) folder = only.folder();
    const std::string identity = only.identity();
    return {{{"", std::move(only)}}, whole.config, folder, identity};
  }
  if (!written->is_table() || written->members().empty()) {
    fail(written->where(), ": [stage] expects tables [stage.NAME], in the order of the stages");
  }
  std::vector<Composed> parts;
  for (const auto& [key, changes] : written->members()) {
    demand_name(changes, key);
    parts.push_back(changed(whole, changes));
  }
  Stages stages{.all = {},
                .config = whole.config,
                .folder = std::move(folder),
                .identity = identity_of(parts, name, registry)};
  if (stages.folder.empty()) {
    const Experiment first(parts.front(), registry, name);
    const TopSettings top(first.config());
    stages.folder = std::filesystem::path(top.runs) / name /
                    (first.variant() + "-" + stages.identity.substr(0, 8)) / cat("s", top.seed);
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Composed& part = parts[i];
    const auto& [key, changes] = written->members()[i];
    if (i > 0 && !part.config.has(start)) {
      const std::string before = (stages.folder / stages.all.back().name).string();
      part.config = part.config.with(start, Config::text(before, changes.origin()));
      stages.config = stages.config.with(cat(table, ".", key, ".", start), Config::text(before));
    }
    part.config = with_folders(part.config, stages.all, stages.folder);
    stages.all.push_back({key, Experiment(part, registry, name)});
  }
  return stages;
}

}  // namespace lathe
