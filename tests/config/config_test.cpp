#include <lathe/base/error.h>
#include <lathe/config/config.h>
#include <lathe/config/toml.h>

#include <gtest/gtest.h>

namespace lathe {
namespace {

Config parsed(const std::string& text) { return parse_toml(text, "exp.toml"); }

template <class Function>
std::string error_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Config, ValuesKnowTheirPlaceAndPath) {
  const Config config = parsed("[train]\nsteps = 3\n[[reward]]\nuse = 'a'\n  price = 0.5\n");
  EXPECT_EQ(config.at("train.steps").where(), "exp.toml:2:1");
  EXPECT_EQ(config.at("reward.0.price").where(), "exp.toml:5:3");
  EXPECT_EQ(config.at("reward.0.price").path(), "reward.0.price");
  EXPECT_EQ(config.at("train").path(), "train");
  EXPECT_EQ(config.path(), "");
  EXPECT_FALSE(config.has("reward.1"));
  EXPECT_FALSE(config.has("train.steps.more"));
  EXPECT_EQ(Config().where(), "default");
  EXPECT_EQ(config.get("train.steps", 7), 3);
  EXPECT_EQ(config.get("train.stops", 7), 7);
}

TEST(Config, KeysKeepTheirWrittenOrder) {
  const Config config = parsed("z = 1\na = 2\n[m]\nb = 1\na = 1\n[c]\n");
  std::string order;
  for (const Config::Member& member : config.members()) order += member.key;
  EXPECT_EQ(order, "zamc");
  EXPECT_EQ(config.at("m").members()[0].key, "b");
}

TEST(Config, WrongTypesAreErrorsWithTheirPlace) {
  const Config config = parsed("a = 'x'\nb = 1\n[t]\n");
  EXPECT_EQ(error_of([&] { config.at("a").as<int>(); }),
            "exp.toml:1:1: 'a' must be an integer, found the string \"x\"");
  EXPECT_EQ(error_of([&] { config.at("t").as<double>(); }),
            "exp.toml:3:2: 't' must be a number, found a table");
  EXPECT_EQ(error_of([&] { config.at("b").items(); }),
            "exp.toml:2:1: 'b' must be a list, found the integer 1");
  EXPECT_EQ(error_of([&] { config.at("t.missing"); }),
            "exp.toml:1:1: the configuration lacks the key 't.missing'");
  EXPECT_EQ(error_of([&] { config.at("t").at("missing"); }),
            "exp.toml:3:2: 't' lacks the key 'missing'");
}

TEST(Config, BrokenTomlShowsTheLineWithACaret) {
  const std::string text = error_of([] { parsed("a = 1\n  b = = 2\n"); });
  EXPECT_EQ(text.rfind("exp.toml:2:7: broken TOML: ", 0), 0U) << text;
  EXPECT_NE(text.find("\n    b = = 2\n        ^"), std::string::npos) << text;
  EXPECT_EQ(error_of([] { parsed("a = 2024-01-01"); }),
            "exp.toml:1:1: dates and times are not used here; write a string in quotes");
  EXPECT_EQ(error_of([] { parsed("a = nan"); }), "exp.toml:1:1: nan is not a value for any key");
}

TEST(Config, TomlReadsBackEqual) {
  const Config config = parsed(
      "text = \"a\\\"b\\\\\\n\\u0001é\"\ntrue_one = true\nwhole = 1.0\ntiny = 1e-7\nbig = inf\n"
      "list = [1, [2.5, 'x'], {a = 1}]\n\"odd.key\" = 1\nempty = []\n"
      "[a]\nx = 1\n[a.b]\ny = 2\n[[r]]\nz = 1\n[r.sub]\nw = 2\n[[r]]\nz = 3\n");
  EXPECT_EQ(parse_toml(config.to_toml(), "again"), config) << config.to_toml();
  EXPECT_EQ(parsed("b = 1\n[t]\nx = 'y'\n[[r]]\nz = 0.5\n").to_toml(),
            "b = 1\n\n[t]\nx = \"y\"\n\n[[r]]\nz = 0.5\n");
  EXPECT_EQ(parsed("[t]\nx = 'y'\n").to_toml_with_origins(),
            "[t]  # exp.toml:1:2\nx = \"y\"  # exp.toml:2:1\n");
}

TEST(Config, JsonIsCanonical) {
  EXPECT_EQ(parsed("b = 1.0\na = [1e6, 0.1, true]\nc = {z = 'q', y = 1e300}\nd = -inf").to_json(),
            R"({"a":[1000000,0.1,true],"b":1,"c":{"y":1e+300,"z":"q"},"d":"-inf"})");
  EXPECT_EQ(parsed("a = 1\nb = 2").to_json(), parsed("b = 2.0\na = 1").to_json());
}

TEST(Config, EqualityIgnoresPlacesAndOrder) {
  EXPECT_EQ(parsed("a = 1\nb = 2"), parsed("\n\nb = 2\na = 1"));
  EXPECT_FALSE(parsed("a = 1") == parsed("a = 1.0"));
  EXPECT_FALSE(parsed("a = 1") == parsed("a = 2"));
  EXPECT_FALSE(parsed("a = 1") == parsed("b = 1"));
}

TEST(Config, ChangesAreCopies) {
  const Config config = parsed("[a]\nx = 1\n[[r]]\nz = 1\n[[r]]\nz = 2\n");
  const Config changed =
      config.with("a.y.deep", Config::integer(5)).with("r.1.z", Config::text("q"));
  EXPECT_FALSE(config.has("a.y"));
  EXPECT_EQ(changed.at("a.y.deep").as<int>(), 5);
  EXPECT_EQ(changed.at("a.y.deep").path(), "a.y.deep");
  EXPECT_EQ(changed.at("r.1.z").as<std::string>(), "q");
  EXPECT_EQ(changed.at("r.0.z").where(), "exp.toml:4:1");
  EXPECT_FALSE(changed.without("a.x").has("a.x"));
  EXPECT_EQ(config.without("r.0").at("r.0.z").as<int>(), 2);
  EXPECT_EQ(config.without("nothing"), config);
  EXPECT_EQ(error_of([&] { config.with("a.x.y", Config::integer(1)); }),
            "default: cannot set 'a.x.y': 'a.x' is the integer 1 (exp.toml:2:1)");
  EXPECT_EQ(error_of([&] { config.with("r.2.z", Config::integer(1)); }),
            "exp.toml:3:3: 'r' is a list of 2 items; '2' is not the number (from 0) of one");
}

TEST(Config, PathsSplitAtDotsOutsideQuotes) {
  EXPECT_EQ(split_path("a.\"b.c\".d"), (std::vector<std::string>{"a", "b.c", "d"}));
  EXPECT_EQ(join_path("a", "b.c"), "a.\"b.c\"");
  EXPECT_TRUE(split_path("").empty());
  EXPECT_THROW(split_path("a..b"), Error);
  EXPECT_THROW(split_path("a."), Error);
  EXPECT_THROW(split_path("\"a"), Error);
}

TEST(Config, CommandLineValuesAreTomlOrBareStrings) {
  const auto text = [](const char* value) { return parse_value(value, {"here"}).to_text(); };
  EXPECT_EQ(text("3"), "3");
  EXPECT_EQ(text("3.0"), "3.0");
  EXPECT_EQ(text("true"), "true");
  EXPECT_EQ(text("rms norm"), "\"rms norm\"");
  EXPECT_EQ(text("2024-01-01"), "\"2024-01-01\"");
  EXPECT_EQ(text("1\nb = 2"), "\"1\\nb = 2\"");
  EXPECT_EQ(text(""), "\"\"");
  EXPECT_EQ(text("{a = [1]}"), "{ a = [1] }");
  EXPECT_EQ(parse_value("{a = [1]}", {"here"}).at("a.0").where(), "here");
  EXPECT_THROW(text("[1, 2"), Error);
}

}  // namespace
}  // namespace lathe
