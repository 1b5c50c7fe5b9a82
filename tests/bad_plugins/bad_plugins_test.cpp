// Deliberately bad plugins: each is refused, or survived, in words that say what to do; the host
// goes on and the good plugin beside it works.
#include <gtest/gtest.h>
#include <lathe/base/json.h>
#include <lathe/plugin/stamp.h>

#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "bad_plugins/fixtures/thing.h"
#include "host/program.h"

namespace lathe {
namespace {
namespace filesystem = std::filesystem;
using testing::Outcome;
using testing::Program;

const filesystem::path built = LATHE_BAD_PLUGINS;

std::string bytes_of(const filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write_bytes(const filesystem::path& file, const std::string& bytes) {
  filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << bytes;
}

void replace_all(std::string& bytes, const std::string& from, const std::string& to) {
  ASSERT_EQ(from.size(), to.size());
  std::size_t count = 0;
  for (std::size_t at = bytes.find(from); at != bytes.npos; at = bytes.find(from, at + 1)) {
    bytes.replace(at, from.size(), to);
    ++count;
  }
  EXPECT_GT(count, 0u) << from;
}

// Every stamp of the library, changed.
void change_stamps(std::string& bytes, const std::function<void(Stamp&)>& change) {
  for (std::size_t at = bytes.find("LATHE#1"); at != bytes.npos;
       at = bytes.find("LATHE#1", at + 1)) {
    if (at + sizeof(Stamp) > bytes.size()) break;
    Stamp stamp;
    std::memcpy(static_cast<void*>(&stamp), bytes.data() + at, sizeof stamp);
    if (stamp.size != sizeof(Stamp)) continue;
    change(stamp);
    std::memcpy(bytes.data() + at, &stamp, sizeof stamp);
  }
}

// A host with a folder of plugins, in a folder and a cache of its own.
class BadPlugins : public ::testing::Test {
 protected:
  BadPlugins() : folder_(program_ / "plugins") {
    setenv("LATHE_PROBE_LIMIT", "2", 1);
    setenv("XDG_CACHE_HOME", (program_ / "cache").c_str(), 1);
    setenv("XDG_DATA_HOME", (program_ / "data").c_str(), 1);
    copy("good_thing");
  }

  filesystem::path copy(const std::string& name, const std::string& as = "",
                        const std::function<void(std::string&)>& change = {}) {
    std::string bytes = bytes_of(built / (name + ".so"));
    EXPECT_FALSE(bytes.empty()) << name;
    if (change) change(bytes);
    const filesystem::path file = folder_ / ((as.empty() ? name : as) + ".so");
    write_bytes(file, bytes);
    return file;
  }
  Outcome run(std::vector<std::string> words) {
    words.insert(words.end(), {"--plugin-path", folder_.string()});
    return program_.run(words);
  }
  // The host lists what there is and uses the good plugin, whatever lies beside it.
  void expect_alive() {
    const Outcome list = run({"plugins", "--json"});
    EXPECT_EQ(list.code, 0) << list.error;
    EXPECT_TRUE(Json::parse(list.out, nullptr, false).is_array()) << list.out;
    const Outcome good = run({"inspect", "good_thing"});
    EXPECT_EQ(good.code, 0) << good.error;
    EXPECT_NE(good.out.find("count"), std::string::npos) << good.out;
  }
  void expect_words(const Outcome& outcome, const std::vector<std::string>& words) {
    for (const std::string& word : words) {
      EXPECT_NE((outcome.out + outcome.error).find(word), std::string::npos)
          << "expected: " << word << "\nsaid: " << outcome.out << outcome.error;
    }
  }
  // `lathe conform` calls it bad, and says so.
  void expect_failed(const std::string& name, const std::vector<std::string>& words) {
    const Outcome outcome = run({"conform", name, "--level", "3", "--limit", "10"});
    EXPECT_EQ(outcome.code, 1) << outcome.out << outcome.error;
    expect_words(outcome, words);
    expect_alive();
  }
  // It is listed as rejected, with the reason.
  void expect_rejected(const std::string& name, const std::vector<std::string>& words) {
    const Outcome list = run({"plugins", "--json"});
    const Json all = Json::parse(list.out, nullptr, false);
    ASSERT_TRUE(all.is_array()) << list.out;
    std::string reason = "it is not listed";
    for (const Json& plugin : all) {
      if (plugin.at("name") != name) continue;
      reason =
          plugin.at("state").get<std::string>() + ": " + plugin.at("reason").get<std::string>();
    }
    EXPECT_TRUE(reason.starts_with("rejected: ")) << reason;
    for (const std::string& word : words) {
      EXPECT_NE(reason.find(word), std::string::npos) << word << "\nreason: " << reason;
    }
    EXPECT_EQ(run({"conform", name}).code, 1);
    expect_alive();
  }

  Program program_;
  filesystem::path folder_;
};

// ---- Files that are refused before anything of them runs

struct Patch {
  const char* name;
  std::function<void(std::string&)> change;
  std::vector<std::string> words;
};

TEST_F(BadPlugins, DamagedAndForeignFiles) {
  const auto stamps = [](const std::function<void(Stamp&)>& change) {
    return [change](std::string& bytes) { change_stamps(bytes, change); };
  };
  const auto swap = [](const std::string& from, const std::string& to) {
    return [from, to](std::string& bytes) { replace_all(bytes, from, to); };
  };
  const std::vector<Patch> patches = {
      {"epoch", stamps([](Stamp& s) { s.epoch = 99; }), {"E101", "format 99", "Build the plugin"}},
      {"string_abi",
       stamps([](Stamp& s) { s.library ^= new_string_abi; }),
       {"E102", "the old string", "compiler and flags of this host"}},
      {"sanitizer",
       stamps([](Stamp& s) { s.library ^= thread_sanitizer; }),
       {"E102", "the thread sanitizer"}},
      {"containers", stamps([](Stamp& s) { s.library ^= debug_containers; }), {"E102"}},
      {"layout",
       stamps([](Stamp& s) { s.layouts[1].size = 24; }),
       {"E102", "std::string has 24 bytes there"}},
      {"no_stamp", swap(".lathe.stamp", ".lathe.stomp"), {"no line LATHE_PLUGIN"}},
      {"magic", swap("LATHE#1", "LATHE#7"), {"no magic"}},
      {"headers", swap(".lathe.headers", ".lathe.heaters"), {"E102", "public headers"}},
      {"architecture", [](std::string& bytes) { bytes[18] = '\x28'; }, {"another processor"}},
      {"word_size", [](std::string& bytes) { bytes[4] = '\x01'; }, {"another processor"}},
      {"half", [](std::string& bytes) { bytes.resize(bytes.size() / 2); }, {"damaged"}},
      {"empty", [](std::string& bytes) { bytes.clear(); }, {"damaged"}},
      {"script",
       [](std::string& bytes) {
         bytes =
             "#!/bin/sh\necho I am a script, not a library\n"
             "# long enough to hold the head of an ELF file\n";
       },
       {"not an ELF library"}}};
  for (const Patch& patch : patches) {
    SCOPED_TRACE(patch.name);
    const filesystem::path file = copy("other_thing", patch.name, patch.change);
    // A stamp names the component; a file that is refused as a whole is called as the file.
    const bool named = patch.words[0].starts_with("E10") && std::string(patch.name) != "epoch";
    expect_rejected(named ? "other_thing" : patch.name, patch.words);
    filesystem::remove(file);
  }
}

TEST_F(BadPlugins, AnotherVersionOfTheInterface) {
  copy("bad_in_use", "", [](std::string& bytes) {
    change_stamps(bytes, [](Stamp& stamp) { stamp.interface_version = 9; });
  });
  expect_rejected("too_large", {"E101", "version 9 of the schedule interface", "this host has 1"});
}

TEST_F(BadPlugins, PlacesThatEverybodyMayWriteTo) {
  const filesystem::path file = copy("other_thing");
  filesystem::permissions(file, filesystem::perms::all);
  expect_rejected("other_thing", {"E111", "is writable for everyone", "chmod o-w"});
  filesystem::permissions(file, filesystem::perms::owner_all);
  filesystem::permissions(folder_, filesystem::perms::all);
  const Outcome outcome = run({"inspect", "other_thing"});
  EXPECT_EQ(outcome.code, 1);
  filesystem::permissions(folder_, filesystem::perms::owner_all);
  expect_alive();
}

TEST_F(BadPlugins, WithoutRegistration) {
  copy("bad_unregistered");
  expect_rejected("bad_unregistered", {"is not a Lathe plugin", "LATHE_PLUGIN"});
}

// ---- Files that the system cannot load

TEST_F(BadPlugins, AMissingSymbolLibraryAndEntry) {
  struct Swap {
    std::string from, to;
    std::vector<std::string> words;
  };
  const std::vector<Swap> swaps = {
      {"_ZNK5lathe6Config", "_ZNK5lathe6Canfig", {"E103", "cannot load", "_ZNK5lathe6Canfig"}},
      {"libstdc++.so.6", "libstdc++.so.9", {"E103", "cannot load", "libstdc++.so.9"}},
      // The library's own list of descriptors, which is empty, is found in its place.
      {"lathe_plugin_descriptors",
       "lathe_plugin_descriptars",
       {"E101", "does not offer the thing"}}};
  for (const Swap& swap : swaps) {
    SCOPED_TRACE(swap.from);
    const filesystem::path file = copy(
        "other_thing", "", [&](std::string& bytes) { replace_all(bytes, swap.from, swap.to); });
    expect_failed("other_thing", swap.words);
    filesystem::remove(file);
  }
}

// ---- Plugins that break when they are looked at

TEST_F(BadPlugins, Crashes) {
  for (const std::string phase : {"load", "describe", "construction"}) {
    SCOPED_TRACE(phase);
    copy("bad_crash_in_" + phase);
    expect_failed("bad_crash_in_" + phase,
                  {"E106", "SIGSEGV", phase == "construction" ? "create" : phase, "lathe plugins"});
  }
}

TEST_F(BadPlugins, HangsAndExits) {
  copy("bad_hang_in_load");
  expect_failed("bad_hang_in_load", {"E106", "within 2 s", "load"});
  copy("bad_hang_in_construction");
  expect_failed("bad_hang_in_construction", {"E106", "within 2 s", "create"});
  copy("bad_exit_in_construction");
  expect_failed("bad_exit_in_construction", {"E106", "with code 0", "create"});
}

TEST_F(BadPlugins, ExceptionsOfEverySort) {
  copy("bad_throws_own");
  expect_failed("bad_throws_own", {"threw something that is no std::exception", "fail(...)"});
  copy("bad_throws_int");
  expect_failed("bad_throws_int", {"threw something that is no std::exception"});
  copy("bad_throws_standard");
  expect_failed("bad_throws_standard", {"\"vector::_M_range_check\"", "lathe::Error"});
}

TEST_F(BadPlugins, OptionsDeclaredWrongly) {
  copy("bad_default");
  expect_failed("bad_default", {"E108", "price", "allowed: at least 0", "Correct its Options"});
  copy("bad_duplicate_option");
  expect_failed("bad_duplicate_option", {"E108", "'count' is declared twice"});
  copy("bad_option_name");
  expect_failed("bad_option_name", {"E108", "'LoudNess' must be named in lower_case"});
}

TEST_F(BadPlugins, NoiseOnStandardOutputReachesNobody) {
  copy("bad_loud_in_load");
  const Outcome outcome = run({"conform", "bad_loud_in_load", "--json"});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.error;
  EXPECT_TRUE(Json::parse(outcome.out, nullptr, false).is_array()) << outcome.out;
  expect_alive();
}

// ---- Plugins that break when they are used

TEST_F(BadPlugins, InUse) {
  copy("bad_in_use");
  expect_failed("crash_in_use", {"died", "signal 11 (SIGSEGV)"});
  expect_failed("exit_in_use", {"died", "exited with code 0"});
  expect_failed("throws_own_in_use", {"threw something that is no std::exception"});
  expect_failed("throws_int_in_use", {"threw something that is no std::exception"});
  expect_failed("too_large", {"is 1.5, expected 0 to 1", "--reproduce in_range-"});
  expect_failed("remembers", {"step 7 of 97"});
  const Outcome outcome = run({"conform", "hang_in_use", "--level", "1", "--limit", "1"});
  EXPECT_EQ(outcome.code, 1);
  expect_words(outcome, {"hung", "did not end within 1 s"});
}

// ---- Names

TEST_F(BadPlugins, OneNameInTwoFiles) {
  copy("other_thing", "first");
  const filesystem::path second = copy("other_thing", "second");
  const Outcome twice = run({"conform", "other_thing", "--level", "1"});
  EXPECT_EQ(twice.code, 1);
  expect_words(twice, {"E107", "first.so", "second.so", "[plugins] other_thing"});
  expect_alive();
  // In two folders the first one wins, and the other is listed as shadowed.
  filesystem::create_directories(program_ / "later");
  filesystem::rename(second, program_ / "later/second.so");
  const Outcome list = run({"plugins", "--json", "--plugin-path", program_ / "later"});
  expect_words(list, {"shadowed"});
  EXPECT_EQ(run({"conform", "other_thing", "--level", "1"}).code, 0);
}

TEST_F(BadPlugins, AKindThatItIsNot) {
  const Outcome outcome = run({"conform", "good_thing", "--kind", "reward"});
  EXPECT_EQ(outcome.code, 1);
  expect_words(outcome, {"there is no component 'good_thing'"});
  program_.write("x.toml",
                 "# Does it? Expected: no.\n[plugins]\nsquare = \"plugins/good_thing.so\"\n");
  const Outcome check = program_.run({"check", program_ / "x.toml"});
  EXPECT_EQ(check.code, 1);
  expect_words(check, {"does not offer 'square', only good_thing"});
}

}  // namespace
}  // namespace lathe
