// Experiments are judged from what components declare: nothing is loaded, and misfits have a place.
#include "tiny_session.h"

#include <base/temporary_folder.h>

#include <lathe/learn/components.h>
#include <lathe/run/fit.h>

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace lathe {
namespace {
using testing::built_plugins;
using testing::TemporaryFolder;
using testing::tiny_sums;

class Hammer {
 public:
  static constexpr const char* kind = "tool";
  static constexpr int interface_version = 1;
  static constexpr const char* provides[] = {"blows", "noise"};
  virtual ~Hammer() = default;
};

TEST(Fit, AWordIsProvidedByAKindOrByAnyComponent) {
  Registry registry({.user_folders = false});
  registry.add<Hammer, Hammer>("sledge", "1.0.0");
  const Description& sledge = registry.describe("tool", "sledge");
  Description nail;
  nail.kind = "nail";
  const std::vector<Need> needs = {{"blows", "nail 'long'", "exp.toml:2:1"},
                                   {"tool", "nail 'long'", "exp.toml:2:1"},
                                   {"glue", "nail 'long'", "exp.toml:3:7"}};
  const std::vector<const Description*> all = {&sledge, &nail};
  const std::string glue =
      "exp.toml:3:7: nail 'long' needs \"glue\", which nothing in this experiment provides. No "
      "component is known that does: `lathe plugins` lists all";
  EXPECT_EQ(misfits(needs, all, registry), std::vector<std::string>{glue});
  const std::vector<const Description*> alone = {&nail};
  EXPECT_EQ(misfits(needs, alone, registry),
            (std::vector<std::string>{
                "exp.toml:2:1: nail 'long' needs \"blows\", which nothing in this experiment "
                "provides. Components that do: tool 'sledge'",
                "exp.toml:2:1: nail 'long' needs \"tool\", which nothing in this experiment "
                "provides. Components that do: tool 'sledge'",
                glue}));
}

class Fitting : public ::testing::Test {
 protected:
  Fitting() : registry(built_plugins()) { add_components(registry); }
  // What the experiment is refused with; "" when it is not.
  std::string fault(const std::string& text) {
    write_durably(folder / "exp.toml", text);
    try {
      Experiment(folder / "exp.toml", {}, registry);
      return "";
    } catch (const Error& error) {
      const std::string place = folder / "exp.toml";
      std::string told = error.what();
      for (std::size_t at = 0; (at = told.find(place, at)) != std::string::npos;) {
        told.replace(at, place.size(), "exp.toml");
      }
      return told;
    }
  }
  static bool anything_is_loaded() {
    std::ifstream maps("/proc/self/maps");
    const std::string text{std::istreambuf_iterator<char>(maps), {}};
    return text.find(LATHE_PLUGINS) != std::string::npos;
  }

  TemporaryFolder folder;
  Registry registry;
};

// The runner gives each test a process of its own; else earlier tests may have loaded some.
TEST_F(Fitting, NothingIsLoadedToCheckAnExperiment) {
  const bool before = anything_is_loaded();
  EXPECT_EQ(fault(tiny_sums), "");
  const Experiment experiment(folder / "exp.toml", {}, registry);
  EXPECT_EQ(experiment.identity().size(), 64U);
  EXPECT_TRUE(experiment.resolved().has("model.width"));
  EXPECT_NE(fault("[data]\nuse = 'sort'\nlenght = 4\n").find("Did you mean 'length'?"),
            std::string::npos);
  for (const PluginState& state : registry.states()) EXPECT_NE(state.state, "loaded") << state.name;
  EXPECT_EQ(anything_is_loaded(), before);
}

TEST_F(Fitting, APrecisionThatTheBackendLacksIsNamed) {
  const std::string data = "[data]\nuse = 'sort'\n[train]\nprecision = 'f64'\n[backend]\nuse = ";
  EXPECT_EQ(fault(data + "'onednn'\n"),
            "exp.toml:4:1: [train] precision = \"f64\" needs \"f64 precision\", which nothing in "
            "this experiment provides. Components that do: backend 'reference'");
  EXPECT_EQ(fault(data + "'reference'\n"), "");
}

TEST_F(Fitting, AnObjectiveThatActsNeedsAnEnvironment) {
  const std::string text = fault("[data]\nuse = 'sort'\n[objective]\nuse = 'ppo'\n");
  EXPECT_EQ(text.rfind("exp.toml:4:1: objective 'ppo' needs \"environment\", which nothing in this "
                       "experiment provides. Components that do: environment '",
                       0),
            0U)
      << text;
}

TEST_F(Fitting, ALossNeedsAModelThatSeesWhatItMaySee) {
  const std::string data = "[data]\nuse = 'sort'\n[model]\nuse = ";
  EXPECT_EQ(fault(data + "'encoder'\n"),
            "exp.toml:1:1: objective 'sft' needs \"causal attention\", which nothing in this "
            "experiment provides. Components that do: model 'gpt'");
  EXPECT_EQ(fault(data + "'gpt'\n[objective]\nuse = 'masked'\n"),
            "exp.toml:6:1: objective 'masked' needs \"bidirectional attention\", which nothing in "
            "this experiment provides. Components that do: model 'encoder'");
  EXPECT_EQ(fault(data + "'encoder'\n[objective]\nuse = 'masked'\n"), "");
}

}  // namespace
}  // namespace lathe
