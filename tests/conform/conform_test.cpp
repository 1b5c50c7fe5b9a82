// Levels, draws, reports, and the framework's own components.
#include <gtest/gtest.h>
#include <lathe/base/json.h>
#include <lathe/config/toml.h>
#include <lathe/conform/draw.h>
#include <lathe/learn/components.h>
#include <lathe/learn/optimizer.h>

#include <csignal>
#include <set>

#include "planted.h"

namespace lathe {
namespace {
using namespace conform;

struct Drawn : Keys {
  int layers = key("layers", 2, "a whole number", between(1, 4));
  double rate = key("rate", 0.5, "a number", above(0), below(1));
  std::string norm = key("norm", "layer", "a choice", one_of({"layer", "rms"}));
  bool tied = key("tied", true, "yes or no");
  std::string file = required<std::string>("file", "a file");
  using Keys::Keys;
};

TEST(ConformDraw, StaysInsideTheDeclaredRanges) {
  const Schema schema = schema_of<Drawn>();
  const Config base = parse_toml("file = 'x'", "base");
  std::set<std::string> seen;
  for (std::uint64_t i = 0; i < 300; ++i) {
    const Config options = drawn_options(schema, base, base, RandomStream(i, "conform_test"));
    EXPECT_TRUE(check(options, schema, "it").empty()) << options.to_text();
    EXPECT_EQ(options.get<std::string>("file", ""), "x");
    seen.insert(cat(options.get("layers", 0), options.get<std::string>("norm", "-")));
  }
  EXPECT_GE(seen.size(), 10u);  // four numbers or none, two choices or none
}

TEST(ConformDraw, WrongOptionsAreWrongAndBoundsAreRight) {
  const Schema schema = schema_of<Drawn>();
  const Config base = parse_toml("file = 'x'", "base");
  std::set<std::string> texts;
  for (const Choice& wrong : wrong_options(schema, base)) {
    EXPECT_FALSE(check(wrong.options, schema, "it").empty()) << wrong.text;
    texts.insert(wrong.text);
  }
  for (const char* text :
       {"'layers' = 0, below its range", "'layers' = 5, above its range",
        "'norm' = \"no such choice\", none of its choices", "without the required 'file'",
        "the unknown key 'layers_'", "'tied' = 1, of another type"}) {
    EXPECT_TRUE(texts.contains(text)) << text;
  }
  std::set<std::string> bounds;
  for (const Choice& bound : options_at_bounds(schema, base)) {
    EXPECT_TRUE(check(bound.options, schema, "it").empty()) << bound.text;
    bounds.insert(bound.text);
  }
  EXPECT_TRUE(bounds.contains("'layers' = 1, the least allowed"));
  EXPECT_TRUE(bounds.contains("'layers' = 4, the most allowed"));
  EXPECT_TRUE(bounds.contains("'norm' = \"rms\", one of its choices"));
}

// Fails for some seeds only, so that a reproduction must find the very one.
class Moody final : public Schedule {
 public:
  struct Options : Keys {
    int floor = key("floor", 4, "a whole number", between(0, 9));
  };
  explicit Moody(const Config& config) : with_(config) {}
  double factor(std::int64_t step, std::int64_t) const override {
    if (with_.floor >= 6) std::raise(SIGSEGV);
    return 1.0 / static_cast<double>(1 + step + with_.floor);
  }

 private:
  Options with_;
};

TEST(Conform, AFailureIsReproducedByItsLabelAlone) {
  Registry registry({.user_folders = false, .library_folder = LATHE_PLUGINS});
  registry.add<Schedule, Moody>("moody", "1.0.0");
  const Subject subject{.kind = "schedule", .name = "moody", .given = {}};
  Request request;
  request.level = 7;
  const Report whole = conform::conform(registry, subject, request);
  EXPECT_FALSE(whole.passed());
  const Result* found = nullptr;
  for (const Result& result : whole.results) {
    if (result.test == "fuzz") found = &result;
  }
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->verdict, Verdict::died);
  EXPECT_TRUE(found->reproduce.starts_with("fuzz-")) << found->reproduce;
  ASSERT_FALSE(found->faults.empty());
  EXPECT_NE(
      found->faults.back().find("ended by signal 11 (SIGSEGV) while using it with { floor = "),
      std::string::npos)
      << found->faults.back();
  Request again;
  again.reproduce = found->reproduce;
  const Report one = conform::conform(registry, subject, again);
  ASSERT_EQ(one.results.size(), 1u);
  EXPECT_EQ(one.results[0].faults, found->faults);
  again.reproduce = "fuzz-1x";
  EXPECT_THROW(conform::conform(registry, subject, again), Error);
}

TEST(Conform, LevelsAddTests) {
  Registry registry({.user_folders = false, .library_folder = LATHE_PLUGINS});
  add_components(registry);
  const Subject subject{.kind = "schedule", .name = "linear", .given = {}};
  std::size_t before = 0;
  for (const int level : {1, 3, 6}) {
    Request request;
    request.level = level;
    const Report report = conform::conform(registry, subject, request);
    EXPECT_TRUE(report.passed());
    EXPECT_GT(report.results.size(), before);
    before = report.results.size();
  }
}

TEST(Conform, ReportsForPeopleAndMachines) {
  Result failed;
  failed.test = "pure";
  failed.meaning = "twice the same";
  failed.verdict = Verdict::failed;
  failed.faults = {"1 < 2 & \"3\""};
  failed.reproduce = "pure-9";
  failed.seconds = 0.25;
  Result skipped;
  skipped.test = "cached";
  skipped.verdict = Verdict::skipped;
  skipped.reason = "no cache";
  const Report report{"model", "tiny", "/x/tiny.so", 3, {failed, skipped}};
  EXPECT_FALSE(report.passed());
  const std::string xml = to_junit({report});
  EXPECT_NE(xml.find("<testsuite name=\"conform.model.tiny\" tests=\"2\" failures=\"1\" "
                     "errors=\"0\" skipped=\"1\""),
            std::string::npos)
      << xml;
  EXPECT_NE(xml.find("1 &lt; 2 &amp; &quot;3&quot;</failure>"), std::string::npos) << xml;
  const Json json = Json::parse(to_json({report}));
  EXPECT_EQ(json.at(0).at("tests").at(0).at("reproduce"), "pure-9");
  EXPECT_EQ(json.at(0).at("passed"), false);
  EXPECT_EQ(to_text(failed),
            "  failed     0.25 s  pure: twice the same\n      1 < 2 & \"3\"\n"
            "      again: --reproduce pure-9\n");
}

// What the framework brings along keeps the promises of its kinds.
TEST(Conform, ComponentsOfTheFramework) {
  Registry registry({.user_folders = false, .library_folder = LATHE_PLUGINS});
  add_components(registry);
  std::size_t tried = 0;
  for (const PluginState& state : registry.states()) {
    if (!state.file.empty()) continue;
    Schema schema;
    const Descriptor& found = registry.find(state.kind, state.name);
    if (found.describe != nullptr) found.describe(schema);
    bool needs_files = false;
    for (const Option& option : schema.options) needs_files = needs_files || option.required;
    if (needs_files) continue;
    const Subject subject{state.kind, state.name, {}};
    const Report report = conform::conform(registry, subject, Request());
    std::string text;
    for (const Result& result : report.results) {
      if (result.verdict != Verdict::passed) text += to_text(result);
    }
    EXPECT_TRUE(report.passed()) << state.kind << " '" << state.name << "'\n" << text;
    ++tried;
  }
  EXPECT_GE(tried, 12u);
}

}  // namespace
}  // namespace lathe
