// A kind of component that no part of the host has heard of (bad_plugins/fixtures/thing.h is all of
// it): registry, validator, inspect and conform know what to do with it.
#include <gtest/gtest.h>
#include <lathe/base/file.h>
#include <lathe/base/json.h>
#include <lathe/config/toml.h>
#include <lathe/plugin/registry.h>

#include "bad_plugins/fixtures/thing.h"
#include "host/program.h"

namespace lathe {
namespace {
using testing::Outcome;
using testing::Program;

std::vector<std::string> with_things(std::vector<std::string> words) {
  words.insert(words.end(), {"--plugin-path", LATHE_BAD_PLUGINS});
  return words;
}

TEST(NewKind, IsFoundMadeAndChecked) {
  Registry registry({.folders = {LATHE_BAD_PLUGINS}, .user_folders = false});
  const std::vector<std::string> names = registry.names("thing");
  EXPECT_NE(std::find(names.begin(), names.end(), "good_thing"), names.end());
  EXPECT_EQ(registry.create<Thing>("good_thing", parse_toml("count = 2", "x.toml"))->says(),
            "goodgood");
  const auto refusal = [&](const std::string& text) {
    try {
      registry.create<Thing>("good_thing", parse_toml(text, "x.toml"));
      return std::string();
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  EXPECT_EQ(refusal("cuont = 2"),
            "x.toml:1:1: unknown key 'cuont' of thing 'good_thing'. Did you mean 'count'? Valid: "
            "count.");
  EXPECT_EQ(refusal("count = 10"),
            "x.toml:1:1: 'count' of thing 'good_thing' is 10, allowed: at least 0, at most 9.");
}

TEST(NewKind, IsListedInspectedAndTried) {
  Program program;
  setenv("XDG_CACHE_HOME", (program / "cache").c_str(), 1);
  setenv("LATHE_PROBE_LIMIT", "2", 1);
  const Outcome list = program.run(with_things({"plugins", "--kind", "thing", "--json"}));
  ASSERT_EQ(list.code, 0) << list.error;
  bool listed = false;
  for (const Json& plugin : Json::parse(list.out)) {
    EXPECT_EQ(plugin.at("kind"), "thing");
    listed = listed || plugin.at("name") == "good_thing";
  }
  EXPECT_TRUE(listed);
  const Outcome inspect = program.run(with_things({"inspect", "good_thing"}));
  EXPECT_EQ(inspect.code, 0) << inspect.error;
  for (const char* words : {"how often it speaks", "[thing]\nuse = \"good_thing\"\ncount = 3\n",
                            "at least 0, at most 9", "A thing that misbehaves"}) {
    EXPECT_NE(inspect.out.find(words), std::string::npos) << words << "\n" << inspect.out;
  }
  const Outcome conform = program.run(with_things({"conform", "good_thing", "--level", "10"}));
  EXPECT_EQ(conform.code, 0) << conform.out << conform.error;
  EXPECT_NE(conform.out.find("this host knows no way to use a thing"), std::string::npos);
  EXPECT_NE(conform.out.find("passed"), std::string::npos);
}

TEST(NewKind, HasAPageOfItsOwn) {
  Program program;
  const std::filesystem::path plugins = program / "plugins";
  std::filesystem::create_directory(plugins);
  std::filesystem::copy(std::filesystem::path(LATHE_BAD_PLUGINS) / "good_thing.so",
                        plugins / "good_thing.so");
  const std::string folder = program / "pages";
  const Outcome pages =
      program.run({"plugins", "--markdown", folder, "--plugin-path", plugins.string()});
  ASSERT_EQ(pages.code, 0) << pages.error;
  const std::string page = read_file(folder + "/thing.md");
  EXPECT_EQ(page.rfind("# Components of the kind thing\n", 0), 0U) << page;
  EXPECT_NE(
      page.find("| `count` | an integer | `3` | at least 0, at most 9 | how often it speaks |"),
      std::string::npos)
      << page;
}

}  // namespace
}  // namespace lathe
