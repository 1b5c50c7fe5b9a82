// lathe plugins, lathe inspect: what there is, and how each is used.
#include <lathe/base/json.h>
#include <lathe/config/nearest.h>
#include <lathe/host/verb.h>
#include <lathe/plugin/core_library.h>

#include <algorithm>
#include <cstdio>

namespace lathe {

PluginPlaces plugin_places(const Arguments& arguments) {
  PluginPlaces places;
  if (arguments.has("plugin-path")) {
    for (const auto& folder : arguments.options["plugin-path"].as<std::vector<std::string>>()) {
      places.folders.emplace_back(folder);
    }
  }
  places.library_folder = plugin_folder();
  return places;
}

namespace {
namespace po = boost::program_options;

void declare_plugins(po::options_description& options) {
  options.add_options()("kind", po::value<std::string>(), "only this kind");
}

Json state_json(const PluginState& state) {
  return {{"kind", state.kind},
          {"name", state.name},
          {"version", state.version},
          {"state", state.state},
          {"reason", state.reason},
          {"file", state.file.string()},
          {"shadowed_by", state.shadowed_by.string()}};
}

int list_plugins(const Arguments& arguments, Registry& registry) {
  std::vector<PluginState> states = registry.states();
  if (arguments.has("kind")) {
    std::erase_if(states, [&](const PluginState& s) { return s.kind != arguments.text("kind"); });
  }
  std::stable_sort(states.begin(), states.end(), [](const PluginState& a, const PluginState& b) {
    return std::tie(a.kind, a.name) < std::tie(b.kind, b.name);
  });
  if (arguments.has("json")) {
    Json all = Json::array();
    for (const PluginState& state : states) all.push_back(state_json(state));
    std::printf("%s\n", all.dump(2).c_str());
    return exit_done;
  }
  std::printf("%-10s %-20s %-8s %-12s %s\n", "kind", "name", "version", "state", "file or reason");
  for (const PluginState& state : states) {
    const std::string place = !state.shadowed_by.empty() ? "by " + state.shadowed_by.string()
                              : !state.reason.empty()    ? state.reason
                              : state.file.empty()       ? "built in"
                                                         : state.file.string();
    std::printf("%-10s %-20s %-8s %-12s %s\n", state.kind.c_str(), state.name.c_str(),
                state.version.c_str(), state.state.c_str(), place.c_str());
  }
  return exit_done;
}

void declare_inspect(po::options_description& options) {
  options.add_options()("kind", po::value<std::string>(), "where a name has several kinds");
}

std::vector<PluginState> named(const Arguments& arguments, Registry& registry,
                               const std::string& name) {
  std::vector<PluginState> found = registry.states();
  std::erase_if(found, [&](const PluginState& state) {
    return state.name != name || state.state == "shadowed" ||
           (arguments.has("kind") && state.kind != arguments.text("kind"));
  });
  return found;
}

Json option_json(const Option& option) {
  return {{"name", option.name},
          {"type", name_of(option.type)},
          {"default", option.default_text()},
          {"allowed", option.allowed_text()},
          {"meaning", option.meaning},
          {"required", option.required},
          {"affects_result", option.affects_result}};
}

void print_options(const Schema& schema) {
  for (const Option& option : schema.options) {
    const std::string given = option.required ? "required" : "default " + option.default_text();
    std::printf("  %-20s %s, %s", option.name.c_str(), std::string(name_of(option.type)).c_str(),
                given.c_str());
    if (!option.allowed_text().empty()) std::printf(", %s", option.allowed_text().c_str());
    std::printf("\n  %-20s   %s\n", "", option.meaning.c_str());
  }
}

// A table ready to paste.
void print_block(const PluginState& state, const Schema& schema) {
  std::printf("\n[%s]\nuse = \"%s\"\n", state.kind == "dataset" ? "data" : state.kind.c_str(),
              state.name.c_str());
  for (const Option& option : schema.options) {
    const std::string value = option.required ? "\"...\"" : option.default_text();
    std::printf("%s = %s\n", option.name.c_str(), value.c_str());
  }
}

int inspect(const Arguments& arguments, Registry& registry) {
  const std::string& name = arguments.word(0, "name");
  const std::vector<PluginState> found = named(arguments, registry, name);
  if (found.empty()) {
    std::vector<std::string> all;
    for (const PluginState& state : registry.states()) all.push_back(state.name);
    fail("there is no component '", name, "'.", suggestion(name, all),
         " `lathe plugins` lists them");
  }
  Json described = Json::array();
  for (const PluginState& state : found) {
    const Descriptor& descriptor = registry.find(state.kind, state.name);
    Schema schema;
    if (descriptor.describe != nullptr) descriptor.describe(schema);
    const std::string manual = registry.manual_of(state.kind, state.name);
    if (arguments.has("json")) {
      Json entry = state_json(state);
      entry["manual"] = manual;
      entry["options"] = Json::array();
      for (const Option& option : schema.options) entry["options"].push_back(option_json(option));
      described.push_back(entry);
      continue;
    }
    std::printf("%s '%s' %s (%s)\n%s\n", state.kind.c_str(), state.name.c_str(),
                state.version.c_str(), state.state.c_str(),
                state.file.empty() ? "built in" : state.file.c_str());
    if (!manual.empty()) std::printf("\n%s\n", manual.c_str());
    std::printf("\nbuilt by %s\n\noptions\n",
                std::string(descriptor.stamp->compiler.view()).c_str());
    print_options(schema);
    print_block(state, schema);
  }
  if (arguments.has("json")) std::printf("%s\n", described.dump(2).c_str());
  return exit_done;
}
}  // namespace

const Verb plugins_verb{"plugins", "", "list every component, its state and its file",
                        declare_plugins, list_plugins};
const Verb inspect_verb{"inspect", "NAME", "the options of a component, ready to paste",
                        declare_inspect, inspect};

}  // namespace lathe
