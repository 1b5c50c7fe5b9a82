#include <lathe/host/compile.h>

#include <lathe/base/clock.h>
#include <lathe/base/file.h>
#include <lathe/base/hash.h>
#include <lathe/base/json.h>
#include <lathe/base/log.h>
#include <lathe/base/terminal.h>
#include <lathe/base/process.h>
#include <lathe/plugin/core_library.h>
#include <lathe/plugin/sidecar.h>
#include <lathe/plugin/sources.h>

#include <unistd.h>

#include <algorithm>
#include <sstream>

namespace lathe {
namespace {
namespace filesystem = std::filesystem;
using Words = std::vector<std::string>;

// How Lathe was compiled: lib/lathe/recipe.json, written by its build. Paths in it start at its
// folder.
struct Recipe {
  std::string compiler;
  Words compile;  // flags, definitions, include folders
  Words link;
  std::string hash;  // of all of it and of the public headers
};

Recipe read_recipe() {
  const filesystem::path folder = core_library().parent_path() / "lathe";
  const std::string path = (folder / "recipe.json").string();
  if (!exists(path)) {
    fail(path,
         ": is missing; `lathe build` needs a Lathe that was installed by `cmake --install`, ",
         "or its build folder");
  }
  const Json json = read_json(path);
  try {
    Recipe recipe{json.at("compiler"), json.at("compile"), json.at("link"), {}};
    for (const std::string include : json.at("include")) {
      recipe.compile.push_back("-I" + (folder / include).lexically_normal().string());
    }
    const filesystem::path exports = folder / json.at("exports").get<std::string>();
    recipe.link.push_back("-Wl,--version-script=" + exports.lexically_normal().string());
    recipe.hash = sha256(cat(json.dump(), folder.string(), header_hash()));
    return recipe;
  } catch (const nlohmann::json::exception& error) {
    fail(path, ": is not a recipe of this Lathe (", error.what(), ")");
  }
}

// In English, since fail_to_compile and fail_to_link read what the compiler says.
Words compiler_words(const Recipe& recipe) {
  Words words = {"env", "LC_ALL=C.UTF-8", recipe.compiler};
  words.insert(words.end(), recipe.compile.begin(), recipe.compile.end());
  return words;
}

// A folder beside the library, so that the finished file can be renamed into place.
class WorkFolder {
 public:
  explicit WorkFolder(const filesystem::path& library)
      : path_(library.parent_path() / cat(".", library.stem().string(), ".", getpid())) {
    make_folders(real_files(), path_.string());
  }
  ~WorkFolder() {
    std::error_code ignored;
    filesystem::remove_all(path_, ignored);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  filesystem::path operator/(const char* name) const { return path_ / name; }
  const filesystem::path& path() const { return path_; }

 private:
  filesystem::path path_;
};

// The comment that the source begins with, without its slashes.
std::string manual_of(const std::string& source) {
  std::istringstream lines(source);
  std::string manual;
  for (std::string line; std::getline(lines, line) && line.starts_with("//");) {
    manual += line.substr(line.starts_with("// ") ? 3 : 2) + "\n";
  }
  return manual;
}

// The first line that holds `mark`, up to it: "my.cpp:12:5".
std::string place_before(const std::string& output, const std::string& mark) {
  const std::size_t at = output.find(mark);
  if (at == output.npos) return {};
  const std::size_t begin = output.rfind('\n', at) + 1;  // npos + 1 is 0
  return output.substr(begin, at - begin);
}

[[noreturn]] void fail_to_compile(const std::string& source, const Recipe& recipe,
                                  const ProgramEnd& end) {
  if (end.code == 127) {
    fail("the compiler ", recipe.compiler, " cannot be started; Lathe was built with it, and a ",
         "plugin needs the same: install it");
  }
  const std::string place = place_before(end.output, ": error: ");
  const std::string fatal = place_before(end.output, ": fatal error: ");
  const std::string& first = place.empty() ? fatal : place;
  fail(source, " does not compile.",
       first.empty() ? "" : cat(" Look at ", first, " first: later errors often follow from it."),
       "\n", end.output);
}

[[noreturn]] void fail_to_link(const std::string& source, const ProgramEnd& end) {
  const std::string mark = "undefined reference to ";
  const std::size_t at = end.output.find(mark);
  std::string hint;
  if (at != end.output.npos) {
    const std::size_t begin = at + mark.size();
    hint = cat(" Look for a definition of ",
               end.output.substr(begin, end.output.find('\n', begin) - begin),
               ": it is declared, and used, but written nowhere.");
  }
  fail(source, " compiles but does not link.", hint, "\n", end.output);
}

// The prerequisites in a compiler's .d file, the folders of Lathe's own headers left out.
std::vector<filesystem::path> own_files(const std::string& rule, const Recipe& recipe) {
  Words folders;
  for (const std::string& flag : recipe.compile) {
    if (flag.starts_with("-I")) folders.push_back(flag.substr(2));
  }
  std::vector<filesystem::path> files;
  std::string word;
  const auto end_word = [&] {
    if (word.empty() || word.ends_with(':')) return word.clear();
    const bool ours = std::any_of(folders.begin(), folders.end(),
                                  [&](const std::string& f) { return word.starts_with(f); });
    if (!ours) files.push_back(filesystem::absolute(word).lexically_normal());
    word.clear();
  };
  for (std::size_t i = 0; i < rule.size(); ++i) {
    const bool escaped = rule[i] == '\\' && i + 1 < rule.size();
    if (escaped && rule[i + 1] != '\n') {
      word += rule[++i];
    } else if (rule[i] == ' ' || rule[i] == '\n' || escaped) {
      end_word();
    } else {
      word += rule[i];
    }
  }
  end_word();
  return files;
}

PluginSources compile(const filesystem::path& source, const Recipe& recipe,
                      const WorkFolder& work) {
  Words words = compiler_words(recipe);
  if (terminal_has_colour()) words.push_back("-fdiagnostics-color=always");
  const std::string rule = (work / "plugin.d").string();
  words.insert(words.end(),
               {"-MMD", "-MF", rule, "-c", source.string(), "-o", (work / "plugin.o").string()});
  const ProgramEnd end = run_program(words);
  if (end.code != 0) fail_to_compile(source.string(), recipe, end);
  if (!end.output.empty()) log_warning(source.string(), ":\n", end.output);
  PluginSources sources{recipe.hash, {}};
  for (const filesystem::path& file : own_files(read_file(rule), recipe)) {
    sources.files.push_back({file, read_file(file.string())});
  }
  return sources;
}

// The same sections as lathe_add_plugin makes: the manual and the hash of the headers.
void link(const filesystem::path& source, const std::string& manual, const Recipe& recipe,
          const WorkFolder& work) {
  write_durably((work / "manual.txt").string(), manual);
  write_durably((work / "notes.cpp").string(),
                cat("asm(\".pushsection .lathe.headers\\n.asciz \\\"", header_hash(),
                    "\\\"\\n.popsection\");\n"
                    "asm(\".pushsection .lathe.manual\\n.incbin \\\"manual.txt\\\"\\n"
                    ".popsection\");\n"));
  Words words = compiler_words(recipe);
  words.insert(words.end(), {"-shared", "plugin.o", "notes.cpp", "-o", "plugin.so"});
  words.insert(words.end(), recipe.link.begin(), recipe.link.end());
  words.push_back(core_library().string());
  const ProgramEnd end = run_program(words, work.path());
  if (end.code != 0) fail_to_link(source.string(), end);
}

// What the finished library offers, judged as any other is.
std::vector<PluginState> components_of(const filesystem::path& library) {
  PluginPlaces places;
  places.folders = {library.parent_path()};
  places.user_folders = false;
  std::vector<PluginState> states = Registry(places).states();
  std::erase_if(states, [&](const PluginState& state) { return state.file != library; });
  return states;
}

bool is_current(const filesystem::path& library, const filesystem::path& source,
                const Recipe& recipe) {
  const auto sources = read_plugin_sources(library);
  if (!sources || sources->recipe != recipe.hash || sources->files[0].path != source) return false;
  return std::all_of(sources->files.begin(), sources->files.end(), [](const PluginSource& file) {
    return exists(file.path.string()) && read_file(file.path.string()) == file.text;
  });
}
}  // namespace

BuiltPlugin build_plugin(const filesystem::path& source, const filesystem::path& folder) {
  const double begun = steady_seconds();
  if (!exists(source.string())) fail(source.string(), ": does not exist");
  if (source.extension() != ".cpp") {
    fail(source.string(), ": expected a C++ file, NAME.cpp, with a line LATHE_PLUGIN(...)");
  }
  make_folders(real_files(), folder.string());
  BuiltPlugin built;
  built.library = filesystem::canonical(folder) / source.filename().replace_extension(".so");
  const Recipe recipe = read_recipe();
  built.was_there =
      is_current(built.library, filesystem::absolute(source).lexically_normal(), recipe);
  if (!built.was_there) {
    const WorkFolder work(built.library);
    const PluginSources sources = compile(source, recipe, work);
    link(source, manual_of(read_file(source.string())), recipe, work);
    for (const PluginState& state : components_of(work / "plugin.so")) {
      if (state.state == "rejected") fail(source.string(), ": ", state.reason);
    }
    // A plugin that dies when it is asked replaces nothing.
    const filesystem::path sidecar = write_sidecar(work / "plugin.so");
    rename_path(real_files(), (work / "plugin.so").string(), built.library.string());
    rename_path(real_files(), sidecar.string(), sidecar_of(built.library).string());
    write_plugin_sources(built.library, sources);
  }
  built.components = components_of(built.library);
  built.seconds = steady_seconds() - begun;
  return built;
}

}  // namespace lathe
