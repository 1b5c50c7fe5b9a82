// Sidecars: what they hold, when they are believed, and that nothing is loaded to read them.
#include "fixtures/shape.h"
#include "plugin_folder.h"

#include <lathe/base/hash.h>
#include <lathe/base/json.h>
#include <lathe/config/toml.h>
#include <lathe/plugin/core_library.h>
#include <lathe/plugin/registry.h>

#include <limits>

namespace lathe {
namespace {
using testing::error_of;
using testing::is_mapped;
using testing::PluginFolder;

// One option of each type and each check.
class Rich final : public Shape {
 public:
  static constexpr const char* manual = "Says \"much\"\nin two lines | and a bar.";
  static constexpr const char* needs[] = {"paper", "a pen"};
  static constexpr const char* provides[] = {"drawings"};
  struct Options : Keys {
    bool on = key("on", true, "a switch");
    int small = key("small", -3, "an int", between(-5, 5));
    std::int64_t large = key("large", std::int64_t{1} << 40, "an int64_t", above(0), below(1e15));
    float thin = key("thin", 0.1f, "a float", at_most(1), affects_runtime);
    double wide = key("wide", 1e-30, "a double");
    double free = key("free", std::numeric_limits<double>::infinity(), "may be infinite");
    std::string word = key("word", "a\t\"b\"", "text", one_of({"a\t\"b\"", "c"}));
    std::vector<std::int64_t> counts = key("counts", {1, 2}, "integers", at_least(1), not_empty);
    std::vector<double> rates = key("rates", {0.5, 2.0}, "numbers");
    std::vector<std::string> names = key("names", {"x", ""}, "texts");
    Config inner = table("inner", "a table");
    std::string file = required<std::string>("file", "must be given");
  };
  explicit Rich(const Config& config) : with_(config) {}
  int area() const override { return with_.small; }

