// lathe plugins, inspect and sidecar: what they say, and that the reference pages say the same.
#include "program.h"

#include <lathe/base/hash.h>
#include <lathe/base/json.h>
#include <lathe/plugin/core_library.h>

#include <algorithm>
#include <filesystem>

namespace lathe::testing {
namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const std::string sort_library = std::string(LATHE_PLUGINS) + "/sort.so";

class Components : public ::testing::Test {
 protected:
  Json json_of(std::vector<std::string> words) {
    words.push_back("--json");
    const Outcome outcome = program.run(words);
    EXPECT_EQ(outcome.code, 0) << outcome.error;
    return Json::parse(outcome.out);
  }
  Program program;
};

TEST_F(Components, InspectShowsIdentityAndABlockThatIsAnExperiment) {
  const Json sort = json_of({"inspect", "sort"}).at(0);
  EXPECT_EQ(sort.at("kind"), "dataset");
  EXPECT_EQ(sort.at("interface_version").is_number_integer(), true);
  EXPECT_EQ(sort.at("compiler"), __VERSION__);
  EXPECT_EQ(sort.at("file"), sort_library);
  EXPECT_EQ(sort.at("library").at("sha256"), sha256_of_file(sort_library));
  EXPECT_EQ(sort.at("library").at("size"), std::filesystem::file_size(sort_library));
  EXPECT_EQ(sort.at("library").at("headers"), header_hash());
  EXPECT_EQ(json_of({"inspect", "ppo"}).at(0).at("needs"),
            Json::array({"environment", "experience of the present policy"}));
  EXPECT_EQ(json_of({"inspect", "gpt"}).at(0).at("provides"),
            Json::array({"causal attention", "cached decoding"}));

  const Outcome shown = program.run({"inspect", "sort"});
  const std::string block = sort.at("toml");
  EXPECT_EQ(block.rfind("[data]\nuse = \"sort\"\nlength = 6\n", 0), 0U) << block;
  EXPECT_TRUE(holds(shown.out, "\n" + block)) << shown.out;
  EXPECT_TRUE(holds(shown.out, "sha256 " + sha256_of_file(sort_library))) << shown.out;
  program.write("block.toml", "# ?\n" + block);
  const Outcome checked = program.run({"check", "block.toml"});
  EXPECT_EQ(checked.code, 0) << checked.error;
  EXPECT_TRUE(holds(program.run({"inspect", "exact_match"}).out, "\n[[reward]]\nuse = "));
}

TEST_F(Components, ARejectedPluginIsShownWithItsReason) {
  std::filesystem::create_directory(program / "plugins");
  std::filesystem::copy_file(std::string(LATHE_TEST_PLUGINS) + "/shape_other_headers.so",
                             program / "plugins/foreign.so");
  const Outcome outcome = program.run({"inspect", "foreign", "--plugin-path", "plugins"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(holds(outcome.out, "shape 'foreign' 1.0.0 (rejected)\n")) << outcome.out;
  EXPECT_TRUE(holds(outcome.out, "\nE102 plugin 'foreign' is built with other public headers"));
}

TEST_F(Components, AProbeThatDiesIsAStateAndTheHostLives) {
  std::filesystem::create_directory(program / "plugins");
  std::filesystem::copy_file(std::string(LATHE_TEST_PLUGINS) + "/shape_trouble.so",
                             program / "plugins/trouble.so");
  setenv("SHAPE_TROUBLE", "crash", 1);
  const Outcome died = program.run({"inspect", "trouble", "--plugin-path", "plugins"});
  unsetenv("SHAPE_TROUBLE");
  EXPECT_EQ(died.code, 1);
  EXPECT_TRUE(holds(died.error, "E106 plugin 'trouble' died in its probe (SIGSEGV, phase: create)"))
      << died.error;
  const auto state = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"plugins", "--plugin-path", "plugins", "--kind", "shape"};
    words.insert(words.end(), more.begin(), more.end());
    return json_of(words).at(0).at("state");
  };
  EXPECT_EQ(state({}), "rejected");  // remembered by another process
  EXPECT_EQ(state({"--probe"}), "ready");
  EXPECT_EQ(state({}), "ready");
  const Outcome written = program.run({"sidecar", "plugins/trouble.so"});
  EXPECT_EQ(written.code, 0) << written.error;
  EXPECT_TRUE(exists(program / "plugins/trouble.lathe.json"));
}

// docs/plugins/ is made by `lathe plugins --markdown docs/plugins`.
// A page without what this machine could not build: the backend cuda needs nvcc.
std::string without_unbuilt(std::string page) {
  if (exists(LATHE_PLUGINS "/cuda.so")) return page;
  const std::size_t begin = page.find("## cuda\n");
  if (begin == page.npos) return page;
  const std::size_t end = page.find("\n## ", begin);
  return page.erase(begin, end == page.npos ? page.npos : end + 1 - begin);
}

TEST_F(Components, TheReferencePagesAreCurrent) {
  const Outcome outcome = program.run({"plugins", "--markdown", "pages"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const std::vector<std::string> pages = list_folder(real_files(), program / "pages");
  EXPECT_EQ(list_folder(real_files(), LATHE_SOURCE "/docs/plugins"), pages);
  EXPECT_EQ(std::count(pages.begin(), pages.end(), "dataset.md"), 1);
  for (const std::string& page : pages) {
    const std::string made = read_file(program / ("pages/" + page));
    const std::string committed = std::string(LATHE_SOURCE "/docs/plugins/") + page;
    EXPECT_TRUE(exists(committed) && without_unbuilt(read_file(committed)) == made)
        << page << " is stale: lathe plugins --markdown docs/plugins";
  }
  const std::string dataset = read_file(program / "pages/dataset.md");
  EXPECT_TRUE(holds(dataset, "\n## sort\n\nVersion 1.0.0, plugin file `sort.so`.\n"));
  EXPECT_TRUE(holds(dataset, "\n| `length` | an integer | `6` | "));
}

}  // namespace
}  // namespace lathe::testing
