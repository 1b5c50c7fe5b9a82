// lathe test: the tests that the author of a plugin wrote beside it.
#include <lathe/conform/plugin_tests.h>
#include <lathe/host/compile.h>
#include <lathe/host/conforming.h>
#include <lathe/plugin/core_library.h>
#include <lathe/plugin/stamp_reader.h>

#include <cstdio>

namespace lathe {
namespace {
namespace filesystem = std::filesystem;
constexpr std::string_view ending = "_test.cpp";

// Where the libraries of tests are kept: not where plugins are found, since nobody uses them.
filesystem::path tests_folder() {
  const filesystem::path cache = probe_folder();
  if (cache.empty()) fail("there is no HOME to build tests into: set XDG_CACHE_HOME to a folder");
  return cache.parent_path() / "tests";
}

// NAME.cpp beside NAME_test.cpp is built, too, so that what is tested is what is written.
filesystem::path built(const filesystem::path& source) {
  const std::string name = source.filename().string();
  if (!name.ends_with(ending)) {
    fail(source.string(), ": expected the tests of a plugin, NAME", ending,
         ", or the library that is made of them, a .so file");
  }
  const filesystem::path plugin =
      source.parent_path() / (name.substr(0, name.size() - ending.size()) + ".cpp");
  if (filesystem::exists(plugin)) {
    if (user_plugin_folder().empty()) fail("there is no HOME to build plugins into");
    build_plugin(plugin, user_plugin_folder());
  }
  return build_plugin(source, tests_folder()).library;
}

std::vector<std::string> names_of_tests(const filesystem::path& library) {
  std::vector<std::string> names;
  for (const Stamp& stamp : read_plugin_file(library).stamps) {
    if (stamp.kind.view() == conform::PluginTests::kind) names.emplace_back(stamp.name.view());
  }
  if (names.empty()) {
    fail(library.string(), ": holds no tests; expected LATHE_PLUGIN(PluginTests, ...)");
  }
  return names;
}

int test(const Arguments& arguments, Registry& registry) {
  const conform::Request request = conforming_request(arguments);
  const filesystem::path file = arguments.word(0, "file of tests");
  arguments.demand_at_most(1);
  const filesystem::path library = file.extension() == ".so" ? file : built(file);
  std::vector<conform::Report> reports;
  for (const std::string& name : names_of_tests(library)) {
    registry.prefer(name, library);
    const auto tests = registry.create<conform::PluginTests>(name, Config());
    conform::Subject subject = tests->subject();
    subject.small = false;
    if (!arguments.has("json")) {
      std::printf("%s '%s', by %s\n", subject.kind.c_str(), subject.name.c_str(), name.c_str());
    }
    reports.push_back(conform::run_tests(
        registry, subject, tests->tests(), request,
        [&](const conform::Result& result) { print_result(arguments, result); }));
  }
  return finish_reports(arguments, reports);
}
}  // namespace

const Verb test_verb{"test", "NAME_test.cpp", "run the tests that lie beside a plugin",
                     declare_conforming, test};

}  // namespace lathe
