// lathe conform: does a component keep the promises of its kind?
#include <lathe/base/file.h>
#include <lathe/config/nearest.h>
#include <lathe/config/toml.h>
#include <lathe/conform/conform.h>
#include <lathe/host/verb.h>

#include <algorithm>
#include <cstdio>

namespace lathe {
namespace {
namespace po = boost::program_options;

void declare(po::options_description& options) {
  options.add_options()("level", po::value<int>()->default_value(conform::usual_level),
                        "1 to 10: more tests, and larger")("kind", po::value<std::string>(),
                                                           "where a name has several kinds")(
      "seed", po::value<std::uint64_t>()->default_value(1), "of everything that is drawn")(
      "limit", po::value<double>()->default_value(60), "seconds that one test may take")(
      "reproduce", po::value<std::string>(), "TEST-NUMBER: this test with this draw alone")(
      "junit", po::value<std::string>(), "write the results to this file, in JUnit's form")(
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

conform::Request request_of(const Arguments& arguments) {
  conform::Request request;
  request.level = arguments.options["level"].as<int>();
  if (request.level < 1 || request.level > conform::highest_level) {
    throw UsageError(cat("--level is ", request.level, ", allowed: 1 to ", conform::highest_level));
  }
  request.seed = arguments.options["seed"].as<std::uint64_t>();
  request.limit = arguments.options["limit"].as<double>();
  if (!(request.limit > 0)) throw UsageError("--limit must be above 0 seconds");
  if (arguments.has("reproduce")) request.reproduce = arguments.text("reproduce");
  return request;
}

void list(const std::vector<PluginState>& states) {
  for (const PluginState& state : states) {
    std::printf("%s '%s'\n", state.kind.c_str(), state.name.c_str());
    for (const conform::Test& test : conform::tests_of(state.kind)) {
      std::printf("  level %2d  %-18s %s\n", test.level, test.name.c_str(), test.meaning.c_str());
    }
  }
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
  const conform::Request request = request_of(arguments);
  const std::vector<PluginState> states = found(arguments, registry);
  if (arguments.has("list")) {
    list(states);
    return exit_done;
  }
  const bool json = arguments.has("json");
  std::vector<conform::Report> reports;
  for (const PluginState& state : states) {
    const conform::Subject subject{state.kind, state.name, given_options(arguments)};
    if (!json)
      std::printf("%s '%s', level %d\n", state.kind.c_str(), state.name.c_str(), request.level);
    const auto heard = [&](const conform::Result& result) {
      if (!json) std::fputs(conform::to_text(result).c_str(), stdout);
    };
    if (state.state == "rejected") {
      reports.push_back(refused(state, request.level));
      heard(reports.back().results[0]);
    } else {
      reports.push_back(conform::conform(registry, subject, request, heard));
    }
  }
  if (json) std::printf("%s\n", conform::to_json(reports).c_str());
  if (arguments.has("junit")) write_durably(arguments.text("junit"), conform::to_junit(reports));
  const bool passed = std::all_of(reports.begin(), reports.end(),
                                  [](const conform::Report& report) { return report.passed(); });
  if (!json) std::printf("%s\n", passed ? "passed" : "failed");
  return passed ? exit_done : exit_failed;
}
}  // namespace

const Verb conform_verb{"conform", "NAME | FILE.so [key=value ...]",
                        "try whether a component keeps the promises of its kind", declare,
                        conform_verb_run};

}  // namespace lathe
