// lathe conform: does a component keep the promises of its kind?
#include <lathe/base/json.h>
#include <lathe/config/nearest.h>
#include <lathe/config/toml.h>
#include <lathe/host/conforming.h>

#include <algorithm>
#include <cstdio>

namespace lathe {
namespace {
namespace po = boost::program_options;

void declare(po::options_description& options) {
  declare_conforming(options);
  options.add_options()("kind", po::value<std::string>(), "where a name has several kinds")(
      "list", "list the tests, run none");
}

// Components of that name; or, where a path of a library is given, all that it offers.
std::vector<PluginState> found(const Arguments& arguments, Registry& registry) {
  const std::string& word = arguments.word(0, "plugin");
  std::vector<PluginState> states = registry.states();
  std::vector<std::string> names;
  for (const PluginState& state : states) names.push_back(state.name);
  const bool is_file = word.ends_with(".so");
  const auto path = std::filesystem::weakly_canonical(std::filesystem::absolute(word));
  std::erase_if(states, [&](const PluginState& state) {
    const bool meant = is_file ? state.file == path : state.name == word;
    return !meant || (!is_file && state.state == "shadowed") ||
           (arguments.has("kind") && state.kind != arguments.text("kind"));
  });
  if (states.empty()) {
    fail("there is no component '", word, "'.", suggestion(word, names),
         " `lathe plugins` lists them");
  }
  return states;
}

// Options of the component, as on the command line of `lathe run`: key=value, the value in TOML or
// a bare string.
Config given_options(const Arguments& arguments) {
  Config options;
  for (std::size_t i = 1; i < arguments.words.size(); ++i) {
    const std::string& word = arguments.words[i];
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw UsageError(cat("'", word, "' is no option: expected key=value"));
    }
    const std::string key = word.substr(0, equals);
    const std::string value = word.substr(equals + 1);
    const Config read = parse_value(value, {.file = "command line"});
    options = options.with(join_path("", key), read);
  }
  return options;
}

void list(const std::vector<PluginState>& states) {
  for (const PluginState& state : states) {
    std::printf("%s '%s'\n", state.kind.c_str(), state.name.c_str());
    for (const conform::Test& test : conform::tests_of(state.kind)) {
      std::printf("  level %2d  %-18s %s\n", test.level, test.name.c_str(), test.meaning.c_str());
    }
  }
}

void list_json(const std::vector<PluginState>& states) {
  Json all = Json::array();
  for (const PluginState& state : states) {
    Json tests = Json::array();
    for (const conform::Test& test : conform::tests_of(state.kind)) {
      tests.push_back({{"name", test.name}, {"level", test.level}, {"meaning", test.meaning}});
    }
    all.push_back({{"kind", state.kind}, {"name", state.name}, {"tests", tests}});
  }
  std::printf("%s\n", all.dump(2).c_str());
}

// A file that the host refuses cannot be tried: that is the result.
conform::Report refused(const PluginState& state, int level) {
  conform::Result result;
  result.test = "loads";
  result.meaning = "its library loads and says what it is";
  result.verdict = conform::Verdict::failed;
  result.faults = {state.reason};
  return {state.kind, state.name, state.file.string(), level, {result}};
}

int conform_verb_run(const Arguments& arguments, Registry& registry) {
  const conform::Request request = conforming_request(arguments);
  const std::vector<PluginState> states = found(arguments, registry);
  if (arguments.has("list")) {
    arguments.has("json") ? list_json(states) : list(states);
    return exit_done;
  }
  std::vector<conform::Report> reports;
  for (const PluginState& state : states) {
    const conform::Subject subject{state.kind, state.name, given_options(arguments)};
    if (!arguments.has("json"))
      std::printf("%s '%s', level %d\n", state.kind.c_str(), state.name.c_str(), request.level);
    const auto heard = [&](const conform::Result& result) { print_result(arguments, result); };
    if (state.state == "rejected") {
      reports.push_back(refused(state, request.level));
      heard(reports.back().results[0]);
    } else {
      reports.push_back(conform::conform(registry, subject, request, heard));
    }
  }
  return finish_reports(arguments, reports);
}
}  // namespace

const Verb conform_verb{"conform", "NAME | FILE.so [key=value ...]",
                        "try whether a component keeps the promises of its kind", declare,
                        conform_verb_run};

}  // namespace lathe