 private:
  Options with_;
};

constexpr Stamp rich_stamp = make_stamp(Shape::kind, Shape::interface_version, "rich", "1.0.0");

Sidecar rich_sidecar() {
  constexpr Descriptor rich = descriptor_of<Shape, Rich>(rich_stamp);
  return {.library = {"00ff", 12, "abcd"},
          .headers = "0123",
          .components = {description_of(rich, "not this manual")}};
}

TEST(Sidecars, HoldEveryTypeAndCheckExactly) {
  const Sidecar before = rich_sidecar();
  const Sidecar after = parse_sidecar(sidecar_text(before), "x");
  EXPECT_EQ(after.library, before.library);
  EXPECT_EQ(after.headers, "0123");
  ASSERT_EQ(after.components.size(), 1U);
  const Description& rich = after.components[0];
  EXPECT_EQ(rich.manual, Rich::manual);
  EXPECT_EQ(rich.needs, (std::vector<std::string>{"paper", "a pen"}));
  EXPECT_EQ(rich.provides, (std::vector<std::string>{"drawings"}));
  EXPECT_TRUE(rich.offers("drawings") && rich.offers("shape"));
  EXPECT_FALSE(rich.offers("paper"));
  EXPECT_EQ(difference(before.components[0], rich), "");
  EXPECT_EQ(sidecar_text(after), sidecar_text(before));

  // The schema from the sidecar judges and completes as the type's own does.
  const Schema own = schema_of<Rich::Options>();
  ASSERT_EQ(rich.schema.names(), own.names());
  for (const std::string text :
       {"small = 6", "large = 0", "thin = 2.0", "word = 'd'", "counts = []", "counts = [0]",
        "on = 1", "inner = 3", "file = 'f'\nrates = [1, 2]", "flie = 'f'", "free = -inf"}) {
    const Config config = parse_toml(text, "exp.toml");
    EXPECT_EQ(check(config, rich.schema, "it"), check(config, own, "it")) << text;
    EXPECT_EQ(with_defaults(config, rich.schema).to_toml(), with_defaults(config, own).to_toml());
  }
  const Config named = parse_toml("file = 'f'\nthin = 0.5\nsmall = -3", "exp.toml");
  EXPECT_EQ(identity_of(named, rich.schema).to_json(), "{\"file\":\"f\"}");
  EXPECT_EQ(with_defaults(named, rich.schema).at("wide").where(), "default");
}

TEST(Sidecars, DifferencesAreNamed) {
  const Description promised = rich_sidecar().components[0];
  const auto changed = [&](auto change) {
    Description other = promised;
    change(other);
    return difference(promised, other);
  };
  EXPECT_EQ(changed([](Description& d) { d.version = "2"; }), "the version");
  EXPECT_EQ(changed([](Description& d) { d.needs.pop_back(); }), "the needs");
  EXPECT_EQ(changed([](Description& d) { d.schema.options[3].affects_result = true; }),
            "the option 'thin'");
  EXPECT_EQ(changed([](Description& d) { d.schema.options[1].checks[0].bound = -6; }),
            "the option 'small'");
  EXPECT_EQ(changed([](Description& d) { d.schema.options.pop_back(); }), "the option 'file'");
  EXPECT_EQ(changed([](Description& d) { d.schema.options.emplace_back(); }),
            "the list of options");
}

TEST(Sidecars, AreWrittenBesideTheLibrary) {
  const PluginFolder folder;
  const auto library = folder.copy("shape_square.so", "square.so");
  EXPECT_EQ(write_sidecar(library), folder.path() / "square.lathe.json");
  EXPECT_FALSE(is_mapped(library));
  const Json all = read_json((folder.path() / "square.lathe.json").string());
  EXPECT_EQ(all.at("format"), 1);
  EXPECT_EQ(all.at("library").at("sha256"), sha256_of_file(library.string()));
  EXPECT_EQ(all.at("library").at("size"), std::filesystem::file_size(library));
  EXPECT_EQ(all.at("library").at("headers"), header_hash());
  EXPECT_EQ(all.at("library").at("build_id").get<std::string>().size(), 40U);
  const Json& square = all.at("components").at(0);
  EXPECT_EQ(square.at("kind"), "shape");
  EXPECT_EQ(square.at("name"), "square");
  EXPECT_EQ(square.at("version"), "1.2.3");
  EXPECT_EQ(square.at("interface_version"), 2);
  EXPECT_EQ(square.at("manual"), "A square.");
  EXPECT_EQ(square.at("compiler"), __VERSION__);
  const Json side = {{"name", "side"},
                     {"type", "int32"},
                     {"default", "3"},
                     {"meaning", "length of a side"},
                     {"required", false},
                     {"affects_result", true},
                     {"checks", Json::array({{{"check", "at_least"}, {"bound", 0.0}}})}};
  EXPECT_EQ(square.at("options"), Json::array({side}));
  EXPECT_EQ(list_folder(real_files(), folder.path().string()),
            (std::vector<std::string>{"square.lathe.json", "square.so"}));

  const auto foreign = folder.copy("shape_other_headers.so", "foreign.so");
  EXPECT_EQ(error_of([&] { write_sidecar(foreign); }).rfind("E102 plugin 'foreign' ", 0), 0U);
  EXPECT_FALSE(std::filesystem::exists(sidecar_of(foreign)));
}

class WithSidecar : public ::testing::Test {
 protected:
  WithSidecar() : library(folder.copy("shape_square.so", "square.so")) {
    write_sidecar(library);
    text = read_file(sidecar_of(library).string());
  }
  // The sidecar, with `from` replaced by `to`.
  void change(const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    write_durably(sidecar_of(library).string(), std::string(text).replace(at, from.size(), to));
  }
  PluginPlaces places() const { return {.folders = {folder.path()}, .user_folders = false}; }

