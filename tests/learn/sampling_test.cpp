// What is drawn against exact probabilities: chi-square over 40,000 draws of a fixed seed.
#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/learn/sampling.h>

#include <cmath>
#include <map>

namespace lathe {
namespace {
const std::vector<float> logits = {0.3F, -1.2F, 2.0F, 1.1F, -0.4F, 1.9F, -3.0F, 0.8F};

GenerationOptions with(const std::string& text) {
  return GenerationOptions(parse_toml(text, "test"));
}

// Softmax of the given scores over the given tokens alone.
std::map<std::int32_t, double> softmax(const std::map<std::int32_t, double>& scores) {
  double sum = 0;
  for (const auto& [token, score] : scores) sum += std::exp(score);
  std::map<std::int32_t, double> result;
  for (const auto& [token, score] : scores) result[token] = std::exp(score) / sum;
  return result;
}

std::map<std::int32_t, double> scores_of(const std::vector<std::int32_t>& tokens,
                                         double temperature = 1) {
  std::map<std::int32_t, double> scores;
  for (const std::int32_t token : tokens) {
    scores[token] = static_cast<double>(logits[static_cast<std::size_t>(token)]) / temperature;
  }
  return scores;
}

void expect_distribution(const std::string& options, const std::map<std::int32_t, double>& exact,
                         const std::vector<std::int32_t>& history = {}) {
  const GenerationOptions wishes = with(options);
  const auto listed = distribution(logits, history, wishes);
  ASSERT_EQ(listed.size(), exact.size());
  double before = 1;
  for (const auto& [token, probability] : listed) {
    EXPECT_NEAR(probability, exact.at(token), 1e-6) << token;
    EXPECT_LE(probability, before);
    before = probability;
  }
  constexpr int draws = 40000;
  std::map<std::int32_t, int> counts;
  const RandomStream random(1, "sampling");
  const std::map<std::int32_t, double> model = softmax(scores_of({0, 1, 2, 3, 4, 5, 6, 7}));
  for (std::uint64_t i = 0; i < draws; ++i) {
    const Choice choice = choose(logits, history, wishes, random, i);
    ++counts[choice.token];
    if (i >= 100) continue;
    EXPECT_NEAR(choice.log_probability, std::log(model.at(choice.token)), 1e-6);
    EXPECT_NEAR(choice.sampled_log_probability, std::log(exact.at(choice.token)), 1e-6);
  }
  double chi = 0;
  for (const auto& [token, probability] : exact) {
    chi += std::pow(counts[token] - draws * probability, 2) / (draws * probability);
    counts.erase(token);
  }
  EXPECT_TRUE(counts.empty()) << "a token was drawn that cannot be";
  EXPECT_LT(chi, 24.3);  // 7 degrees of freedom: exceeded once in a thousand seeds
}

TEST(Sampling, All) { expect_distribution("", softmax(scores_of({0, 1, 2, 3, 4, 5, 6, 7}))); }

TEST(Sampling, Temperature) {
  expect_distribution("temperature = 0.6", softmax(scores_of({0, 1, 2, 3, 4, 5, 6, 7}, 0.6)));
  expect_distribution("temperature = 2.5", softmax(scores_of({0, 1, 2, 3, 4, 5, 6, 7}, 2.5)));
}

TEST(Sampling, TopK) {
  expect_distribution("top_k = 3", softmax(scores_of({2, 5, 3})));
  expect_distribution("top_k = 1", {{2, 1.0}});
  expect_distribution("top_k = 99", softmax(scores_of({0, 1, 2, 3, 4, 5, 6, 7})));
}

// Probabilities 0.3409, 0.3085, 0.1386, 0.1027, ...: two tokens reach 0.6494.
TEST(Sampling, TopP) {
  expect_distribution("top_p = 0.649", softmax(scores_of({2, 5})));
  expect_distribution("top_p = 0.650", softmax(scores_of({2, 5, 3})));
  expect_distribution("top_p = 0.01", {{2, 1.0}});
}

// Temperature comes first: at 2, the shares of the largest are 1, 0.951, 0.638, 0.549, 0.427,
// 0.301.
TEST(Sampling, MinP) {
  expect_distribution("min_p = 0.25", softmax(scores_of({2, 5, 3, 7})));
  expect_distribution("min_p = 0.5\ntemperature = 2.0", softmax(scores_of({2, 5, 3, 7}, 2)));
}

TEST(Sampling, RepetitionPenalty) {
  std::map<std::int32_t, double> scores = scores_of({0, 1, 2, 3, 4, 5, 6, 7});
  scores[2] /= 1.5;
  scores[4] *= 1.5;
  expect_distribution("repetition_penalty = 1.5", softmax(scores), {2, 4, 2, 2});
}

TEST(Sampling, OneAfterTheOther) {
  // The penalty moves 2 behind 5 and 3; of the three left by top_k, min_p drops 3 and 2.
  expect_distribution("repetition_penalty = 2.0\ntop_k = 3\nmin_p = 0.5", {{5, 1.0}}, {2});
}

TEST(Sampling, Greedy) {
  const RandomStream random(1, "sampling");
  const Choice choice = choose(logits, {}, with("temperature = 0.0"), random, 0);
  EXPECT_EQ(choice.token, 2);
  EXPECT_EQ(choice.sampled_log_probability, 0);
  EXPECT_NEAR(choice.log_probability, std::log(softmax(scores_of({0, 1, 2, 3, 4, 5, 6, 7}))[2]),
              1e-6);
  const std::vector<float> tie = {1, 3, 3, 2};
  EXPECT_EQ(choose(tie, {}, with("temperature = 0.0"), random, 0).token, 1);
}

}  // namespace
}  // namespace lathe
