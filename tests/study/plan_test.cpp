// Which cells a [sweep] stands for, and what is refused before any of them runs.
#include <gtest/gtest.h>
#include <lathe/base/json.h>
#include <lathe/config/toml.h>
#include <lathe/study/launcher.h>
#include <lathe/study/plan.h>
#include <lathe/study/sweep.h>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::Tiny;

constexpr const char* base = R"(seed = 4
[data]
use = "sort"
[tokenizer]
specials = true
[model]
use = "gpt"
layers = 1
heads = 2
width = 16
[train]
steps = 3
[variant.wide.set]
model = { width = 32 }
[variant.deep.set]
model = { layers = 2 }
)";

class Sweeps : public ::testing::Test {
 protected:
  Sweeps() : tiny_(base) { tiny_.registry().add_kind<Launcher>(); }

  Plan plan(const std::string& sweep, const std::vector<std::string>& arguments = {}) {
    tiny_.write("swept.toml", base + sweep);
    return make_plan(tiny_ / "swept.toml", arguments, tiny_.registry());
  }
  std::string error_of(const std::string& sweep, const std::vector<std::string>& arguments = {}) {
    try {
      plan(sweep, arguments);
      return "no error";
    } catch (const Error& error) {
      return error.what();
    }
  }
  static std::vector<std::string> names(const Plan& plan) {
    std::vector<std::string> all;
    for (const Cell& cell : plan.cells) all.push_back(cell.name());
    return all;
  }
  static const Experiment& experiment(const Cell& cell) {
    return cell.stages.all.front().experiment;
  }
  void expect_error(const std::string& sweep, const std::string& part,
                    const std::vector<std::string>& arguments = {}) {
    const std::string said = error_of(sweep, arguments);
    EXPECT_NE(said.find(part), said.npos) << "expected: " << part << "\nsaid: " << said;
  }

  Tiny tiny_;
};

TEST_F(Sweeps, CellsAreVariantsTimesAxesTimesSeedsTheLastFastest) {
  const Plan made = plan(R"([sweep]
seeds = 2
variants = ["full", "wide+deep"]
[sweep.axis]
"optimizer.rate" = [1e-3, 0.5]
train.clip = [0, 2]
)");
  ASSERT_EQ(made.cells.size(), 16U);
  const std::vector<std::string> all = names(made);
  EXPECT_EQ(all[0], "full optimizer.rate=0.001 train.clip=0 seed=4");
  EXPECT_EQ(all[1], "full optimizer.rate=0.001 train.clip=0 seed=5");
  EXPECT_EQ(all[2], "full optimizer.rate=0.001 train.clip=2 seed=4");
  EXPECT_EQ(all[4], "full optimizer.rate=0.5 train.clip=0 seed=4");
  EXPECT_EQ(all[15], "wide+deep optimizer.rate=0.5 train.clip=2 seed=5");

  const Experiment& last = experiment(made.cells[15]);
  EXPECT_EQ(last.seed(), 5U);
  EXPECT_EQ(last.config().get("model.width", 0), 32);
  EXPECT_EQ(last.config().get("model.layers", 0), 2);
  EXPECT_EQ(last.config().get("optimizer.rate", 0.0), 0.5);
  EXPECT_EQ(last.config().get("train.clip", 0.0), 2.0);
  EXPECT_EQ(experiment(made.cells[0]).config().get("model.width", 0), 16);
  EXPECT_FALSE(last.config().has("sweep"));
}

TEST_F(Sweeps, ACellIsTheRunThatLatheRunWouldMake) {
  const Plan made = plan("[sweep.axis]\n\"optimizer.rate\" = [0.5]\n");
  ASSERT_EQ(names(made), std::vector<std::string>{"optimizer.rate=0.5 seed=4"});
  const Experiment alone(tiny_ / "swept.toml", {"optimizer.rate=0.5"}, tiny_.registry());
  EXPECT_EQ(experiment(made.cells[0]).identity(), alone.identity());
  EXPECT_EQ(made.cells[0].stages.folder, alone.folder());
}

TEST_F(Sweeps, WithoutAnyWordItIsTheFileWithItsSeeds) {
  EXPECT_EQ(names(plan("[sweep]\nseeds = [9, 2]\n")),
            (std::vector<std::string>{"full seed=9", "full seed=2"}));
  EXPECT_EQ(names(plan("[sweep]\n")), std::vector<std::string>{"full seed=4"});
  EXPECT_EQ(names(plan("[sweep]\n", {"sweep.seeds=2", "@wide"})),
            (std::vector<std::string>{"full seed=4", "full seed=5"}));
  EXPECT_EQ(names(plan("[sweep.axis]\nschedule = ['constant', 'cosine']\n")),
            (std::vector<std::string>{"schedule=constant seed=4", "schedule=cosine seed=4"}));
}

