// lathe plugins, lathe inspect: what there is, and how each is used.
#include <lathe/base/json.h>
#include <lathe/config/nearest.h>
#include <lathe/host/component_text.h>
#include <lathe/host/verb.h>
#include <lathe/plugin/core_library.h>
#include <lathe/run/experiment.h>

#include <algorithm>
#include <cstdio>
#include <set>

namespace lathe {

PluginPlaces plugin_places(const Arguments& arguments) {
  PluginPlaces places;
  if (arguments.has("plugin-path")) {
    for (const auto& folder : arguments.options["plugin-path"].as<std::vector<std::string>>()) {
      places.folders.emplace_back(folder);
    }
  }
  places.library_folder = plugin_folder();
  places.probe_folder = probe_folder();
  return places;
}

namespace {
namespace po = boost::program_options;

void declare_plugins(po::options_description& options) {
  options.add_options()("kind", po::value<std::string>(), "only this kind")(
      "probe", "ask every plugin file anew, each in a child process")(
      "markdown", po::value<std::string>()->value_name("FOLDER"),
      "write a reference page for each kind into this folder");
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

void demand_kind(const std::string& kind, const std::vector<PluginState>& states) {
  std::set<std::string> known;
  for (const PluginState& state : states) known.insert(state.kind);
  if (known.contains(kind)) return;
  std::string listed;
  for (const std::string& one : known) listed += (listed.empty() ? "" : ", ") + one;
  throw UsageError(cat("there is no component of the kind '", kind, "'.",
                       suggestion(kind, {known.begin(), known.end()}), " Kinds: ", listed));
}

int list_plugins(const Arguments& arguments, Registry& registry) {
  arguments.demand_at_most(0);
  if (arguments.has("probe")) registry.probe_all();
  if (arguments.has("markdown")) {
    const std::vector<std::string> files = write_pages(arguments.text("markdown"), registry);
    if (arguments.has("json")) std::printf("%s\n", Json(files).dump(2).c_str());
    if (arguments.has("json")) return exit_done;
    for (const std::string& file : files) std::printf("%s\n", file.c_str());
    return exit_done;
  }
  std::vector<PluginState> states = registry.states();
  if (arguments.has("kind")) {
    demand_kind(arguments.text("kind"), states);
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
  options.add_options()("kind", po::value<std::string>(), "where a name has several kinds")(
      "markdown", "as a section of a reference page");
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

Json library_json(const std::filesystem::path& file) {
  const LibraryIdentity library = library_identity(file);
  return {{"sha256", library.sha256},
          {"size", library.size},
          {"build_id", library.build_id},
          {"headers", header_hash()}};
}

Json description_json(const PluginState& state, const Description& component) {
  Json entry = state_json(state);
  entry["interface_version"] = component.interface_version;
  entry["compiler"] = component.compiler;
  entry["manual"] = component.manual;
  entry["needs"] = component.needs;
  entry["provides"] = component.provides;
  entry["toml"] = toml_block(component);
  entry["options"] = Json::array();
  const Schema schema = table_schema(component);
  for (const Option& option : schema.options) {
    entry["options"].push_back(option_json(option));
  }
  if (!state.file.empty()) entry["library"] = library_json(state.file);
  return entry;
}

void print_words(const char* what, const std::vector<std::string>& words) {
  if (words.empty()) return;
  std::printf("%s", what);
  for (const std::string& word : words) std::printf(" \"%s\"", word.c_str());
  std::printf("\n");
}

void print_head(const PluginState& state) {
  std::printf("%s '%s' %s (%s)\n", state.kind.c_str(), state.name.c_str(), state.version.c_str(),
              state.state.c_str());
  std::printf("%s\n", state.file.empty() ? "built in" : state.file.c_str());
  if (!state.reason.empty()) std::printf("%s\n", state.reason.c_str());
}

void print_description(const PluginState& state, const Description& component) {
  print_head(state);
  if (!component.manual.empty()) std::printf("\n%s\n", component.manual.c_str());
  std::printf("\nversion %d of the %s interface, built by %s\n", component.interface_version,
              component.kind.c_str(), component.compiler.c_str());
  if (!state.file.empty()) {
    const LibraryIdentity library = library_identity(state.file);
    std::printf("sha256 %s, build-id %s\n", library.sha256.c_str(), library.build_id.c_str());
  }
  print_words("needs", component.needs);
  print_words("provides", component.provides);
  std::printf("\noptions\n%s\n%s", option_lines(component).c_str(), toml_block(component).c_str());
}

int inspect(const Arguments& arguments, Registry& registry) {
  const std::string& name = arguments.word(0, "name");
  arguments.demand_at_most(1);
  const std::vector<PluginState> found = named(arguments, registry, name);
  if (found.empty()) {
    std::vector<std::string> all;
    for (const PluginState& state : registry.states()) all.push_back(state.name);
    fail("there is no component '", name, "'.", suggestion(name, all),
         " `lathe plugins` lists them");
  }
  Json all = Json::array();
  bool rejected = false;
  for (const PluginState& state : found) {
    if (state.state == "rejected") {
      rejected = true;
      all.push_back(state_json(state));
      if (!arguments.has("json")) print_head(state);
      continue;
    }
    const Description& component = registry.describe(state.kind, state.name);
    if (arguments.has("json")) {
      all.push_back(description_json(state, component));
    } else if (arguments.has("markdown")) {
      std::printf("%s", markdown_section(state, component).c_str());
    } else {
      print_description(state, component);
    }
  }
  if (arguments.has("json")) std::printf("%s\n", all.dump(2).c_str());
  return rejected ? exit_failed : exit_done;
}
}  // namespace

const Verb plugins_verb{"plugins", "", "list every component, its state and its file",
                        declare_plugins, list_plugins};
const Verb inspect_verb{"inspect", "NAME", "the options of a component, ready to paste",
                        declare_inspect, inspect};

}  // namespace lathe
