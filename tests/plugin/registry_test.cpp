#include "fixtures/shape.h"

#include <lathe/base/error.h>
#include <lathe/config/toml.h>
#include <lathe/plugin/core_library.h>
#include <lathe/plugin/registry.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

namespace lathe {
namespace {
namespace filesystem = std::filesystem;

class Circle final : public Shape {
 public:
  struct Options : Keys {
    int radius = key("radius", 1, "radius");
  };
  explicit Circle(const Config& config) : with_(config) {}
  int area() const override { return 3 * with_.radius * with_.radius; }

 private:
  Options with_;
};

const filesystem::path fixtures = LATHE_TEST_PLUGINS;

template <class Function>
std::string error_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

class Plugins : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = filesystem::temp_directory_path() /
              cat("lathe_plugins_", info->name(), "_", static_cast<long long>(getpid()));
    filesystem::create_directories(folder_);
    filesystem::permissions(folder_, filesystem::perms::owner_all);
  }
  void TearDown() override { filesystem::remove_all(folder_); }

  // A copy of a fixture, each occurrence of `from` replaced by `to` of the same length.
  filesystem::path copy(const std::string& fixture, const std::string& as,
                        const std::string& from = "", const std::string& to = "") const {
    std::ifstream in(fixtures / fixture, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    EXPECT_FALSE(bytes.empty()) << fixture;
    for (std::size_t at = 0; !from.empty() && (at = bytes.find(from, at)) != std::string::npos;) {
      bytes.replace(at, from.size(), to);
    }
    const filesystem::path file = folder_ / as;
    filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << bytes;
    return filesystem::canonical(file);
  }
  // How making the shape from the files in the folder fails.
  std::string error_with(const std::string& name) {
    Registry registry({.folders = {folder_}, .user_folders = false});
    return error_of([&] { registry.create<Shape>(name, Config()); });
  }

  filesystem::path folder_;
};

TEST_F(Plugins, AreFoundLoadedAndMade) {
  Registry registry({.folders = {fixtures}, .user_folders = false});
  EXPECT_EQ(registry.create<Shape>("square", Config())->area(), 9);
  EXPECT_EQ(registry.create<Shape>("square", parse_toml("side = 5", "exp.toml"))->area(), 25);
  EXPECT_EQ(registry.create<Shape>("one", parse_toml("label = 'abcd'", "exp.toml"))->area(), 4);
  EXPECT_EQ(registry.create<Shape>("two", Config())->area(), 2);
  const Descriptor& square = registry.find("shape", "square");
  EXPECT_EQ(square.version(), "1.2.3");
  EXPECT_STREQ(square.manual, "A square.");
  Schema schema;
  square.describe(schema);
  EXPECT_EQ(schema.names(), std::vector<std::string>{"side"});
  EXPECT_EQ(registry.find("shape", "two").describe, nullptr);
  EXPECT_EQ(registry.file_of("shape", "two").filename(), "shape_pair.so");
}

TEST_F(Plugins, OptionsAreCheckedBeforeTheConstructorRuns) {
  Registry registry({.folders = {fixtures}, .user_folders = false});
  const auto make = [&](const std::string& name, const std::string& text) {
    return error_of([&] { registry.create<Shape>(name, parse_toml(text, "exp.toml")); });
  };
  EXPECT_EQ(
      make("square", "\nsdie = 1\n"),
      "exp.toml:2:1: unknown key 'sdie' of shape 'square'. Did you mean 'side'? Valid: side.");
  EXPECT_EQ(make("square", "side = -1"),
            "exp.toml:1:1: 'side' of shape 'square' is -1, allowed: at least 0.");
  EXPECT_EQ(make("one", ""),
            "exp.toml:1:1: shape 'one' needs the key 'label' (a string): any text.");
}

TEST_F(Plugins, ExceptionsCrossTheBorderAsError) {
  Registry registry({.folders = {fixtures}, .user_folders = false});
  const auto make = [&](const std::string& name) {
    return error_of([&] { registry.create<Shape>(name, Config()); });
  };
  EXPECT_EQ(make("throws_own"), "shape 'throws_own': of its own");
  EXPECT_EQ(make("throws_int"),
            "shape 'throws_int': its constructor threw something that is not an exception of the "
            "standard library");
  EXPECT_EQ(make("throws_error"), "shape 'throws_error': bad luck");
  EXPECT_THROW(registry.create<Shape>("absent", Config()), Unavailable);
  EXPECT_EQ(make("absent"), "shape 'absent' is unavailable: no device");
  bool seen = false;
  for (const PluginState& state : registry.states()) {
    if (state.name != "absent") continue;
    seen = true;
    EXPECT_EQ(state.state, "unavailable");
    EXPECT_EQ(state.reason, "no device");
  }
  EXPECT_TRUE(seen);
}

TEST_F(Plugins, UnknownNamesListTheNearestAndThePlaces) {
  copy("shape_square.so", "square.so");
  copy("shape_other_headers.so", "foreign.so");
  Registry registry({.folders = {folder_}, .user_folders = false});
  registry.add<Shape, Circle>("circle", "1.0.0");
  const std::string text = error_of([&] { registry.create<Shape>("sqaure", Config()); });
  EXPECT_EQ(text.rfind("E104 no shape 'sqaure'. Did you mean 'square'? Known: circle, square. "
                       "Searched: " +
                           filesystem::canonical(folder_).string() +
                           ". Found but rejected: foreign (E102 ",
                       0),
            0U)
      << text;
}

TEST_F(Plugins, OtherInterfacesAndHeadersAreRefusedWithBothSides) {
  copy("shape_old.so", "old.so");
  copy("shape_other_headers.so", "foreign.so");
  const std::string place = filesystem::canonical(folder_).string();
  EXPECT_EQ(error_with("old"),
            "E101 plugin 'old' is built for version 1 of the shape interface, this host has 2: the "
            "plugin is older. Build the plugin again with the headers of this host (file " +
                place + "/old.so)");
  EXPECT_EQ(error_with("foreign"),
            "E102 plugin 'foreign' is built with other public headers (other) than this host (" +
                std::string(header_hash()) +
                "). Build it again with the headers of this host (file " + place + "/foreign.so)");
}

TEST_F(Plugins, DamagedStampsAreRefusedBeforeLoading) {
  const auto reason = [&](const std::string& from, const std::string& to) {
    copy("shape_square.so", "square.so", from, to);
    Registry registry({.folders = {folder_}, .user_folders = false});
    const std::vector<PluginState> states = registry.states();
    EXPECT_EQ(states.size(), 1U);
    EXPECT_EQ(states.at(0).state, "rejected");
    EXPECT_EQ(states.at(0).name, "square");
    const std::string prefix =
        "the plugin file " + filesystem::canonical(folder_ / "square.so").string() + " ";
    const std::string text = states.at(0).reason;
    const std::size_t at = text.find(prefix);
    return at == std::string::npos ? text : text.substr(0, at) + text.substr(at + prefix.size());
  };
  EXPECT_EQ(reason("LATHE#1", "LATHE#2"), "is damaged: its stamp has no magic");
  EXPECT_EQ(reason(".lathe.stamp", ".lathe.stomp"),
            "is not a Lathe plugin: it has no line LATHE_PLUGIN(...)");
  EXPECT_EQ(reason("\177ELF", "\177ELG"), "is not an ELF library");
  const Stamp stamp;
  const std::string head(reinterpret_cast<const char*>(&stamp.magic), 8);
  const auto number = [](std::uint32_t value) {
    return std::string(reinterpret_cast<const char*>(&value), 4);
  };
  const std::string size = cat(static_cast<long long>(sizeof(Stamp)));
  EXPECT_EQ(reason(head + number(sizeof(Stamp)) + number(LATHE_STAMP_EPOCH),
                   head + number(sizeof(Stamp)) + number(9)),
            "E101 has a stamp of format 9 (" + size + " bytes), this host reads format 2 (" + size +
                " bytes): the host is older. Build the plugin again with the headers of this host");
}

TEST_F(Plugins, OtherLibrariesAndLayoutsAreRefused) {
  const auto reason = [&](auto change) {
    std::ifstream in(fixtures / "shape_square.so", std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    const std::size_t at = bytes.find("LATHE#1");
    Stamp stamp;
    std::memcpy(static_cast<void*>(&stamp), bytes.data() + at, sizeof stamp);
    change(stamp);
    std::memcpy(bytes.data() + at, &stamp, sizeof stamp);
    std::ofstream(folder_ / "square.so", std::ios::binary) << bytes;
    Registry registry({.folders = {folder_}, .user_folders = false});
    return registry.states().at(0).reason;
  };
  EXPECT_EQ(reason([](Stamp& stamp) { stamp.library ^= new_string_abi; }),
            "E102 plugin 'square' uses libstdc++ with the old string, this host libstdc++ with the "
            "new string. Build it again with the compiler and flags of this host");
  EXPECT_NE(
      reason([](Stamp& stamp) { stamp.library ^= thread_sanitizer; }).find("the thread sanitizer"),
      std::string::npos);
  EXPECT_EQ(reason([](Stamp& stamp) { stamp.layouts[1].size = 8; }),
            "E102 plugin 'square' disagrees on core types: std::string has 8 bytes there and 32 "
            "here. Build it again with the compiler and flags of this host");
  EXPECT_EQ(reason([](Stamp&) {}), "");
}

TEST_F(Plugins, TruncatedFilesAreRefused) {
  const auto size = filesystem::file_size(fixtures / "shape_square.so");
  for (const auto kept : {std::uintmax_t{0}, std::uintmax_t{40}, size / 2, size - 1}) {
    filesystem::resize_file(copy("shape_square.so", "square.so"), kept);
    Registry registry({.folders = {folder_}, .user_folders = false});
    EXPECT_EQ(registry.states().at(0).state, "rejected") << kept;
    EXPECT_NE(registry.states().at(0).reason.find("is damaged"), std::string::npos) << kept;
  }
}

TEST_F(Plugins, AMissingLibraryIsNamed) {
  copy("shape_square.so", "square.so", "libstdc++.so.6", "libstdc++.so.X");
  const std::string text = error_with("square");
  EXPECT_EQ(text.rfind("E103 cannot load the plugin file ", 0), 0U) << text;
  EXPECT_NE(text.find("libstdc++.so.X"), std::string::npos) << text;
}

TEST_F(Plugins, EarlierFoldersShadowLaterOnes) {
  const filesystem::path first = copy("shape_square.so", "first/square.so");
  const filesystem::path second = copy("shape_square.so", "second/square.so");
  Registry registry({.folders = {folder_ / "first", folder_ / "second"}, .user_folders = false});
  EXPECT_EQ(registry.file_of("shape", "square"), first);
  const std::vector<PluginState> states = registry.states();
  ASSERT_EQ(states.size(), 2U);
  EXPECT_EQ(states[0].state, "ready");
  EXPECT_EQ(states[1].state, "shadowed");
  EXPECT_EQ(states[1].shadowed_by, first);
  registry.create<Shape>("square", Config());
  EXPECT_EQ(registry.states()[0].state, "loaded");
  Registry explicit_choice({.files = {{"square", second}},
                            .folders = {folder_ / "first", folder_ / "second"},
                            .user_folders = false});
  EXPECT_EQ(explicit_choice.file_of("shape", "square"), second);
}

TEST_F(Plugins, APreferredFileComesBeforeFoldersAndTheFramework) {
  const filesystem::path found = copy("shape_square.so", "first/square.so");
  const filesystem::path chosen = copy("shape_square.so", "chosen/square.so");
  const filesystem::path pair = copy("shape_pair.so", "chosen/pair.so");
  Registry registry({.folders = {folder_ / "first"}, .user_folders = false});
  registry.add<Shape, Circle>("two", "2.0.0");
  EXPECT_EQ(registry.file_of("shape", "square"), found);
  registry.prefer("square", chosen);
  registry.prefer("two", pair);
  EXPECT_EQ(registry.file_of("shape", "square"), chosen);
  EXPECT_EQ(registry.create<Shape>("square", parse_toml("side = 5", "x"))->area(), 25);
  EXPECT_EQ(registry.create<Shape>("two", Config())->area(), 2);
  EXPECT_EQ(error_of([&] { registry.prefer("circle", pair); }),
            "the plugin file " + pair.string() + " does not offer 'circle', only one, two");
  const filesystem::path foreign = copy("shape_other_headers.so", "foreign.so");
  EXPECT_EQ(error_of([&] { registry.prefer("foreign", foreign); }).rfind("E102 ", 0), 0U);
  EXPECT_EQ(error_of([&] { registry.prefer("square", folder_ / "none.so"); }),
            (filesystem::canonical(folder_) / "none.so").string() + " does not exist");
  EXPECT_EQ(registry.file_of("shape", "square"), chosen);
}

TEST_F(Plugins, TwoFilesOfOneFolderFailOnlyWhenUsed) {
  const filesystem::path a = copy("shape_square.so", "a.so");
  const filesystem::path b = copy("shape_square.so", "b.so");
  copy("shape_pair.so", "pair.so");
  EXPECT_EQ(error_with("two"), "");
  EXPECT_EQ(error_with("square"),
            "E107 shape 'square' is provided by two files of one folder: " + a.string() + " and " +
                b.string() + ". Choose one: [plugins] square = \"PATH\"");
}

TEST_F(Plugins, WorldWritablePlacesAreRefused) {
  copy("shape_square.so", "square.so");
  filesystem::permissions(folder_, filesystem::perms::all);
  const std::string place = filesystem::canonical(folder_).string();
  Registry registry({.folders = {folder_}, .user_folders = false});
  EXPECT_EQ(registry.states().at(0).reason,
            "E111 " + place +
                " is writable for everyone, so anyone could run code here: chmod o-w " + place);
}

TEST_F(Plugins, UserFoldersComeFromTheEnvironment) {
  copy("shape_square.so", "listed/square.so");
  copy("shape_pair.so", "data/lathe/plugins/pair.so");
  setenv("LATHE_PLUGIN_PATH", (folder_ / "none:").string().append(folder_ / "listed").c_str(), 1);
  setenv("XDG_DATA_HOME", (folder_ / "data").c_str(), 1);
  Registry registry;
  EXPECT_EQ(registry.names("shape"), (std::vector<std::string>{"one", "square", "two"}));
  unsetenv("LATHE_PLUGIN_PATH");
  unsetenv("XDG_DATA_HOME");
}

TEST_F(Plugins, ComponentsOfTheFrameworkComeFirst) {
  copy("shape_square.so", "square.so");
  Registry registry({.folders = {folder_}, .user_folders = false});
  registry.add<Shape, Circle>("square", "2.0.0");
  EXPECT_EQ(registry.create<Shape>("square", parse_toml("radius = 2", "x"))->area(), 12);
  EXPECT_EQ(registry.states().at(1).state, "shadowed");
  EXPECT_THROW((registry.add<Shape, Circle>("square", "1.0.0")), Error);
}

}  // namespace
}  // namespace lathe
