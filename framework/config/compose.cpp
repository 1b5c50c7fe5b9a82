#include <lathe/base/error.h>
#include <lathe/config/compose.h>
#include <lathe/config/nearest.h>
#include <lathe/config/reference.h>
#include <lathe/config/toml.h>

#include <algorithm>

namespace lathe {
namespace {
namespace filesystem = std::filesystem;

// Reads files and what they include; remembers the way that led to the present one.
class Reader {
 public:
  explicit Reader(std::vector<std::string>& files) : files_(files) {}

  Config read(const filesystem::path& file) {
    const filesystem::path identity = filesystem::weakly_canonical(file);
    chain_.push_back(identity);
    const Config own = read_toml(file);
    Config result;
    if (const std::optional<Config> include = own.find("include")) {
      if (include->is_list()) {
        for (const Config& item : include->items()) result = merge(result, included(file, item));
      } else {
        result = included(file, *include);
      }
    }
    chain_.pop_back();
    files_.push_back(file.generic_string());
    return merge(result, own.without("include")).placed("", own.origin());
  }

 private:
  Config included(const filesystem::path& from, const Config& item) {
    const bool detailed = item.is_table();
    const std::string name = (detailed ? item.at("path") : item).as<std::string>();
    const bool optional = detailed && item.get("optional", false);
    const filesystem::path file = (from.parent_path() / name).lexically_normal();
    if (!filesystem::exists(file)) {
      if (optional) return {};
      fail(item.where(), ": the included file '", name, "' does not exist (looked for ",
           filesystem::absolute(file).lexically_normal().generic_string(),
           "). Paths are relative to the file that includes.");
    }
    const filesystem::path identity = filesystem::weakly_canonical(file);
    if (std::find(chain_.begin(), chain_.end(), identity) != chain_.end()) {
      std::string chain;
      for (const filesystem::path& step : chain_) chain += cat(step.filename().string(), " -> ");
      fail(item.where(), ": the includes go in a circle: ", chain, identity.filename().string());
    }
    return read(file);
  }

  std::vector<std::string>& files_;
  std::vector<filesystem::path> chain_;
};

// A slot in its short form as the table that it stands for: objective = "sft".
Config slot_named(const Config& name) {
  return Config::table({{"use", name}}, name.origin()).rooted(name.path());
}

// The short forms on the way to `path` written out, so that they can have options. Which strings
// name plugins is not known here; where another gets keys, the check of the table refuses it.
Config with_slots_on(Config root, const std::vector<std::string>& parts) {
  std::string above;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    above = join_path(above, parts[i]);
    const std::optional<Config> present = root.find(above);
    if (present && present->type() == Config::Type::text) {
      return root.with(above, slot_named(*present));
    }
  }
  return root;
}

// Merges the value into the key at `path`. Setting the key `use` is setting its slot.
Config merged_at(const Config& root, const std::string& path, const Config& value) {
  const std::vector<std::string> parts = split_path(path);
  if (parts.empty()) fail(value.where(), ": an empty key");
  if (parts.size() > 1 && parts.back() == "use") {
    std::string slot;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) slot = join_path(slot, parts[i]);
    return merged_at(root, slot, Config::table({{"use", value}}, value.origin()));
  }
  const std::optional<Config> present = root.find(path);
  if (present) return root.with(path, merge(*present, value));
  return with_slots_on(root, parts).with(path, value);
}

Config with_all(Config root, const Config& changes) {
  for (const Config::Member& change : changes.members()) {
    root = merged_at(root, change.key, change.value);
  }
  return root;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += cat(text.empty() ? "" : ", ", name);
  return text;
}

Config with_variant(const Config& root, const Config& variants, const std::string& name) {
  const std::optional<Config> variant = variants.find(join_path("", name));
  if (variant) return with_all(root, variant->at("set"));
  std::vector<std::string> names;
  for (const Config::Member& member : variants.members()) names.push_back(member.key);
  fail("command line '@", name, "': no such variant.", suggestion(name, names),
       names.empty() ? " The experiment has none." : cat(" Variants: ", listed(names), "."));
}

// The '=' that ends the key, which may have quoted parts.
std::size_t equals_of(std::string_view argument) {
  char quote = '\0';
  for (std::size_t i = 0; i < argument.size(); ++i) {
    const char c = argument[i];
    if (quote == '\0' && c == '=') return i;
    if (quote == '\0' && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = '\0';
    }
  }
  return std::string_view::npos;
}

