// lathe build: a plugin from one file, without CMake.
#include <lathe/base/json.h>
#include <lathe/base/log.h>
#include <lathe/host/compile.h>
#include <lathe/host/verb.h>
#include <lathe/plugin/core_library.h>

#include <cmath>
#include <cstdio>

namespace lathe {
namespace {
namespace po = boost::program_options;

void declare(po::options_description& options) {
  options.add_options()("output,o", po::value<std::string>(),
                        "folder for the library, in place of the user's plugin folder");
}

void print(const BuiltPlugin& built) {
  for (const PluginState& part : built.components) {
    log_info(part.kind, " '", part.name, "' ", part.version,
             built.was_there ? " is up to date"
                             : cat(" built in ", std::round(built.seconds * 10) / 10, " s"));
  }
  std::printf("%s\n", built.library.c_str());
  std::fflush(stdout);
}

void advise(const BuiltPlugin& built, bool elsewhere) {
  if (built.components.empty()) return;
  const PluginState& part = built.components.front();
  const std::string where =
      elsewhere ? " --plugin-path " + built.library.parent_path().string() : std::string();
  log_info("next: lathe inspect ", part.name, where, "; lathe conform ", part.name, where,
           "; lathe run EXPERIMENT", where);
}

int build(const Arguments& arguments, Registry&) {
  const bool elsewhere = arguments.has("output");
  const std::filesystem::path folder =
      elsewhere ? std::filesystem::path(arguments.text("output")) : user_plugin_folder();
  if (folder.empty()) fail("there is no HOME to build plugins into: name a folder with --output");
  arguments.word(0, "source file");
  Json all = Json::array();
  for (const std::string& source : arguments.words) {
    const BuiltPlugin built = build_plugin(source, folder);
    if (!arguments.has("json")) {
      print(built);
      advise(built, elsewhere);
      continue;
    }
    Json parts = Json::array();
    for (const PluginState& part : built.components) {
      parts.push_back({{"kind", part.kind}, {"name", part.name}, {"version", part.version}});
    }
    all.push_back({{"source", source},
                   {"library", built.library.string()},
                   {"components", parts},
                   {"up_to_date", built.was_there},
                   {"seconds", built.seconds}});
  }
  if (arguments.has("json")) std::printf("%s\n", all.dump(2).c_str());
  return exit_done;
}
}  // namespace

const Verb build_verb{"build", "FILE.cpp ...", "make plugins from one file each", declare, build};

}  // namespace lathe
