// Lathe installed under a prefix that it was not built for, and a project that uses it from there.
#include <host/program.h>

#include <lathe/base/json.h>
#include <lathe/io/metrics_file.h>

#include <gtest/gtest.h>

#include <filesystem>

namespace lathe::testing {
namespace {
namespace filesystem = std::filesystem;

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Installed once, then moved: a prefix is not known when Lathe is built.
class Installed : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    program = new Program;
    const std::string first = *program / "first";
    ASSERT_EQ(shell("cmake --install '" LATHE_BUILD "' --prefix '" + first + "'").code, 0);
    filesystem::rename(first, *program / "moved");
    program->write("tiny.toml", tiny);
  }
  static void TearDownTestSuite() {
    delete program;
    program = nullptr;
  }
  static Outcome shell(const std::string& command) {
    return Program::finish(program->start_program({"/bin/sh", "-c", command}));
  }
  static Outcome lathe(std::vector<std::string> words) {
    words.insert(words.begin(), *program / "moved/bin/lathe");
    return Program::finish(program->start_program(words));
  }
  static Program* program;
};
Program* Installed::program = nullptr;

TEST_F(Installed, HasWhatPluginsNeedAndNothingOfTheTests) {
  for (const std::string file :
       {"bin/lathe", "lib/liblathe.so", "lib/lathe/recipe.json", "lib/lathe/plugins/gpt.so",
        "lib/cmake/Lathe/LatheConfig.cmake", "lib/cmake/Lathe/LathePlugin.cmake",
        "include/lathe/plugin/plugin.h", "include/lathe/plugin/header_hash.h",
        "include/lathe/learn/reward.h"}) {
    EXPECT_TRUE(exists(*program / ("moved/" + file))) << file;
  }
  EXPECT_FALSE(filesystem::is_symlink(*program / "moved/include/lathe"));
  for (const auto& entry : filesystem::directory_iterator(*program / "moved/lib/lathe/plugins")) {
    const std::string name = entry.path().filename();
    EXPECT_TRUE(exists(std::string(LATHE_PLUGINS) + "/" + name)) << name << " is of the tests";
    // The same bytes, so that what is noted about a library stays true.
    EXPECT_TRUE(read_file(entry.path()) == read_file(std::string(LATHE_PLUGINS) + "/" + name))
        << name;
  }
}

TEST_F(Installed, RunsFromWhereItWasMovedTo) {
  const Outcome run = lathe({"run", "tiny.toml", "train.steps=3", "--json", "--folder", "run"});
  ASSERT_EQ(run.code, 0) << run.error;
  EXPECT_EQ(Json::parse(run.out).at("step"), 3);
  const Json manifest = read_json(*program / "run/manifest.json");
  EXPECT_EQ(manifest.at("host").at("program"), *program / "moved/bin/lathe");
  EXPECT_EQ(manifest.at("host").at("library"), *program / "moved/lib/liblathe.so");
  for (const Json& plugin : manifest.at("plugins")) {
    if (!plugin.contains("file")) continue;
    EXPECT_EQ(plugin.at("file").get<std::string>().rfind(*program / "moved/lib/lathe/", 0), 0U)
        << plugin;
  }
}

TEST_F(Installed, AProjectBuildsAPluginAgainstIt) {
  const std::string sample = LATHE_SOURCE "/tests/install/sample";
  const Outcome configured = shell("cmake -G Ninja -S '" + sample + "' -B sample -DLathe_DIR='" +
                                   (*program / "moved/lib/cmake/Lathe") + "' 2>&1");
  ASSERT_EQ(configured.code, 0) << configured.out;
  const Outcome built = shell("cmake --build sample 2>&1");
  ASSERT_EQ(built.code, 0) << built.out;
  const Outcome shown = lathe({"inspect", "staircase", "--plugin-path", "sample/plugins"});
  EXPECT_TRUE(holds(shown.out, "schedule 'staircase' 1.2.3")) << shown.out << shown.error;
  EXPECT_TRUE(holds(shown.out, "the rate is halved every `every` steps.")) << shown.out;

  const Outcome run =
      lathe({"run", "tiny.toml", "--plugin-path", "sample/plugins", "schedule.use=staircase",
             "schedule.every=2", "train.steps=5", "train.log_every=1", "--folder", "stairs", "-q"});
  ASSERT_EQ(run.code, 0) << run.error;
  std::vector<double> rates;
  for (const MetricsRow& row : read_metrics(real_files(), *program / "stairs/metrics.jsonl")) {
    for (const auto& [name, value] : row.values) {
      if (name == "train/rate") rates.push_back(value);
    }
  }
  EXPECT_EQ(rates, (std::vector<double>{3e-3, 3e-3, 1.5e-3, 1.5e-3, 0.75e-3}));
}

TEST_F(Installed, BuildsAPluginWithoutCMake) {
  ASSERT_EQ(lathe({"new", "schedule", "waves"}).code, 0);
  const Outcome built = lathe({"build", "waves.cpp", "--json"});
  ASSERT_EQ(built.code, 0) << built.error;
  EXPECT_EQ(Json::parse(built.out).at(0).at("library"), *program / "data/lathe/plugins/waves.so");
  const Outcome run = lathe({"run", "waves.toml", "train.steps=2", "--json"});
  ASSERT_EQ(run.code, 0) << run.error;
}

}  // namespace
}  // namespace lathe::testing