// The stages that the value would add at `path`.
std::vector<std::string> new_stages(const Config& root, const std::string& path,
                                    const Config& value) {
  const std::vector<std::string> parts = split_path(path);
  if (parts.empty() || parts.front() != "stage") return {};
  std::vector<std::string> names;
  if (parts.size() > 1) {
    names.push_back(parts[1]);
  } else if (value.is_table()) {
    for (const Config::Member& member : value.members()) names.push_back(member.key);
  }
  std::erase_if(names, [&](const std::string& name) { return root.has(join_path("stage", name)); });
  return names;
}

// A mistyped stage would be one more to train.
void demand_known_stages(const Config& root, const std::string& path, const Config& value) {
  const std::vector<std::string> added = new_stages(root, path, value);
  if (added.empty()) return;
  std::vector<std::string> names;
  const std::optional<Config> stages = root.find("stage");
  if (stages && stages->is_table()) {
    for (const Config::Member& member : stages->members()) names.push_back(member.key);
  }
  fail(value.where(), ": there is no stage '", added.front(), "'.",
       suggestion(added.front(), names),
       names.empty() ? " The experiment has none." : cat(" Stages: ", listed(names), "."), " +",
       join_path("stage", added.front()), ".KEY=... adds it.");
}

Config overridden(const Config& root, const std::string& argument) {
  const Origin origin{cat("command line '", argument, "'")};
  const auto refuse = [&](const auto&... parts) { fail(origin.where(), ": ", parts...); };
  std::vector<std::string> paths;
  for (const KeyOrigin& key : origins(root)) paths.push_back(key.path);
  if (argument.starts_with('~')) {
    const std::string path = argument.substr(1);
    if (path.empty() || !root.has(path)) {
      refuse("no such key to remove.", suggestion(path, paths));
    }
    return root.without(path);
  }
  const bool adds = argument.starts_with('+');
  const std::size_t equals = equals_of(argument);
  if (equals == std::string_view::npos || equals == (adds ? 1U : 0U)) {
    refuse("expected key=value, +key=value, ~key, slot=plugin or @variant");
  }
  const std::string path = argument.substr(adds ? 1 : 0, equals - (adds ? 1 : 0));
  const std::optional<Config> present = root.find(path);
  if (adds && present) {
    refuse("the key is already set (", present->where(), "). Write ", path, "=... to change it.");
  }
  const Config value = parse_value(argument.substr(equals + 1), origin);
  if (!adds) demand_known_stages(root, path, value);
  return merged_at(root, path, value);
}

bool is_slot(const Config& value) { return value.is_table() && value.has("use"); }

Config merge_tables(const Config& base, const Config& over) {
  std::vector<Config::Member> members = base.members();
  for (const Config::Member& member : over.members()) {
    const auto same = [&](const Config::Member& other) { return other.key == member.key; };
    const auto found = std::find_if(members.begin(), members.end(), same);
    if (found != members.end()) {
      found->value = merge(found->value, member.value);
    } else {
      members.push_back(member);
    }
  }
  return Config::table(std::move(members), base.origin()).rooted(base.path());
}
}  // namespace

Config merge(const Config& base, const Config& over) {
  if (base.is_table() && over.type() == Config::Type::text) {
    return merge(base, slot_named(over));
  }
  if (base.type() == Config::Type::text && over.is_table()) return merge(slot_named(base), over);
  if (base.is_table() != over.is_table()) {
    fail(over.where(), ": '", base.path(), "' is ", described_value(base), " (", base.where(),
         ") and cannot become ", described_value(over));
  }
  if (!base.is_table()) return over.rooted(base.path());
  if (is_slot(base) && is_slot(over) && !(base.at("use") == over.at("use"))) {
    return over.rooted(base.path());
  }
  return merge_tables(base, over);
}

Composed compose(const filesystem::path& file, const std::vector<std::string>& arguments,
                 const Config& cell) {
  Composed composed;
  if (!filesystem::exists(file)) fail("the experiment file '", file.string(), "' does not exist");
  Config root = Reader(composed.files).read(file);
  composed.variants = root.find("variant").value_or(Config());
  root = root.without("variant");
  for (const std::string& argument : arguments) {
    if (!argument.starts_with('@')) continue;
    composed.applied.push_back(argument.substr(1));
    root = with_variant(root, composed.variants, composed.applied.back());
  }
  root = with_all(root, cell);
  for (const std::string& argument : arguments) {
    if (!argument.starts_with('@')) root = overridden(root, argument);
  }
  composed.config = resolve_references(root.rooted(""));
  return composed;
}

std::vector<KeyOrigin> origins(const Config& config) {
  std::vector<KeyOrigin> all;
  if (!config.is_table()) return {{config.path(), config.origin()}};
  for (const Config::Member& member : config.members()) {
    for (KeyOrigin& origin : origins(member.value)) all.push_back(std::move(origin));
  }
  return all;
}

}  // namespace lathe
