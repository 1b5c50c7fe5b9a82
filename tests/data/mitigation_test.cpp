#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/data/mitigation.h>

#include <cmath>

#include "base/temporary_folder.h"

namespace lathe {
namespace {

using testing::error_of;
using Factors = std::vector<double>;
using Texts = std::vector<std::string>;

Factors factors(const std::string& options, const Texts& groups) {
  return group_factors(ReweightOptions(parse_toml(options, "exp.toml")), groups);
}

TEST(GroupFactors, InverseGivesEachGroupTheSameWeight) {
  const Texts groups = {"a", "b", "a", "", "a", "c", "a"};
  const Factors all = factors("reweight = \"inverse\"", groups);
  // n = 6 in G = 3 groups of 4, 1, 1.
  EXPECT_EQ(all, (Factors{0.5, 2, 0.5, 1, 0.5, 2, 0.5}));
  EXPECT_EQ(factors("", groups), Factors(7, 1.0));
  EXPECT_EQ(factors("reweight = \"inverse\"", {"", ""}), Factors(2, 1.0));
}

TEST(GroupFactors, NamedOnesAreTaken) {
  const std::string named = "reweight = \"named\"\ngroup_weights = { a = 0.5, b = 3 }\n";
  EXPECT_EQ(factors(named, {"b", "a", "", "b"}), (Factors{3, 0.5, 1, 3}));
  EXPECT_EQ(error_of([] { factors("reweight = \"inverse\"\ngroup_weights = { a = 2 }\n", {"a"}); }),
            "exp.toml:2:1: group_weights need reweight = \"named\", which is \"inverse\" here");
  EXPECT_EQ(error_of([&] { factors(named, {"a"}); }),
            "exp.toml:2:1: no training row is of group 'b'; the groups are: 'a'");
  EXPECT_EQ(error_of([&] {
              factors(named, {"a", "b", "c", "c"});
            }),
            "exp.toml:1:1: 2 training rows are of group 'c', which group_weights does not name");
  EXPECT_EQ(error_of([] { factors("reweight = \"named\"\ngroup_weights = { a = -1 }\n", {"a"}); }),
            "exp.toml:2:19: the factor of group 'a' is -1, allowed: at least 0");
}

TEST(Counterfactual, ExchangesByChanceAsTheSeedSays) {
  DataContext context;
  context.seed = 5;
  const auto swap = [&](const char* chance) {
    return Counterfactual(
        CounterfactualOptions(parse_toml(
            std::string("counterfactual = \"swap\"\nswap_chance = ") + chance, "exp.toml")),
        context);
  };
  const Counterfactual some = swap("0.25");
  const Counterfactual more = swap("0.75");
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < 4000; ++i) {
    count += some.exchanges(i) ? 1 : 0;
    EXPECT_LE(some.exchanges(i), more.exchanges(i));  // the same number decides
    if (i > 40) continue;
    EXPECT_EQ(some.exchanges(i), swap("0.25").exchanges(i));
    EXPECT_FALSE(swap("0.0").exchanges(i));
    EXPECT_TRUE(swap("1.0").exchanges(i));
  }
  // Five standard deviations of a binomial.
  EXPECT_NEAR(static_cast<double>(count), 1000, 5 * std::sqrt(4000 * 0.25 * 0.75));
  const Counterfactual none(CounterfactualOptions(parse_toml("", "exp.toml")), context);
  EXPECT_FALSE(none.exchanges(3) || none.exchanges() || none.adds());
}

TEST(Counterfactual, ASideIsOnlyThatOfOneKindOfWords) {
  const Counterfactual gendered(CounterfactualOptions(parse_toml("", "exp.toml")), DataContext());
  const auto side = [&](std::initializer_list<std::string_view> texts) {
    return gendered.side_of(std::vector(texts));
  };
  EXPECT_EQ(side({"He came", "with his dog"}), "first");
  EXPECT_EQ(side({"the dog", "of the Queen"}), "second");
  EXPECT_EQ(side({"He came", "with her dog"}), "");
  EXPECT_EQ(side({"It came"}), "");
}

}  // namespace
}  // namespace lathe
