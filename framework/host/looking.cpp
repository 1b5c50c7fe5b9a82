// lathe check, lathe show: an experiment file without running it.
#include <lathe/base/json.h>
#include <lathe/config/compose.h>
#include <lathe/host/verb.h>
#include <lathe/run/start.h>
#include <lathe/study/plan.h>

#include <algorithm>
#include <cstdio>

namespace lathe {
namespace {
namespace po = boost::program_options;

std::vector<std::string> changes(const Arguments& arguments) {
  return {arguments.words.begin() + 1, arguments.words.end()};
}

Stages read(const Arguments& arguments, Registry& registry) {
  const std::string& file = arguments.word(0, "experiment file");
  return read_stages(file, changes(arguments), registry);
}

void declare_check(po::options_description&) {}

void check_experiment(const std::string& file, const std::vector<std::string>& changes, bool json,
                      Registry& registry) {
  const Stages stages = read_stages(file, changes, registry);
  demand_same_tokens(stages, registry, std::filesystem::current_path());
  const bool sweeps = has_sweep(stages.config);
  const std::size_t cells = sweeps ? make_plan(file, changes, registry).cells.size() : 0;
  if (json) {
    const Experiment& first = stages.all.front().experiment;
    Json line = {{"files", first.files()},
                 {"variant", first.variant()},
                 {"identity", stages.identity},
                 {"folder", stages.folder.string()}};
    for (const Stage& stage : stages.all) {
      if (!stage.name.empty()) line["stages"].push_back(stage.name);
    }
    if (sweeps) line["cells"] = cells;
    std::printf("%s\n", line.dump().c_str());
  } else {
    std::printf("%s: every key is known and in range; id %s%s\n", file.c_str(),
                stages.identity.substr(0, 8).c_str(),
                sweeps ? cat("; a sweep of ", cells, " cells").c_str() : "");
  }
}

// One process for many files: most of the time of a check is the start of the program. A file that
// chooses plugin files would choose for the others too.
void demand_common_plugins(const std::string& file, const std::vector<std::string>& changes) {
  const auto own = compose(file, changes).config.find("plugins");
  if (own) fail(own->where(), ": a file with [plugins] of its own is checked alone");
}

int check_experiments(const Arguments& arguments, Registry& registry) {
  arguments.word(0, "experiment file");
  const auto is_change = [](const std::string& word) {
    return word.find_first_of("@~+") == 0 ||
           (!word.ends_with(".toml") && word.find('=') != std::string::npos);
  };
  const auto begin = arguments.words.begin();
  const auto end = std::find_if(begin + 1, arguments.words.end(), is_change);
  const std::vector<std::string> changes(end, arguments.words.end());
  std::string faults;
  for (auto file = begin; file != end; ++file) {
    try {
      if (end - begin > 1) demand_common_plugins(*file, changes);
      check_experiment(*file, changes, arguments.has("json"), registry);
    } catch (const Error& error) {
      faults += cat(faults.empty() ? "" : "\n", error.what());
    }
  }
  if (!faults.empty()) throw Error(faults);
  return exit_done;
}

void declare_show(po::options_description& options) {
  options.add_options()("origin", "write beside each value where it comes from");
}

int show(const Arguments& arguments, Registry& registry) {
  for (const Stage& stage : read(arguments, registry).all) {
    const Config resolved = stage.experiment.resolved();
    if (!stage.name.empty() && !arguments.has("json"))
      std::printf("# stage %s\n", stage.name.c_str());
    const std::string text = arguments.has("json")     ? resolved.to_json() + "\n"
                             : arguments.has("origin") ? resolved.to_toml_with_origins()
                                                       : resolved.to_toml();
    std::fputs(text.c_str(), stdout);
  }
  return exit_done;
}
}  // namespace

const Verb check_verb{"check", "FILE ... [key=value ...]", "check every key of experiment files",
                      declare_check, check_experiments};
const Verb show_verb{"show", "FILE [key=value ...]", "print the resolved experiment", declare_show,
                     show};

}  // namespace lathe
