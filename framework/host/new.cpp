// lathe new: one file to begin a plugin with, its test, and an experiment that uses it.
#include <lathe/base/file.h>
#include <lathe/base/json.h>
#include <lathe/base/log.h>
#include <lathe/config/nearest.h>
#include <lathe/host/templates.h>
#include <lathe/host/verb.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace lathe {
namespace {
namespace po = boost::program_options;

void declare(po::options_description&) {}

// A template is KIND and one of these; what is written from it is NAME and the same.
constexpr std::string_view endings[] = {".cpp", "_test.cpp", ".toml"};

// Each has an experiment.
std::vector<std::string> kinds() {
  constexpr std::string_view ending = endings[2];
  std::vector<std::string> all;
  for (const Template& entry : templates()) {
    if (entry.file.ends_with(ending)) {
      all.emplace_back(entry.file.substr(0, entry.file.size() - ending.size()));
    }
  }
  return all;
}

const Template& template_of(const std::string& file) {
  const auto found = std::find_if(templates().begin(), templates().end(),
                                  [&](const Template& entry) { return entry.file == file; });
  if (found == templates().end()) fail("this program lacks the template ", file);
  return *found;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// Names are keys of experiments and parts of identifiers.
void demand_name(const std::string& name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  const bool good = !name.empty() && name.size() < 64 && name[0] >= 'a' && name[0] <= 'z' &&
                    std::all_of(name.begin(), name.end(), plain);
  if (!good) {
    throw UsageError(cat("'", name, "' cannot name a plugin: take small letters, digits and '_', ",
                         "beginning with a letter, at most 63"));
  }
}

// exact_match -> ExactMatch
std::string type_name(const std::string& name) {
  std::string result;
  bool begins = true;
  for (const char c : name) {
    if (c != '_') result += begins && c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
    begins = c == '_';
  }
  return result;
}

std::string replaced(std::string text, std::string_view what, const std::string& by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != text.npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
  return text;
}

void warn_of_twin(const std::string& kind, const std::string& name, Registry& registry) {
  for (const PluginState& state : registry.states()) {
    if (state.kind != kind || state.name != name) continue;
    log_warning("there is a ", kind, " '", name, "' already (",
                state.file.empty() ? "built in" : state.file.string(),
                "); only one of the two can be used under this name");
    return;
  }
}

int make(const Arguments& arguments, Registry& registry) {
  const std::string& kind = arguments.word(0, "kind");
  const std::string& name = arguments.word(1, "name");
  arguments.demand_at_most(3);
  const std::vector<std::string> known = kinds();
  if (std::find(known.begin(), known.end(), kind) == known.end()) {
    throw UsageError(
        cat("there is no kind '", kind, "'.", suggestion(kind, known), " Kinds: ", listed(known)));
  }
  demand_name(name);
  warn_of_twin(kind, name, registry);
  const std::string folder = arguments.words.size() > 2 ? arguments.words[2] : "";
  if (!folder.empty()) make_folders(real_files(), folder);
  const std::string base = (std::filesystem::path(folder) / name).string();
  std::vector<std::string> files;
  for (const std::string_view ending : endings) {
    files.push_back(cat(base, ending));
    if (exists(files.back())) {
      fail(files.back(), ": is there already; take another name or folder");
    }
  }
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string text(template_of(cat(kind, endings[i])).text);
    write_durably(files[i], replaced(replaced(text, "@name@", name), "@Name@", type_name(name)));
  }
  if (arguments.has("json")) {
    std::printf("%s\n", Json({{"kind", kind}, {"name", name}, {"files", files}}).dump().c_str());
  } else {
    for (const std::string& file : files) std::printf("%s\n", file.c_str());
  }
  std::fflush(stdout);
  // `lathe test` builds both files; what a launcher is for is a sweep.
  log_info("next: lathe test ", files[1], " && lathe ", kind == "launcher" ? "sweep " : "run ",
           files[2]);
  return exit_done;
}
}  // namespace

const Verb new_verb{"new", "KIND NAME [FOLDER]",
                    "begin a plugin: one file, its test, and an experiment", declare, make};

}  // namespace lathe
