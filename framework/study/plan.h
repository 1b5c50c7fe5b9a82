// The cells of a sweep: every run that it consists of, composed and checked before the first
// begins.
//
//   [sweep]
//   seeds = 5                         # the experiment's seed and the four after it; or a list
//   variants = ["full", "wide"]       # "full": no variant; "wide+deep": both
//   metrics = ["eval/loss"]
//   [sweep.axis]
//   "optimizer.rate" = [1e-3, 3e-3]
//   [launcher]
//   use = "local"
#pragma once

#include <lathe/config/keys.h>
#include <lathe/run/stages.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lathe {

struct SweepSettings : Keys {
  std::vector<std::int64_t> seeds =
      key("seeds", std::vector<std::int64_t>(),
          "how many seeds, counted from the experiment's own, or a list of them; none: its own",
          at_least(0));
  std::vector<std::string> variants =
      key("variants", std::vector<std::string>(),
          "variants that are compared; \"full\" is the file as it stands, \"a+b\" has both");
  std::vector<std::string> metrics =
      key("metrics", std::vector<std::string>(),
          "what is compared, as in metrics.jsonl; none: what chooses the best checkpoint");
  std::string take = key("take", "last", "which of a run's values of a metric counts",
                         one_of({"last", "min", "max", "mean"}));
};

// One run: a group's experiment with one seed.
struct Cell {
  std::string group;  // "wide optimizer.rate=0.001"; "full" where nothing is varied
  std::int64_t seed = 0;
  Config set;  // the table of what the axes set, keyed by path
  Stages stages;
  std::filesystem::path file;  // the cell as an experiment of its own, in the plan's folder
  std::filesystem::path log;

  std::string name() const { return cat(group, " seed=", seed); }
};

struct Plan {
  std::string experiment;          // the file's stem
  std::vector<std::string> files;  // that were read
  SweepSettings settings;
  std::string launcher;
  Config launcher_options;
  std::vector<Cell> cells;       // group by group, in the order of the file
  std::filesystem::path folder;  // <runs>/<experiment>/sweeps/<id8>

  // plan.json, and each cell as a file of its own: what is launched cannot change any more when
  // the experiment's file does.
  void write(const std::vector<std::string>& arguments) const;
};

// Whether a file is to be swept at all.
bool has_sweep(const Config& file);

// Composes and checks every cell; an Error names each that is at fault, with the place. The plugin
// of the launcher is judged by its options alone.
Plan make_plan(const std::filesystem::path& file, const std::vector<std::string>& arguments,
               Registry& registry);

}  // namespace lathe
