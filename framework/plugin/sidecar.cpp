#include <lathe/base/error.h>
#include <lathe/base/file.h>
#include <lathe/base/json.h>
#include <lathe/config/toml.h>
#include <lathe/plugin/probe.h>
#include <lathe/plugin/sidecar.h>

#include <algorithm>
#include <array>
#include <utility>

namespace lathe {
namespace {
constexpr int format = 1;

constexpr std::array<std::pair<OptionType, const char*>, 10> types = {
    {{OptionType::boolean, "boolean"},
     {OptionType::int32, "int32"},
     {OptionType::int64, "int64"},
     {OptionType::float32, "float32"},
     {OptionType::float64, "float64"},
     {OptionType::text, "text"},
     {OptionType::integers, "integers"},
     {OptionType::numbers, "numbers"},
     {OptionType::texts, "texts"},
     {OptionType::table, "table"}}};

constexpr std::array<std::pair<Check::Kind, const char*>, 6> check_kinds = {
    {{Check::Kind::at_least, "at_least"},
     {Check::Kind::at_most, "at_most"},
     {Check::Kind::above, "above"},
     {Check::Kind::below, "below"},
     {Check::Kind::one_of, "one_of"},
     {Check::Kind::not_empty, "not_empty"}}};

template <class Table, class Value>
const char* word_of(const Table& table, Value value) {
  for (const auto& [known, word] : table) {
    if (known == value) return word;
  }
  fail("an option has a type or a check without a name");
}

template <class Table>
auto value_of(const Table& table, const std::string& word) {
  for (const auto& [known, name] : table) {
    if (word == name) return known;
  }
  fail("does not know the word '", word, "'");
}

Json check_json(const Check& check) {
  Json entry = {{"check", word_of(check_kinds, check.kind)}};
  if (check.kind == Check::Kind::one_of) {
    entry["choices"] = check.choices;
  } else if (check.kind != Check::Kind::not_empty) {
    entry["bound"] = check.bound;
  }
  return entry;
}

Check check_from(const Json& entry) {
  Check check{value_of(check_kinds, entry.at("check").get<std::string>())};
  if (check.kind == Check::Kind::one_of) {
    entry.at("choices").get_to(check.choices);
  } else if (check.kind != Check::Kind::not_empty) {
    entry.at("bound").get_to(check.bound);
  }
  return check;
}

// A default is TOML, as in an experiment: JSON has no infinities and one type of number.
Json option_json(const Option& option) {
  Json entry = {{"name", option.name},
                {"type", word_of(types, option.type)},
                {"meaning", option.meaning},
                {"required", option.required},
                {"affects_result", option.affects_result},
                {"checks", Json::array()}};
  if (!option.required && option.type != OptionType::table) {
    entry["default"] = option.fallback.to_text();
  }
  for (const Check& check : option.checks) entry["checks"].push_back(check_json(check));
  return entry;
}

Option option_from(const Json& entry) {
  Option option;
  entry.at("name").get_to(option.name);
  option.type = value_of(types, entry.at("type").get<std::string>());
  entry.at("meaning").get_to(option.meaning);
  entry.at("required").get_to(option.required);
  entry.at("affects_result").get_to(option.affects_result);
  for (const Json& check : entry.at("checks")) option.checks.push_back(check_from(check));
  if (!option.required && option.type != OptionType::table) {
    option.fallback = parse_value(entry.at("default").get<std::string>(), Origin());
    const std::string fault = fault_of(option.fallback, option, cat("'", option.name, "'"));
    if (!fault.empty()) fail("has a wrong default: ", fault);
  }
  return option;
}

Json component_json(const Description& component) {
  Json options = Json::array();
  for (const Option& option : component.schema.options) options.push_back(option_json(option));
  return {{"kind", component.kind},
          {"name", component.name},
          {"version", component.version},
          {"interface_version", component.interface_version},
          {"compiler", component.compiler},
          {"manual", component.manual},
          {"needs", component.needs},
          {"provides", component.provides},
          {"options", options}};
}

Description component_from(const Json& entry) {
  Description component;
  entry.at("kind").get_to(component.kind);
  entry.at("name").get_to(component.name);
  entry.at("version").get_to(component.version);
  entry.at("interface_version").get_to(component.interface_version);
  entry.at("compiler").get_to(component.compiler);
  entry.at("manual").get_to(component.manual);
  entry.at("needs").get_to(component.needs);
  entry.at("provides").get_to(component.provides);
  for (const Json& option : entry.at("options")) {
    component.schema.options.push_back(option_from(option));
  }
  const std::string fault = declaration_fault(component);
  if (!fault.empty()) throw Error(fault);
  return component;
}
}  // namespace

const Description* Sidecar::find(std::string_view kind, std::string_view name) const {
  for (const Description& component : components) {
    if (component.kind == kind && component.name == name) return &component;
  }
  return nullptr;
}

std::filesystem::path sidecar_of(const std::filesystem::path& library) {
  return std::filesystem::path(library).replace_extension(".lathe.json");
}

std::string sidecar_text(const Sidecar& sidecar) {
  Json components = Json::array();
  for (const Description& component : sidecar.components) {
    components.push_back(component_json(component));
  }
  const Json all = {{"format", format},
                    {"library",
                     {{"sha256", sidecar.library.sha256},
                      {"size", sidecar.library.size},
                      {"build_id", sidecar.library.build_id},
                      {"headers", sidecar.headers}}},
                    {"components", components}};
  return all.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Sidecar parse_sidecar(const std::string& text, const std::string& name) {
  try {
    const Json all = parse_json(text, name);
    if (all.at("format") != format) {
      fail("has format ", all.at("format").dump(), ", this host reads ", format);
    }
    Sidecar sidecar;
    const Json& library = all.at("library");
    library.at("sha256").get_to(sidecar.library.sha256);
    library.at("size").get_to(sidecar.library.size);
    library.at("build_id").get_to(sidecar.library.build_id);
    library.at("headers").get_to(sidecar.headers);
    for (const Json& component : all.at("components")) {
      sidecar.components.push_back(component_from(component));
    }
    return sidecar;
  } catch (const std::exception& error) {  // of the JSON library too
    fail("the sidecar ", name, " is damaged (", error.what(), ")");
  }
}

std::optional<Sidecar> read_sidecar(const std::filesystem::path& file,
                                    const LibraryIdentity& library) {
  if (!exists(file.string())) return std::nullopt;
  Sidecar sidecar = parse_sidecar(read_file(file.string(), 16u << 20), file.string());
  if (sidecar.library != library) return std::nullopt;
  return sidecar;
}

std::filesystem::path write_sidecar(const std::filesystem::path& library) {
  const Probe probe = probe_library(library);
  if (!probe.fault.empty()) throw Error(probe.fault);
  const std::filesystem::path file = sidecar_of(library);
  write_durably(file.string(), sidecar_text(probe.sidecar));
  return file;
}

std::string difference(const Description& promised, const Description& found) {
  const Json a = component_json(promised);
  const Json b = component_json(found);
  for (const auto& [key, value] : a.items()) {
    if (key != "options" && b.at(key) != value) return cat("the ", key);
  }
  for (const Option& option : promised.schema.options) {
    const Option* other = found.schema.find(option.name);
    if (other == nullptr || option_json(*other) != option_json(option)) {
      return cat("the option '", option.name, "'");
    }
  }
  if (a.at("options") != b.at("options")) return "the list of options";
  return "";
}

}  // namespace lathe
