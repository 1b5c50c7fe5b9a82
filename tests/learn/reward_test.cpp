// The weighted sum of rewards.
#include <gtest/gtest.h>
#include <lathe/base/error.h>
#include <lathe/learn/reward.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <thread>

#include "base/temporary_folder.h"

namespace lathe {
namespace {

using testing::error_of;
using Score = std::function<void(const Completions&, Scores&)>;

struct Told final : Reward {
  explicit Told(Score score) : told(std::move(score)) {}
  void score(const Completions& completions, Scores& scores) override { told(completions, scores); }
  Score told;
};

Rewards::Part part(std::string name, double weight, Score score) {
  return {std::move(name), weight, std::make_unique<Told>(std::move(score))};
}
Score says(std::vector<double> values, std::vector<std::vector<float>> per_token = {}) {
  return [=](const Completions&, Scores& scores) {
    scores.values = values;
    scores.per_token = per_token;
  };
}
template <class... Parts>
Rewards made(Parts... parts) {
  std::vector<Rewards::Part> all;
  (all.push_back(std::move(parts)), ...);
  return Rewards(std::move(all));
}

Completions three() {
  Completions completions;
  completions.texts = {"a", "bb", ""};
  completions.tokens = {{1}, {2, 2}, {}};
  return completions;
}

const Metric& metric(const Scores& scores, const std::string& name) {
  for (const Metric& one : scores.metrics) {
    if (one.name == name) return one;
  }
  ADD_FAILURE() << "no metric " << name;
  return scores.metrics.at(0);
}

TEST(Rewards, AddUpByWeightWhereTheyApply) {
  const Scores scores = made(part("one", 2, says({1, 0.5, not_applicable})),
                             part("two", -0.5, says({4, not_applicable, not_applicable})))
                            .score(three());
  EXPECT_EQ(scores.values, (std::vector<double>{0, 1, 0}));
  EXPECT_TRUE(scores.per_token.empty());
  EXPECT_EQ(metric(scores, "score").sum, 1);
  EXPECT_EQ(metric(scores, "score").weight, 3);
  EXPECT_EQ(metric(scores, "score/one").sum, 1.5);  // without its weight
  EXPECT_EQ(metric(scores, "score/one").weight, 2);
  EXPECT_EQ(metric(scores, "score/two").sum, 4);
  EXPECT_EQ(metric(scores, "score/two").weight, 1);
}

TEST(Rewards, AddUpTokenByToken) {
  const Scores scores =
      made(part("one", 2, says({0, 0, 0}, {{1}, {}, {}})),
           part("two", -1, says({1, 1, 1}, {{3}, {5, 7}, {}})), part("three", 1, says({1, 2, 3})))
          .score(three());
  EXPECT_EQ(scores.values, (std::vector<double>{0, 1, 2}));
  EXPECT_EQ(scores.per_token, (std::vector<std::vector<float>>{{-1}, {-5, -7}, {}}));
}

TEST(Rewards, HandOverTheMetricsOfTheirParts) {
  const Scores scores = made(part("one", 1, [](const Completions&, Scores& own) {
                          own.metrics.push_back({"depth", 3, 2});
                        })).score(three());
  EXPECT_EQ(metric(scores, "score/one/depth").sum, 3);
  EXPECT_EQ(metric(scores, "score/one/depth").weight, 2);
  EXPECT_EQ(scores.values, (std::vector<double>{0, 0, 0}));  // what it did not set
}

TEST(Rewards, ErrorsNameTheReward) {
  const auto error = [](Score score) {
    return error_of([&] {
      made(part("good", 1, says({0, 0, 0})), part("bad", 1, score)).score(three());
    });
  };
  EXPECT_EQ(error([](const Completions&, Scores&) { fail("no dictionary"); }),
            "reward 'bad': no dictionary");
  EXPECT_EQ(error([](const Completions&, Scores&) { throw std::runtime_error("boom"); }),
            "reward 'bad': boom");
  EXPECT_EQ(error([](const Completions&, Scores&) { fail("reward 'length': no"); }),
            "reward 'length': no");
  EXPECT_EQ(error(says({0})), "reward 'bad' gave 1 values for 3 completions");
  EXPECT_EQ(error(says({0, -std::numeric_limits<double>::infinity(), 0})),
            "reward 'bad' gave the value -inf, which f32 does not hold");
  EXPECT_EQ(error(says({0, 0, 0}, {{1}})),
            "reward 'bad' gave values per token for 1 of 3 completions");
  EXPECT_EQ(error(says({0, 0, 0}, {{}, {1}, {}})),
            "reward 'bad' gave 1 values for the 2 tokens of completion 1");
  EXPECT_EQ(error(says({0, 0, 0}, {{}, {1, std::nanf("")}, {}})),
            "reward 'bad' gave a token of completion 1 the value nan");
}

// The first part in the file is the first that fails, whichever is faster; and sums are added in
// the order of the file: (1e17 + 1) - 1e17 is 0, any other order gives 1 or less.
TEST(Rewards, KeepTheirOrderInParallel) {
  const auto late = [](Score score) {
    return [=](const Completions& completions, Scores& scores) {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      score(completions, scores);
    };
  };
  const Score first_failure = [](const Completions&, Scores&) { fail("first"); };
  const Score second_failure = [](const Completions&, Scores&) { fail("second"); };
  EXPECT_EQ(error_of([&] {
              made(part("zero", 1, says({0, 0, 0})), part("one", 1, late(first_failure)),
                   part("two", 1, second_failure))
                  .score(three());
            }),
            "reward 'one': first");
  const Scores scores = made(part("a", 1, late(says({1e17, 0, 0}))), part("b", 1, says({1, 0, 0})),
                             part("c", -1, says({1e17, 0, 0})))
                            .score(three());
  EXPECT_EQ(scores.values[0], 0);
  EXPECT_EQ(scores.metrics[1].name, "score/a");
  EXPECT_EQ(scores.metrics[3].name, "score/c");
}

}  // namespace
}  // namespace lathe
