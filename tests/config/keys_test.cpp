#include <lathe/config/keys.h>
#include <lathe/config/nearest.h>
#include <lathe/config/toml.h>

#include <gtest/gtest.h>

namespace lathe {
namespace {

struct Options : Keys {
  int budget = key("budget", 64, "tokens that cost nothing", at_least(0));
  float price = key("price", 0.01f, "penalty of each further token");
  std::string norm = key("norm", "layer", "kind of normalisation", one_of({"layer", "rms"}));
  double clip = key("clip", 0.2, "range of the ratio", above(0), below(1));
  std::int64_t steps = key("steps", 5, "steps", between(0, 1e12));
  int bits = key("bits", 8, "width", one_of({8, 16}));
  bool shuffle = key("shuffle", true, "whether rows are shuffled");
  std::vector<double> rates = key("rates", {0.5, 2.0}, "rates", at_least(0), not_empty);
  std::vector<std::string> names = key("names", {"a"}, "names");
  int threads = key("threads", 0, "threads, 0 for all", affects_runtime);
};

struct Needing : Keys {
  std::string file = required<std::string>("file", "rows to read", not_empty);
  Config critic = table("critic", "options of the critic");
};

struct BrokenDefault : Keys {
  int budget = key("budget", -1, "tokens", at_least(0));
};

class Component {
 public:
  explicit Component(const Config& config) : with_(config) {}
  Options with_;
};

Config parsed(const std::string& text) { return parse_toml(text, "exp.toml"); }

std::string error_of(const std::string& text) {
  try {
    Component component(parsed(text));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string fault_in(const std::string& text) {
  const std::vector<std::string> faults = check(parsed(text), schema_of<Options>(), "reward 'x'");
  return faults.size() == 1 ? faults.front() : cat(faults.size(), " faults");
}

TEST(Keys, DefaultsHoldWhereNothingIsSet) {
  const Component component{Config()};
  EXPECT_EQ(component.with_.budget, 64);
  EXPECT_EQ(component.with_.price, 0.01f);
  EXPECT_EQ(component.with_.norm, "layer");
  EXPECT_EQ(component.with_.steps, 5);
  EXPECT_EQ(component.with_.rates, (std::vector<double>{0.5, 2.0}));
  EXPECT_EQ(component.with_.names, std::vector<std::string>{"a"});
  EXPECT_TRUE(component.with_.shuffle);
}

TEST(Keys, ValuesAreReadInTheTypeOfTheMember) {
  const Config config = parsed(
      "budget = 3\nprice = 2\nnorm = 'rms'\nsteps = 9000000000\nrates = [1, 0.25]\nshuffle = "
      "false\nbits = 16\n");
  const Component component(config);
  EXPECT_EQ(component.with_.budget, 3);
  EXPECT_EQ(component.with_.price, 2.0f);
  EXPECT_EQ(component.with_.norm, "rms");
  EXPECT_EQ(component.with_.steps, 9000000000);
  EXPECT_EQ(component.with_.rates, (std::vector<double>{1.0, 0.25}));
  EXPECT_FALSE(component.with_.shuffle);
  EXPECT_EQ(component.with_.bits, 16);
  EXPECT_TRUE(config.unread().empty());
}

TEST(Keys, ReadingMarksOnlyWhatIsRead) {
  const Config config = parsed("budget = 3\nextra = 1\n[sub]\na = 1\n");
  const Component component(config);
  EXPECT_EQ(config.unread(), (std::vector<std::string>{"extra", "sub.a"}));
}

TEST(Keys, WrongValuesNamePlaceExpectedAndFound) {
  EXPECT_EQ(error_of("budget = 1.0"),
            "exp.toml:1:1: 'budget' must be an integer, found the number 1.0.");
  EXPECT_EQ(error_of("budget = true"),
            "exp.toml:1:1: 'budget' must be an integer, found the boolean true.");
  EXPECT_EQ(error_of("shuffle = 1"),
            "exp.toml:1:1: 'shuffle' must be true or false, found the integer 1.");
  EXPECT_EQ(error_of("\n  price = '1'"),
            "exp.toml:2:3: 'price' must be a number, found the string \"1\".");
  EXPECT_EQ(error_of("rates = [1, 'a']"),
            "exp.toml:1:1: 'rates' must be a list of numbers, found the list [1, \"a\"].");
  EXPECT_EQ(error_of("budget = -1"), "exp.toml:1:1: 'budget' is -1, allowed: at least 0.");
  EXPECT_EQ(error_of("clip = 1"), "exp.toml:1:1: 'clip' is 1, allowed: above 0, below 1.");
  EXPECT_EQ(error_of("clip = 0.0"), "exp.toml:1:1: 'clip' is 0.0, allowed: above 0, below 1.");
  EXPECT_EQ(error_of("bits = 4"), "exp.toml:1:1: 'bits' is 4, allowed: one of: 8, 16.");
  EXPECT_EQ(error_of("rates = []"), "exp.toml:1:1: 'rates' is [], allowed: at least 0, not empty.");
  EXPECT_EQ(error_of("rates = [1, -2]"),
            "exp.toml:1:1: 'rates' is [1, -2], allowed: at least 0, not empty.");
  EXPECT_EQ(error_of("norm = 'rsm'"),
            "exp.toml:1:1: 'norm' is \"rsm\", allowed: one of: layer, rms. Did you mean 'rms'?");
  EXPECT_EQ(error_of("budget = 3000000000"),
            "exp.toml:1:1: 'budget' is 3000000000, too large for an integer of 32 bits.");
  EXPECT_EQ(error_of("price = 1e39"),
            "exp.toml:1:1: 'price' is 1e+39, too large for a float of 32 bits.");
  EXPECT_EQ(error_of("price = inf"), "exp.toml:1:1: 'price' is inf, expected a finite number.");
  EXPECT_EQ(error_of("rates = [1, inf]"),
            "exp.toml:1:1: 'rates' is [1, inf], expected a finite number.");
  EXPECT_EQ(error_of("steps = 1000000000000"), "");
  EXPECT_EQ(error_of("rates = [0]\nclip = 0.999"), "");
}

TEST(Keys, UnknownKeysNameTheNearest) {
  EXPECT_EQ(fault_in("\nbudgte = 1"),
            "exp.toml:2:1: unknown key 'budgte' of reward 'x'. Did you mean 'budget'? Valid: "
            "budget, price, norm, clip, steps, bits, shuffle, rates, names, threads.");
  EXPECT_EQ(fault_in("learning_rate = 1"),
            "exp.toml:1:1: unknown key 'learning_rate' of reward 'x'. Valid: budget, price, norm, "
            "clip, steps, bits, shuffle, rates, names, threads.");
  EXPECT_EQ(fault_in("use = 'x'"), "0 faults");
}

TEST(Keys, AllFaultsAreCollected) {
  const std::vector<std::string> faults =
      check(parsed("budgte = 1\nprice = 'a'\nclip = 2\n"), schema_of<Options>(), "reward 'x'");
  ASSERT_EQ(faults.size(), 3U);
  EXPECT_EQ(faults[1],
            "exp.toml:2:1: 'price' of reward 'x' must be a number, found the string \"a\".");
  EXPECT_EQ(faults[2], "exp.toml:3:1: 'clip' of reward 'x' is 2, allowed: above 0, below 1.");
  EXPECT_THROW(demand(parsed("budgte = 1"), schema_of<Options>(), "reward 'x'"), Error);
}

TEST(Keys, RequiredKeysMustBeThere) {
  const Config config = parsed("[data]\nuse = 'text'\n").at("data");
  EXPECT_EQ(check(config, schema_of<Needing>(), "dataset 'text'"),
            std::vector<std::string>{"exp.toml:1:2: dataset 'text' needs the key 'file' (a "
                                     "string): rows to read."});
  try {
    const Needing needing(config);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "exp.toml:1:2: the key 'data.file' (a string) is missing: rows to read.");
  }
  const Needing given(parsed("file = 'a.txt'\ncritic = { layers = 2 }"));
  EXPECT_EQ(given.file, "a.txt");
  EXPECT_EQ(given.critic.at("layers").as<int>(), 2);
}

TEST(Keys, TheSchemaNeedsNoConfig) {
  const Schema schema = schema_of<Options>();
  ASSERT_EQ(schema.options.size(), 10U);
  const Option& budget = schema.options[0];
  EXPECT_EQ(budget.name, "budget");
  EXPECT_EQ(budget.type, OptionType::int32);
  EXPECT_EQ(budget.default_text(), "64");
  EXPECT_EQ(budget.allowed_text(), "at least 0");
  EXPECT_EQ(budget.meaning, "tokens that cost nothing");
  EXPECT_FALSE(budget.required);
  EXPECT_TRUE(budget.affects_result);
  EXPECT_EQ(schema.find("price")->default_text(), "0.01");
  EXPECT_EQ(schema.find("norm")->default_text(), "\"layer\"");
  EXPECT_EQ(schema.find("rates")->default_text(), "[0.5, 2.0]");
  EXPECT_EQ(schema.find("steps")->type, OptionType::int64);
  EXPECT_EQ(schema.find("steps")->allowed_text(), "at least 0, at most 1e+12");
  EXPECT_FALSE(schema.find("threads")->affects_result);
  EXPECT_EQ(schema.find("thread"), nullptr);
  const Schema needing = schema_of<Needing>();
  EXPECT_TRUE(needing.options[0].required);
  EXPECT_EQ(needing.options[0].default_text(), "");
  EXPECT_THROW(schema_of<BrokenDefault>(), Error);
}

TEST(Keys, IdentityLeavesOutDefaultsAndRuntimeKeys) {
  const Schema schema = schema_of<Options>();
  const Config config =
      parsed("use = 'x'\nbudget = 64\nprice = 0.01\nclip = 0.3\nthreads = 4\nrates = [0.5, 2]\n");
  EXPECT_EQ(identity_of(config, schema).to_json(), R"({"clip":0.3,"use":"x"})");
  EXPECT_EQ(identity_of(parsed("price = 1"), schema).to_json(),
            identity_of(parsed("price = 1.0"), schema).to_json());
}

TEST(Keys, DefaultsCanBeWrittenOut) {
  const Config full = with_defaults(parsed("price = 1\nbudget = 3"), schema_of<Options>());
  EXPECT_EQ(full.at("price").to_text(), "1.0");
  EXPECT_EQ(full.at("budget").where(), "exp.toml:2:1");
  EXPECT_EQ(full.at("clip").to_text(), "0.2");
  EXPECT_EQ(full.at("clip").where(), "default");
  EXPECT_TRUE(check(full, schema_of<Options>(), "x").empty());
}

TEST(Nearest, SwapsOfDashesComeFirst) {
  EXPECT_EQ(nearest("clip-eps", {"clip_ep", "clip_eps"}), "clip_eps");
  EXPECT_EQ(nearest("clip_esp", {"clip_range", "clip_eps"}), "clip_eps");
  EXPECT_EQ(nearest("budegt", {"budgets", "budget"}), "budget");
  EXPECT_EQ(nearest("lr", {"kl", "steps"}), "");
  EXPECT_EQ(nearest("lrr", {"lr"}), "lr");
  EXPECT_EQ(nearest("abcdef", {"abcxyz"}), "");
  EXPECT_EQ(nearest("anything", {}), "");
}

}  // namespace
}  // namespace lathe