// What is written reads back as the same experiment, whatever becomes of the file.
TEST_F(Sweeps, ThePlanFreezesEachCell) {
  Plan made = plan(
      "[sweep]\nvariants = ['wide']\nmetrics = ['eval/loss']\n[sweep.axis]\n"
      "\"optimizer.rate\" = [1e-3, 0.5]\n");
  made.folder = tiny_ / "sweep";
  for (std::size_t i = 0; i < made.cells.size(); ++i) {
    made.cells[i].file = made.folder / cat(i) / "swept.toml";
  }
  made.write({"lathe", "sweep", "swept.toml"});
  const Json written = read_json(tiny_ / "sweep/plan.json");
  EXPECT_EQ(written.at("launcher"), "local");
  EXPECT_EQ(written.at("metrics"), Json::parse(R"(["eval/loss"])"));
  ASSERT_EQ(written.at("cells").size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const Json& cell = written.at("cells")[i];
    EXPECT_EQ(cell.at("group"), i == 0 ? "wide optimizer.rate=0.001" : "wide optimizer.rate=0.5");
    EXPECT_EQ(cell.at("set").at("optimizer.rate"), i == 0 ? 0.001 : 0.5);
    EXPECT_EQ(cell.at("seed"), 4);
    const Experiment again(cell.at("file").get<std::string>(), {}, tiny_.registry());
    EXPECT_EQ(again.identity(), cell.at("identity"));
    EXPECT_EQ(again.seed(), 4U);
    EXPECT_EQ(again.name(), "swept");
  }
}

TEST_F(Sweeps, EveryBadCellIsNamedWithThePlaceOfItsValue) {
  const std::string said = error_of(
      "[sweep]\nseeds = 3\n[sweep.axis]\n"
      "\"optimizer.rate\" = [1e-3, -2.0]\n\"model.widht\" = [8]\n");
  EXPECT_NE(said.find("nothing was run, since 2 cells are at fault"), said.npos) << said;
  EXPECT_NE(said.find("cell optimizer.rate=-2.0 model.widht=8:"), said.npos) << said;
  EXPECT_NE(said.find("swept.toml:20:27: 'rate' of optimizer 'adamw' is -2.0"), said.npos) << said;
  EXPECT_NE(said.find("Did you mean 'width'?"), said.npos) << said;
}

TEST_F(Sweeps, WhatIsNoSweepIsRefused) {
  expect_error("", "has no [sweep]");
  expect_error("[sweep]\nseed = 3\n", "unknown key 'seed' of [sweep]. Did you mean 'seeds'?");
  expect_error("[sweep]\nseeds = 0\n", "expects a number of at least 1, or a list");
  expect_error("[sweep]\nseeds = [1, 2, 1]\n", "names a seed twice");
  expect_error("[sweep]\ntake = 'best'\n", "one of: last, min, max, mean");
  expect_error("[sweep]\nvariants = ['wid']\n", "no such variant. Did you mean 'wide'?");
  expect_error("[sweep.axis]\n\"train.clip\" = 3\n", "'train.clip' expects a list of values");
  expect_error("[sweep.axis]\nseed = [1, 2]\n", "seeds are no axis");
  expect_error("[sweep.axis]\n\"train.threads\" = [1, 2]\n",
               "'train.threads=1' and 'train.threads=2' are the same experiment");
  expect_error("[sweep.axis]\n\"train.clip\" = [1, 2]\n", "set again by the command line",
               {"train.clip=3"});
  expect_error("[sweep.axis]\n\"train.clip\" = [1, 2, 1.0]\n",
               "swept.toml:18:23: the axis 'train.clip' names 1.0 twice");
  expect_error("[sweep]\nvariants = ['full', 'wide', 'full']\n",
               "swept.toml:18:29: 'variants' of [sweep] names \"full\" twice");
  expect_error("[sweep]\nvariants = ['wide+deep', 'deep+wide']\n",
               "'wide+deep' and 'deep+wide' are the same experiment");
  expect_error("[sweep]\n", "the axis 'optimizer.rate' names 0.002 twice",
               {"sweep.axis={\"optimizer.rate\"=[2e-3,0.002]}"});
  expect_error("[sweep]\nseeds = 2\n", "write sweep.seeds=[...] instead", {"seed=8"});
  expect_error("[sweep]\n[launcher]\nuse = 'locl'\n", "Did you mean 'local'?");
  expect_error("[sweep]\n[launcher]\nslot = 2\n", "Did you mean 'slots'?");
  expect_error("[sweep]\n[ablation]\nminus.kl = {}\n", "ablation");
}

TEST(SweepReport, ColumnsAreAligned) {
  EXPECT_EQ(
      table_text({{"cell", "n", "mean"}, {"\xC3\xA9t\xC3\xA9", "12", "-"}, {"x", "3", "1.5"}}, 1),
      "cell   n  mean\n"
      "\xC3\xA9t\xC3\xA9   12     -\n"
      "x      3   1.5\n");
}

}  // namespace
}  // namespace lathe
