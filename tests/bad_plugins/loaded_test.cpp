// Plugins that are good alone and meet: same names inside, other bytes while loading, sidecars that
// are damaged, old or wrong.
#include <gtest/gtest.h>
#include <lathe/plugin/registry.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "bad_plugins/fixtures/thing.h"
#include "host/program.h"

namespace lathe {
namespace {
namespace filesystem = std::filesystem;
using testing::Outcome;
using testing::Program;

const filesystem::path built = LATHE_BAD_PLUGINS;

std::string text_of(const filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}
void write_text(const filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

TEST(LoadedPlugins, EachKeepsItsOwnStaticsAndInlineFunctions) {
  Registry registry({.folders = {built}, .user_folders = false});
  const auto good = registry.create<Thing>("good_thing", Config());
  const auto other = registry.create<Thing>("other_thing", Config());
  EXPECT_EQ(good->says(), "goodgoodgood");
  EXPECT_EQ(other->says(), "otherotherother");
  EXPECT_EQ(good->says(), "goodgoodgood");
}

TEST(LoadedPlugins, AFileThatChangesBetweenJudgementAndLoadingIsRefused) {
  const testing::TemporaryFolder folder;
  filesystem::copy_file(built / "other_thing.so", folder / "other_thing.so");
  Registry registry({.folders = {folder.path()}, .user_folders = false});
  EXPECT_EQ(registry.states().at(0).version, "1.0.0");
  std::string bytes = text_of(built / "other_thing.so");
  for (std::size_t at = bytes.find("1.0.0"); at != bytes.npos; at = bytes.find("1.0.0", at + 1)) {
    bytes.replace(at, 5, "6.6.6");
  }
  filesystem::remove(folder / "other_thing.so");
  write_text(folder / "other_thing.so", bytes);
  try {
    registry.create<Thing>("other_thing", Config());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("E101"), std::string::npos) << error.what();
  }
  // Started again, it is what it now says.
  Registry again({.folders = {folder.path()}, .user_folders = false});
  EXPECT_EQ(again.create<Thing>("other_thing", Config())->says(), "otherotherother");
}

class Sidecars : public ::testing::Test {
 protected:
  Sidecars() : library_(program_ / "plugins/other_thing.so"), sidecar_(library_) {
    setenv("XDG_CACHE_HOME", (program_ / "cache").c_str(), 1);
    sidecar_.replace_extension(".lathe.json");
    filesystem::create_directories(library_.parent_path());
    filesystem::copy_file(built / "other_thing.so", library_);
    const Outcome made = program_.run({"sidecar", library_.string()});
    EXPECT_EQ(made.code, 0) << made.error;
    text_ = text_of(sidecar_);
    EXPECT_NE(text_.find("\"count\""), std::string::npos) << text_;
  }
  Outcome run(std::vector<std::string> words) {
    words.insert(words.end(), {"--plugin-path", library_.parent_path().string()});
    return program_.run(words);
  }

  Program program_;
  filesystem::path library_, sidecar_;
  std::string text_;
};

TEST_F(Sidecars, ADamagedOneIsSaidAndThePluginIsAsked) {
  for (const std::string& damaged :
       {std::string("{\"format\": "), std::string(), std::string("[1, 2]"),
        text_.substr(0, text_.size() / 2), std::string(200, '[')}) {
    write_text(sidecar_, damaged);
    filesystem::remove_all(program_ / "cache");
    const Outcome outcome = run({"inspect", "other_thing"});
    EXPECT_EQ(outcome.code, 0) << outcome.error;
    EXPECT_NE(outcome.out.find("how often it speaks"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.error.find("lathe sidecar"), std::string::npos) << outcome.error;
  }
}

TEST_F(Sidecars, AStaleOneIsAsIfAbsent) {
  std::string stale = text_;
  const std::size_t at = stale.find("how often it speaks");
  ASSERT_NE(at, stale.npos);
  stale.replace(at, 19, "what was once true!");
  const std::size_t hash = stale.find("\"sha256\"");
  ASSERT_NE(hash, stale.npos);
  const std::size_t digit = stale.find('"', stale.find(':', hash)) + 1;
  stale[digit] = stale[digit] == 'a' ? 'b' : 'a';
  write_text(sidecar_, stale);
  const Outcome outcome = run({"inspect", "other_thing"});
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("how often it speaks"), std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.out.find("once true"), std::string::npos) << outcome.out;
}

TEST_F(Sidecars, OneThatLiesIsFoundOutWhenThePluginIsUsed) {
  std::string lie = text_;
  const std::size_t at = lie.find("\"count\"");
  ASSERT_NE(at, lie.npos);
  lie.replace(at, 7, "\"loose\"");
  write_text(sidecar_, lie);
  const Outcome outcome = run({"conform", "other_thing", "--level", "1"});
  EXPECT_EQ(outcome.code, 1) << outcome.out;
  EXPECT_NE(outcome.out.find("E109"), std::string::npos) << outcome.out << outcome.error;
  EXPECT_NE(outcome.out.find("lathe sidecar"), std::string::npos) << outcome.out;
}

}  // namespace
}  // namespace lathe
