#include <lathe/base/error.h>
#include <lathe/config/compose.h>
#include <lathe/config/toml.h>

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace lathe {
namespace {
namespace filesystem = std::filesystem;

class Compose : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = filesystem::temp_directory_path() /
              cat("lathe_compose_", info->name(), "_", static_cast<long long>(getpid()));
    filesystem::create_directories(folder_);
  }
  void TearDown() override { filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  Config composed(const std::vector<std::string>& arguments = {}, const Config& cell = {}) const {
    return compose(folder_ / "exp.toml", arguments, cell).config;
  }
  std::string value(const std::string& path, const std::vector<std::string>& arguments = {}) const {
    return composed(arguments).at(path).to_text();
  }
  // The error's text with the folder's name removed.
  std::string error(const std::vector<std::string>& arguments = {}) const {
    try {
      composed(arguments);
    } catch (const Error& error) {
      std::string text = error.what();
      const std::string prefix = folder_.generic_string() + "/";
      for (std::size_t at; (at = text.find(prefix)) != std::string::npos;) {
        text.erase(at, prefix.size());
      }
      return text;
    }
    return "";
  }

  filesystem::path folder_;
};

TEST_F(Compose, LaterFilesWin) {
  write("base/a.toml", "x = 1\ny = 1\nz = 1\n[t]\na = 1\nlist = [1, 2]\n");
  write("base/b.toml", "include = 'c.toml'\ny = 2\n");
  write("base/c.toml", "y = 9\nfrom_c = 1\n");
  write("exp.toml",
        "include = ['base/a.toml', { path = 'none.toml', optional = true }, 'base/b.toml']\n"
        "z = 3\n[t]\nb = 2\nlist = [3]\n");
  const Composed result = compose(folder_ / "exp.toml");
  EXPECT_EQ(result.config.to_json(),
            R"({"from_c":1,"t":{"a":1,"b":2,"list":[3]},"x":1,"y":2,"z":3})");
  const std::string prefix = folder_.generic_string() + "/";
  EXPECT_EQ(result.config.at("y").where(), prefix + "base/b.toml:2:1");
  EXPECT_EQ(result.config.at("t.a").where(), prefix + "base/a.toml:5:1");
  EXPECT_EQ(result.config.at("t.b").where(), prefix + "exp.toml:4:1");
  EXPECT_EQ(result.files, (std::vector<std::string>{prefix + "base/a.toml", prefix + "base/c.toml",
                                                    prefix + "base/b.toml", prefix + "exp.toml"}));
}

TEST_F(Compose, MissingAndCircularIncludesNameTheWay) {
  write("exp.toml", "include = ['a.toml']\n");
  EXPECT_EQ(error(),
            "exp.toml:1:12: the included file 'a.toml' does not exist (looked for a.toml). Paths "
            "are relative to the file that includes.");
  write("a.toml", "include = ['b.toml']\n");
  write("b.toml", "x = 1\ninclude = [\n  'a.toml']\n");
  EXPECT_EQ(error(),
            "b.toml:3:3: the includes go in a circle: exp.toml -> a.toml -> b.toml -> a.toml");
}

TEST_F(Compose, AnotherPluginInASlotDropsTheOldKeys) {
  write("base.toml", "[optimizer]\nuse = 'adamw'\nbeta = 0.9\nlr = 0.1\n");
  write("exp.toml", "include = ['base.toml']\n[optimizer]\nuse = 'muon'\nlr = 0.2\n");
  EXPECT_EQ(value("optimizer"), R"({ use = "muon", lr = 0.2 })");
  write("exp.toml", "include = ['base.toml']\n[optimizer]\nuse = 'adamw'\nlr = 0.2\n");
  EXPECT_EQ(value("optimizer"), R"({ use = "adamw", beta = 0.9, lr = 0.2 })");
  EXPECT_EQ(value("optimizer", {"optimizer=sgd"}), R"({ use = "sgd" })");
  EXPECT_EQ(value("optimizer", {"optimizer=sgd", "optimizer.lr=3"}), R"({ use = "sgd", lr = 3 })");
  EXPECT_EQ(value("optimizer", {"optimizer.use=sgd"}), R"({ use = "sgd" })");
  EXPECT_EQ(value("optimizer", {"optimizer=adamw"}), R"({ use = "adamw", beta = 0.9, lr = 0.2 })");
  write("exp.toml", "[optimizer]\nlr = 0.2\n");  // keys of no plugin in particular stay
  EXPECT_EQ(value("optimizer", {"optimizer=lion"}), R"({ lr = 0.2, use = "lion" })");
}

TEST_F(Compose, AShortSlotTakesOptionsFromAnywhere) {
  const std::string both = R"({ use = "cosine", warmup = 5 })";
  write("exp.toml", "steps = 1\n");
  EXPECT_EQ(value("schedule", {"schedule=cosine", "schedule.warmup=5"}), both);
  EXPECT_EQ(composed({"schedule.warmup=5", "schedule=cosine"}).to_json(),
            composed({"schedule=cosine", "schedule.warmup=5"}).to_json());
  EXPECT_EQ(value("schedule", {"schedule=cosine", "+schedule.warmup=5"}), both);
  EXPECT_EQ(value("schedule", {"schedule=cosine", "schedule={warmup=5}"}), both);
  EXPECT_EQ(value("schedule", {"schedule=cosine", "schedule.use=linear"}), R"({ use = "linear" })");
  EXPECT_EQ(value("stage.a.schedule", {"+stage.a.schedule=cosine", "stage.a.schedule.warmup=5"}),
            both);
  EXPECT_EQ(value("reward.1", {"reward=['a', 'b']", "reward.1.price=2"}),
            R"({ use = "b", price = 2 })");

  write("exp.toml",
        "schedule = 'cosine'\n[variant.warm.set]\nschedule = { warmup = 5 }\n"
        "[variant.warmer.set]\n'schedule.warmup' = 9\n");
  EXPECT_EQ(value("schedule", {"@warm"}), both);
  EXPECT_EQ(value("schedule.warmup", {"@warm", "@warmer"}), "9");
  EXPECT_EQ(value("schedule", {"@warm", "schedule=linear"}), R"({ use = "linear" })");
  const Config warm = composed({"schedule.warmup=5"});
  EXPECT_EQ(warm.at("schedule").to_text(), both);
  EXPECT_EQ(warm.at("schedule.use").where(), folder_.generic_string() + "/exp.toml:1:1");
  EXPECT_EQ(warm.at("schedule.use").path(), "schedule.use");
  EXPECT_EQ(warm.at("schedule.warmup").where(), "command line 'schedule.warmup=5'");
  write("base.toml", "schedule = 'cosine'\n");
  write("exp.toml", "include = ['base.toml']\n[schedule]\nwarmup = 5\n");
  EXPECT_EQ(value("schedule"), both);
  write("exp.toml", "include = ['base.toml']\n[schedule]\nuse = 'linear'\n");
  EXPECT_EQ(value("schedule"), R"({ use = "linear" })");
}

TEST_F(Compose, ListsOfTablesReplaceAsAWhole) {
  write("base.toml", "[[reward]]\nuse = 'a'\n[[reward]]\nuse = 'b'\n");
  write("exp.toml", "include = ['base.toml']\n[[reward]]\nuse = 'c'\nprice = 1\n");
  EXPECT_EQ(value("reward"), R"([{ use = "c", price = 1 }])");
  EXPECT_EQ(value("reward", {"reward.0.price=2"}), R"([{ use = "c", price = 2 }])");
}

TEST_F(Compose, VariantsThenTheCellThenTheCommandLine) {
  write("exp.toml",
        "[model]\nuse = 'gpt'\nwidth = 1\ndepth = 1\n"
        "[variant.wide.set]\nmodel = { width = 2 }\n"
        "[variant.deep.set]\n'model.depth' = 5\n'model.width' = 3\n");
  EXPECT_EQ(value("model.width", {"@wide"}), "2");
  EXPECT_EQ(value("model.width", {"@deep", "@wide"}), "2");
  EXPECT_EQ(value("model.width", {"@wide", "@deep"}), "3");
  EXPECT_EQ(value("model.depth", {"@deep"}), "5");
  EXPECT_EQ(value("model.width", {"model.width=9", "@wide"}), "9");
  EXPECT_EQ(value("model.width", {"model.width=9", "model.width=8"}), "8");
  const Config cell = parse_toml("'model.width' = 7", "plan");
  EXPECT_EQ(composed({"@wide"}, cell).at("model.width").to_text(), "7");
  EXPECT_EQ(composed({"model.width=8"}, cell).at("model.width").to_text(), "8");
  EXPECT_FALSE(composed().has("variant"));
  EXPECT_EQ(composed({"@deep"}).at("model.depth").origin().line, 8);
  EXPECT_EQ(error({"@wied"}),
            "command line '@wied': no such variant. Did you mean 'wide'? Variants: wide, deep.");
}

TEST_F(Compose, Overrides) {
  write("exp.toml", "[train]\nsteps = 10\nname = 'a'\n");
  EXPECT_EQ(value("train.steps", {"train.steps=20"}), "20");
  EXPECT_EQ(value("train.name", {"train.name=x=y"}), "\"x=y\"");
  EXPECT_EQ(value("train.new", {"+train.new=[1, 2]"}), "[1, 2]");
  EXPECT_EQ(value("a.\"b=c\".d", {"a.\"b=c\".d=1"}), "1");
  EXPECT_FALSE(composed({"~train.steps"}).has("train.steps"));
  EXPECT_EQ(composed({"train.steps=20"}).at("train.steps").where(),
            "command line 'train.steps=20'");
  EXPECT_EQ(error({"+train.steps=1"}),
            "command line '+train.steps=1': the key is already set (exp.toml:2:1). Write "
            "train.steps=... to change it.");
  EXPECT_EQ(error({"~train.stesp"}),
            "command line '~train.stesp': no such key to remove. Did you mean 'train.steps'?");
  EXPECT_EQ(error({"train=5"}),
            "command line 'train=5': 'train' is a table (exp.toml:1:2) and cannot become the "
            "integer 5");
  EXPECT_EQ(error({"train.steps.more=5"}),
            "command line 'train.steps.more=5': cannot set 'train.steps.more': 'train.steps' is "
            "the integer 10 (exp.toml:2:1)");
  EXPECT_EQ(error({"train"}),
            "command line 'train': expected key=value, +key=value, ~key, slot=plugin or @variant");
}

TEST_F(Compose, ANewStageNeedsAPlus) {
  write("exp.toml", "[stage.sft]\nsteps = 1\n[stage.rl]\nsteps = 2\n");
  EXPECT_EQ(value("stage.sft.rate", {"stage.sft.rate=3"}), "3");
  EXPECT_EQ(error({"stage.sfx.rate=3"}),
            "command line 'stage.sfx.rate=3': there is no stage 'sfx'. Did you mean 'sft'? Stages: "
            "sft, rl. +stage.sfx.KEY=... adds it.");
  EXPECT_EQ(error({"stage={rl={rate=3}, last={rate=3}}"}),
            "command line 'stage={rl={rate=3}, last={rate=3}}': there is no stage 'last'. Stages: "
            "sft, rl. +stage.last.KEY=... adds it.");
  EXPECT_EQ(value("stage.last", {"+stage.last.rate=3", "stage.last.steps=4"}),
            "{ rate = 3, steps = 4 }");
  write("exp.toml", "steps = 1\n");
  EXPECT_EQ(error({"stage.sft.rate=3"}),
            "command line 'stage.sft.rate=3': there is no stage 'sft'. The experiment has none. "
            "+stage.sft.KEY=... adds it.");
}

TEST_F(Compose, ReferencesAreReplaced) {
  setenv("LATHE_COMPOSE_TEST", "12", 1);
  unsetenv("LATHE_COMPOSE_NONE");
  write("exp.toml",
        "name = 'run-${train.steps}-${train.rate}$${x}'\nsame = '${train.list}'\n"
        "whole = '${train}'\ntwice = '${train.steps * 2}'\nsum = '${(train.steps + 2) / 4 - -1}'\n"
        "part = '${train.steps / 4}'\nrate = '${train.rate * 2}'\nchain = '${twice + 1}'\n"
        "env = '${env:LATHE_COMPOSE_TEST}'\nodd = '${\"a-b\".c}'\n"
        "[train]\nsteps = 10\nrate = 0.5\nlist = [1, 'a']\n[a-b]\nc = 1\n");
  const Config config = composed();
  EXPECT_EQ(config.at("name").to_text(), R"("run-10-0.5${x}")");
  EXPECT_EQ(config.at("same").to_text(), R"([1, "a"])");
  EXPECT_EQ(config.at("same").path(), "same");
  EXPECT_EQ(config.at("whole.steps").to_text(), "10");
  EXPECT_EQ(config.at("whole.steps").path(), "whole.steps");
  EXPECT_EQ(config.at("twice").to_text(), "20");
  EXPECT_EQ(config.at("twice").origin().line, 4);
  EXPECT_EQ(config.at("sum").to_text(), "4");
  EXPECT_EQ(config.at("part").to_text(), "2.5");
  EXPECT_EQ(config.at("rate").to_text(), "1.0");
  EXPECT_EQ(config.at("chain").to_text(), "21");
  EXPECT_EQ(config.at("env").to_text(), "12");
  EXPECT_EQ(config.at("odd").to_text(), "1");
  EXPECT_EQ(value("twice", {"train.steps=7"}), "14");
}

TEST_F(Compose, BadReferencesNameTheirPlace) {
  const auto error_for = [&](const std::string& text) {
    write("exp.toml", "x = '" + text + "'\ny = '${x}'\n[train]\nsteps = 10\nname = 'a'\n");
    return error();
  };
  EXPECT_EQ(error_for("${train.stpes}"),
            "exp.toml:1:1: '${train.stpes}' refers to the key 'train.stpes', which is not set. Did "
            "you mean 'train.steps'? A key left at its default cannot be referred to; write it "
            "out.");
  EXPECT_EQ(error_for("${y}"), "exp.toml:1:1: the references go in a circle: x -> y -> x");
  EXPECT_EQ(error_for("${x}"), "exp.toml:1:1: the references go in a circle: x -> x");
  EXPECT_EQ(error_for("${env:LATHE_COMPOSE_NONE}"),
            "exp.toml:1:1: the environment variable 'LATHE_COMPOSE_NONE' of "
            "'${env:LATHE_COMPOSE_NONE}' is not set. Set it, or override 'x'.");
  EXPECT_EQ(error_for("${train.steps * train.name}"),
            "exp.toml:1:1: cannot evaluate '${train.steps * train.name}': arithmetic needs "
            "numbers, found the string \"a\"");
  EXPECT_EQ(error_for("${train.steps / 0}"),
            "exp.toml:1:1: cannot evaluate '${train.steps / 0}': division by zero");
  EXPECT_EQ(error_for("${9223372036854775807 + 1}"),
            "exp.toml:1:1: cannot evaluate '${9223372036854775807 + 1}': the result does not fit "
            "64 bits");
  EXPECT_EQ(error_for("${(1 + 2}"),
            "exp.toml:1:1: cannot evaluate '${(1 + 2}': a bracket is not closed");
  EXPECT_EQ(error_for("${1 2}"), "exp.toml:1:1: cannot evaluate '${1 2}': unexpected '2'");
  EXPECT_EQ(error_for("a${train}"),
            "exp.toml:1:1: a table cannot stand inside the string \"a${train}\"");
  EXPECT_EQ(error_for("${train"), "exp.toml:1:1: '${' lacks its '}' in \"${train\"");
}

TEST_F(Compose, OriginsListEveryValue) {
  write("base.toml", "[a]\nx = 1\n");
  write("exp.toml", "include = ['base.toml']\n[a]\ny = 2\n");
  const std::vector<KeyOrigin> all = origins(composed({"a.z=3"}));
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].path, "a.x");
  EXPECT_TRUE(all[0].origin.where().ends_with("base.toml:2:1"));
  EXPECT_EQ(all[1].path, "a.y");
  EXPECT_TRUE(all[1].origin.where().ends_with("exp.toml:3:1"));
  EXPECT_EQ(all[2].origin.where(), "command line 'a.z=3'");
}

}  // namespace
}  // namespace lathe