  PluginFolder folder;
  std::filesystem::path library;
  std::string text;
};

TEST_F(WithSidecar, NothingIsLoadedToDescribe) {
  Registry registry(places());
  const Description& square = registry.describe("shape", "square");
  EXPECT_EQ(square.schema.options.at(0).default_text(), "3");
  EXPECT_EQ(square.version, "1.2.3");
  EXPECT_EQ(registry.manual_of("shape", "square"), "A square.");
  EXPECT_EQ(registry.providers("shape"), std::vector<std::string>{"shape 'square'"});
  EXPECT_EQ(registry.states().at(0).state, "ready");
  EXPECT_FALSE(is_mapped(library));
  EXPECT_EQ(registry.create<Shape>("square", Config())->area(), 9);
  EXPECT_TRUE(is_mapped(library));
  EXPECT_EQ(registry.states().at(0).state, "loaded");
}

// That the sidecar is believed without asking the library shows when it lies; the lie is found when
// the library is loaded.
TEST_F(WithSidecar, ALieIsFoundWhenTheLibraryIsLoaded) {
  change("\"default\": \"3\"", "\"default\": \"4\"");
  Registry registry(places());
  EXPECT_EQ(registry.describe("shape", "square").schema.options.at(0).default_text(), "4");
  EXPECT_EQ(error_of([&] { registry.create<Shape>("square", Config()); }),
            "E109 the sidecar of " + library.string() +
                " says otherwise than the library about the option 'side' of shape 'square'. Write "
                "it anew: lathe sidecar " +
                library.string());
}

TEST_F(WithSidecar, OneOfAnotherLibraryIsAsGoodAsNone) {
  folder.copy("shape_pair.so", "square.so");
  Registry registry(places());
  EXPECT_EQ(registry.describe("shape", "one").schema.options.at(0).name, "label");
  change("\"default\": \"3\"", "\"default\": \"4\"");
  folder.copy("shape_square.so", "square.so");
  const std::string hash = sha256_of_file(library.string());
  change(hash, std::string(64, '0'));
  Registry again(places());
  EXPECT_EQ(again.describe("shape", "square").schema.options.at(0).default_text(), "3");
  EXPECT_FALSE(is_mapped(library));
}

TEST_F(WithSidecar, ADamagedOneIsNamedAndTheLibraryAsked) {
  for (const std::string& damaged :
       {std::string("{"), std::string(), text.substr(0, text.size() / 2),
        std::string("{\"format\": 2}"), std::string("[]")}) {
    write_durably(sidecar_of(library).string(), damaged);
    Registry registry(places());
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(registry.describe("shape", "square").schema.options.at(0).default_text(), "3");
    const std::string said = ::testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find("the sidecar " + sidecar_of(library).string() + " is damaged ("),
              std::string::npos)
        << said;
    EXPECT_NE(said.find("To write it anew: lathe sidecar " + library.string()), std::string::npos);
  }
  // A default that breaks the option's own rule, an unknown type, a name twice.
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"default\": \"3\"", "\"default\": \"-3\""},
           {"\"int32\"", "\"int33\""},
           {"\"name\": \"side\"", "\"name\": \"Side\""}}) {
    change(from, to);
    EXPECT_NE(error_of([&] {
                read_sidecar(sidecar_of(library), library_identity(library));
              }).find("is damaged ("),
              std::string::npos)
        << from;
  }
}

TEST_F(WithSidecar, AnOldInterfaceIsRefusedWithoutLoading) {
  const auto old = folder.copy("shape_old.so", "old.so");
  Registry registry(places());
  registry.add_kind<Shape>();
  EXPECT_EQ(error_of([&] { registry.describe("shape", "old"); })
                .rfind("E101 plugin 'old' is built for version 1 of the shape interface, this "
                       "host has 2: the plugin is older. Build the plugin again with the headers "
                       "of this host (file " +
                           old.string(),
                       0),
            0U);
  for (const PluginState& state : registry.states()) {
    EXPECT_EQ(state.state, state.name == "old" ? "rejected" : "ready");
  }
  EXPECT_NE(error_of([&] { registry.describe("shape", "odl"); }).find("rejected: old (E101 "),
            std::string::npos);
}

TEST_F(WithSidecar, AGuardJudgesBeforeAnythingRuns) {
  Registry registry(places());
  std::string seen;
  registry.set_guard([&](const std::filesystem::path& file, const std::string& sha256) {
    seen = cat(file.string(), " ", sha256);
    return std::string("E110 not the file of the lock");
  });
  const std::string refused = "E110 not the file of the lock (file " + library.string() + ")";
  EXPECT_EQ(error_of([&] { registry.describe("shape", "square"); }), refused);
  EXPECT_EQ(seen, cat(library.string(), " ", sha256_of_file(library.string())));
  EXPECT_EQ(error_of([&] { registry.create<Shape>("square", Config()); }), refused);
  EXPECT_EQ(registry.states().at(0).reason, "E110 not the file of the lock");
  EXPECT_FALSE(is_mapped(library));
  registry.set_guard({});
  EXPECT_EQ(registry.create<Shape>("square", Config())->area(), 9);
}

}  // namespace
}  // namespace lathe
