#include <lathe/study/plan.h>

#include <lathe/base/file.h>
#include <lathe/base/hash.h>
#include <lathe/base/json.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace lathe {
namespace {
constexpr std::string_view table = "sweep";

struct Axis {
  std::string path;
  std::vector<Config> values;
};

// A value that stands twice would be the same runs, counted twice.
void demand_distinct(const std::vector<Config>& values, const std::string& whose) {
  std::set<std::string> seen;
  for (const Config& value : values) {
    if (seen.insert(value.to_json()).second) continue;  // where 2e-3 and 0.002 are one number
    fail(value.where(), ": ", whose, " names ", value.to_text(), " twice. Write each value once");
  }
}

// [sweep.axis] with quoted paths or with tables: "objective.clip" = [...] is objective.clip =
// [...].
void note_axes(const Config& from, const std::string& above, std::vector<Axis>& axes) {
  for (const auto& [key, value] : from.members()) {
    const std::string path = above.empty() ? key : cat(above, ".", key);
    if (value.is_table()) {
      note_axes(value, path, axes);
      continue;
    }
    if (!value.is_list() || value.items().empty()) {
      fail(value.where(), ": the axis '", path, "' expects a list of values, not ",
           described_value(value));
    }
    if (path == "seed") fail(value.where(), ": seeds are no axis: write [sweep] seeds = [...]");
    demand_distinct(value.items(), cat("the axis '", path, "'"));
    axes.push_back({path, value.items()});
  }
}

// `seeds = 3` as the list that it stands for.
Config with_seeds(const Config& sweep, std::int64_t first) {
  const auto seeds = sweep.find("seeds");
  if (!seeds || seeds->is_list()) return sweep;
  if (seeds->type() != Config::Type::integer || seeds->as<std::int64_t>() < 1) {
    fail(seeds->where(), ": 'seeds' of [sweep] expects a number of at least 1, or a list, not ",
         described_value(*seeds));
  }
  std::vector<Config> all;
  for (std::int64_t i = 0; i < seeds->as<std::int64_t>(); ++i) {
    all.push_back(Config::integer(first + i, seeds->origin()));
  }
  return sweep.with("seeds", Config::list(all, seeds->origin()));
}

SweepSettings settings_of(const Config& sweep) {
  demand(sweep.without("axis"), schema_of<SweepSettings>(), "[sweep]");
  return SweepSettings(sweep);
}

std::vector<std::string> parts_of(const std::string& variant) {
  std::vector<std::string> parts;
  if (variant == "full") return parts;
  for (std::size_t begin = 0; begin <= variant.size();) {
    const std::size_t end = std::min(variant.find('+', begin), variant.size());
    parts.push_back(variant.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// What all seeds of a group share.
struct Group {
  std::string name;
  std::vector<std::string> variants;
  Config set = Config::table({});
};

std::string value_text(const Config& value) {
  return value.type() == Config::Type::text ? value.as<std::string>() : value.to_text();
}

// All combinations, the last axis fastest.
std::vector<Group> groups_of(const SweepSettings& settings, const std::vector<Axis>& axes) {
  std::vector<Group> groups;
  for (const std::string& variant : settings.variants) {
    groups.push_back({.name = variant, .variants = parts_of(variant)});
  }
  if (groups.empty()) groups.push_back({.name = "full", .variants = {}});
  const bool named = !settings.variants.empty();
  for (const Axis& axis : axes) {
    std::vector<Group> finer;
    for (const Group& group : groups) {
      for (const Config& value : axis.values) {
        Group next = group;
        const std::string part = cat(axis.path, "=", value_text(value));
        const bool first = !named && group.set.members().empty();
        next.name = first ? part : cat(group.name, " ", part);
        next.set = group.set.with(join_path("", axis.path), value);
        finer.push_back(std::move(next));
      }
    }
    groups = std::move(finer);
  }
  return groups;
}

// One line of faults for each cell.
struct Faults {
  std::string text;
  int count = 0;

  void note(const std::string& name, const std::string& fault) {
    text += cat("\ncell ", name, ":\n  ", fault);
    ++count;
  }
};

// A cell that is the same run as an earlier one would be counted twice.
void demand_different(const std::vector<Cell>& cells, const std::string& file) {
  std::map<std::pair<std::string, std::int64_t>, std::string> groups;  // by identity and seed
  for (const Cell& cell : cells) {
    const auto [seen, fresh] =
        groups.emplace(std::pair(cell.stages.identity, cell.seed), cell.group);
    if (fresh) continue;
    fail(file, ": the cells '", seen->second, "' and '", cell.group,
         "' are the same experiment: what tells them apart changes no result, or is set again by ",
         "the command line");
  }
}

std::string place_of(const std::vector<Cell>& cells) {
  std::string all;
  for (const Cell& cell : cells) all += cat(cell.stages.folder.string(), "\n");
  return sha256(all).substr(0, 8);
}

// The launcher is no part of a run, so its table is checked here.
void choose_launcher(const Composed& whole, Registry& registry, Plan& plan) {
  const auto written = whole.config.find("launcher");
  const bool named = written && written->type() == Config::Type::text;
  plan.launcher_options = written && !named ? *written : Config::table({});
  plan.launcher =
      named ? written->as<std::string>() : plan.launcher_options.get<std::string>("use", "local");
  try {
    demand(plan.launcher_options, registry.describe("launcher", plan.launcher).schema,
           cat("launcher '", plan.launcher, "'"));
  } catch (const Error& error) {
    fail(written ? written->where() : whole.config.where(), ": ", error.what());
  }
}
}  // namespace

bool has_sweep(const Config& file) { return file.has(table); }

Plan make_plan(const std::filesystem::path& file, const std::vector<std::string>& arguments,
               Registry& registry) {
  const Composed whole = compose(file, arguments);
  const std::optional<Config> written = whole.config.find(table);
  if (!written) {
    fail(file.string(), ": has no [sweep]; it says what is varied: seeds, variants, [sweep.axis]");
  }
  if (!written->is_table()) {
    fail(written->where(), ": [sweep] expects a table, not ", described_value(*written));
  }
  const std::int64_t own_seed = whole.config.get<std::int64_t>("seed", TopSettings(Config()).seed);
  Plan plan{.experiment = file.stem().string(),
            .files = whole.files,
            .settings = settings_of(with_seeds(*written, own_seed)),
            .launcher = {},
            .launcher_options = {},
            .cells = {},
            .folder = {}};
  choose_launcher(whole, registry, plan);
  std::vector<Axis> axes;
  if (const auto axis = written->find("axis")) note_axes(*axis, "", axes);
  if (const auto variants = written->find("variants")) {
    demand_distinct(variants->items(), "'variants' of [sweep]");
  }
  std::vector<std::int64_t> seeds = plan.settings.seeds;
  if (seeds.empty()) seeds = {own_seed};
  if (std::set<std::int64_t>(seeds.begin(), seeds.end()).size() != seeds.size()) {
    fail(written->at("seeds").where(), ": 'seeds' of [sweep] names a seed twice");
  }

  Faults faults;
  for (const Group& group : groups_of(plan.settings, axes)) {
    std::vector<std::string> words = arguments;
    for (const std::string& variant : group.variants) words.push_back("@" + variant);
    for (const std::int64_t seed : seeds) {
      try {
        const Config set = group.set.with("seed", Config::integer(seed, written->origin()));
        Stages stages = read_stages(compose(file, words, set), registry, plan.experiment);
        if (stages.all.front().experiment.seed() != static_cast<std::uint64_t>(seed)) {
          fail("'seed' is set by the command line or by a stage, above the sweep: write ",
               "sweep.seeds=[...] instead");
        }
        plan.cells.push_back({group.name, seed, group.set, std::move(stages), {}, {}});
      } catch (const Error& error) {
        faults.note(group.name, error.what());
        break;  // the other seeds have the same fault
      }
    }
  }
  if (faults.count > 0) {
    fail(file.string(), ": nothing was run, since ", faults.count,
         faults.count == 1 ? " cell is" : " cells are", " at fault", faults.text);
  }
  demand_different(plan.cells, file.string());
  const TopSettings top(plan.cells.front().stages.all.front().experiment.config());
  plan.folder = std::filesystem::path(top.runs) / plan.experiment / "sweeps" / place_of(plan.cells);
  for (std::size_t i = 0; i < plan.cells.size(); ++i) {
    // Each in a folder of its own, so that its experiment has the file's name.
    plan.cells[i].file = plan.folder / "cells" / cat(i) / (plan.experiment + ".toml");
    plan.cells[i].log = plan.folder / "cells" / cat(i) / "log.txt";
  }
  return plan;
}

void Plan::write(const std::vector<std::string>& arguments) const {
  Json all = Json::array();
  for (const Cell& cell : cells) {
    make_folders(real_files(), cell.file.parent_path().string());
    Config own = cell.stages.config;
    for (const char* other : study_tables) own = own.without(other);
    write_durably(cell.file.string(), own.to_toml());
    all.push_back({{"group", cell.group},
                   {"seed", cell.seed},
                   {"set", Json::parse(cell.set.to_json())},
                   {"identity", cell.stages.identity},
                   {"folder", cell.stages.folder.string()},
                   {"file", cell.file.string()},
                   {"log", cell.log.string()}});
  }
  const Json plan = {{"format", 1},
                     {"experiment", experiment},
                     {"files", files},
                     {"arguments", arguments},
                     {"metrics", settings.metrics},
                     {"take", settings.take},
                     {"launcher", launcher},
                     {"launcher_options", Json::parse(launcher_options.to_json())},
                     {"cells", all}};
  write_durably((folder / "plan.json").string(), plan.dump(2) + "\n");
}

}  // namespace lathe
