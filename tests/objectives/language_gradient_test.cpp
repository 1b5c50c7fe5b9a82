// Estimators of policy gradients on languages that can be counted out, averaged over everything
// that could have been sampled, against the gradient of the objective itself.
#include <gtest/gtest.h>

#include <map>

#include "objectives/language_space.h"

namespace lathe {
namespace {
using testing::distance;
using testing::LanguageSpace;
using testing::number;
using testing::Numbers;
using testing::options_of;
using testing::some_scores;
using testing::word;

// The mean over sequences, each by its probability, of the descent direction of one row.
Numbers over_sequences(LanguageSpace& space, Objective& objective, const Numbers& scores) {
  const Numbers p = space.probabilities(space.policy);
  Numbers mean;
  for (std::int64_t y = 0; y < space.sequences(); ++y) {
    Batch batch = space.rows({y}, scores);
    testing::add(mean, -p[static_cast<std::size_t>(y)], space.loss_gradient(objective, batch));
  }
  return mean;
}
// The same over all groups of two. They come in two orders, which learn the same.
Numbers over_pairs(LanguageSpace& space, Objective& objective, const Numbers& scores) {
  const Numbers p = space.probabilities(space.policy);
  Numbers mean;
  for (std::int64_t a = 0; a < space.sequences(); ++a) {
    for (std::int64_t b = 0; b <= a; ++b) {
      Batch batch = space.rows({a, b}, scores);
      const double chance =
          (a == b ? 1 : 2) * p[static_cast<std::size_t>(a)] * p[static_cast<std::size_t>(b)];
      testing::add(mean, -chance, space.loss_gradient(objective, batch));
    }
  }
  return mean;
}

// The same over all groups of two of a larger space. What a row of a group learns depends on the
// other by its score alone, and there are few scores: so each row meets one text of each score,
// with the chance of them all. Weights of places are these chances, each the sum of two floats (48
// bits). The sum over a group is divided by `divisor`.
Numbers over_pairs_by_score(LanguageSpace& space, Objective& objective, const Numbers& scores,
                            double divisor) {
  const Numbers p = space.probabilities(space.policy);
  std::map<double, std::vector<std::int64_t>> texts;
  for (std::int64_t y = 0; y < space.sequences(); ++y) {
    texts[scores[static_cast<std::size_t>(y)]].push_back(y);
  }
  const auto prepared = [&](std::int64_t other) {
    std::vector<std::int64_t> rows;
    for (std::int64_t y = 0; y < space.sequences(); ++y) rows.insert(rows.end(), {y, other});
    Batch batch = space.rows(rows, scores);
    for (std::size_t row = 0; row < rows.size(); ++row) {
      batch.experience.groups[row] = static_cast<std::int64_t>(row / 2);
    }
    objective.prepare(batch, space.pass(space.policy));
    return batch;
  };
  Numbers mean;
  for (const auto& [score, alike] : texts) {
    Batch batch = prepared(alike.front());
    EXPECT_EQ(batch.experience.advantages, prepared(alike.back()).experience.advantages);
    double chance = 0;
    for (const std::int64_t y : alike) chance += p[static_cast<std::size_t>(y)];
    const auto row = static_cast<std::size_t>(batch.length);
    const std::vector<float> acts = batch.weights;
    for (const bool rest : {false, true}) {
      for (std::size_t n = 0; n < acts.size(); ++n) {
        // Two orders of the group; the other row's own part comes when it is the first.
        const double weight = n / row % 2 == 1 ? 0 : 2 * p[n / row / 2] * chance / divisor;
        const auto most = static_cast<float>(weight);
        batch.weights[n] =
            acts[n] * (rest ? static_cast<float>(weight - static_cast<double>(most)) : most);
      }
      testing::add(mean, -1, space.gradient([&] {
        return objective.loss(batch, space.pass(space.policy)).sum;
      }));
    }
  }
  return mean;
}

TEST(LanguageGradient, OfTheObjectiveIsThatOfDifferences) {
  LanguageSpace space(3, false);
  const Numbers scores = some_scores(space.sequences());
  const Numbers exact = space.exact_gradient(scores, 0.3);
  std::size_t n = 0;
  for (Parameter& parameter : space.policy.parameters.all()) {
    auto* values = parameter.master.view().as<double>();
    for (std::int64_t i = 0; i < parameter.shape.count(); ++i, ++n) {
      constexpr double h = 1e-5;
      const double before = values[i];
      values[i] = before + h;
      const double above = space.value(scores, 0.3);
      values[i] = before - h;
      const double below = space.value(scores, 0.3);
      values[i] = before;
      EXPECT_NEAR(exact[n], (above - below) / (2 * h), 1e-8) << parameter.name << " " << i;
    }
  }
}

// The derivatives along some directions, for the 1024 texts of 5 tokens.
TEST(LanguageGradient, OfTheObjectiveIsThatOfDifferencesInTheLargerSpace) {
  LanguageSpace space(5, false);
  const Numbers scores = some_scores(space.sequences());
  const Numbers exact = space.exact_gradient(scores, 0.3);
  for (std::uint64_t d = 0; d < 8; ++d) {
    const RandomStream random(31, "direction", d);
    const auto value_at = [&](double along) {
      std::uint64_t n = 0;
      const auto move = [&](double by) {
        n = 0;
        for (Parameter& parameter : space.policy.parameters.all()) {
          auto* values = parameter.master.view().as<double>();
          for (std::int64_t i = 0; i < parameter.shape.count(); ++i) {
            values[i] += by * random.normal(n++);
          }
        }
      };
      move(along);
      const double value = space.value(scores, 0.3);
      move(-along);
      return value;
    };
    double slope = 0;
    for (std::size_t n = 0; n < exact.size(); ++n) slope += exact[n] * random.normal(n);
    constexpr double h = 1e-5;
    EXPECT_NEAR(slope, (value_at(h) - value_at(-h)) / (2 * h),
                1e-7 * std::max(1.0, std::abs(slope)))
        << "direction " << d;
  }
}

TEST(LanguageGradient, Reinforce) {
  for (const std::int64_t length : {3, 5}) {
    LanguageSpace space(length, false);
    const Numbers scores = some_scores(space.sequences());
    const Numbers exact = space.exact_gradient(scores, 0);
    const auto plain = space.objective(
        "reinforce", options_of({{"discount", number(1)}, {"baseline", word("none")}}));
    // A row's loss is divided by its actions.
    const auto actions = static_cast<double>(length);
    EXPECT_LT(distance(over_sequences(space, *plain, scores), exact, 1 / actions), 1e-9) << length;
  }
}

TEST(LanguageGradient, ReinforceWithAValueAsBaseline) {
  for (const std::int64_t length : {3, 5}) {
    LanguageSpace space(length, false);
    const Numbers scores = some_scores(space.sequences());
    const auto objective = space.objective("reinforce", options_of({{"discount", number(1)},
                                                                    {"baseline", word("value")},
                                                                    {"value_weight", number(0)}}));
    const Numbers exact = space.exact_gradient(scores, 0);
    const auto actions = static_cast<double>(length);
    EXPECT_LT(distance(over_sequences(space, *objective, scores), exact, 1 / actions), 1e-9)
        << length;
  }
}

// The first step of PPO, with the KL of each action in its reward and values that are wrong: with
// lambda 1 they are a baseline.
TEST(LanguageGradient, FirstStepOfPpo) {
  for (const std::int64_t length : {3, 5}) {
    for (const char* estimator : {"k1", "none"}) {
      LanguageSpace space(length, false);
      const Numbers scores = some_scores(space.sequences());
      const bool kl = word(estimator) == word("k1");
      const auto ppo = space.objective("ppo", options_of({{"discount", number(1)},
                                                          {"lambda", number(1)},
                                                          {"normalise", word("none")},
                                                          {"value_weight", number(0)},
                                                          {"kl", number(kl ? 0.3 : 0)}}));
      const Numbers exact = space.exact_gradient(scores, kl ? 0.3 : 0);
      const auto actions = static_cast<double>(length);
      EXPECT_LT(distance(over_sequences(space, *ppo, scores), exact, 1 / actions), 1e-9)
          << length << " " << estimator;
    }
  }
}

// With exact values every lambda is unbiased.
TEST(LanguageGradient, FirstStepOfPpoWithExactValues) {
  for (const std::int64_t length : {3, 5}) {
    LanguageSpace space(length, true);
    const Numbers scores = some_scores(space.sequences());
    const Numbers p = space.probabilities(space.policy);
    // V of a prefix: the mean of the scores below it, by the probabilities given the prefix.
    Parameter& values = *space.policy.parameters.find("values");
    std::int64_t state = 0;
    for (std::int64_t width = space.sequences(); width >= 1; width /= 4) {
      for (std::int64_t first = 0; first < space.sequences(); first += width, ++state) {
        double mass = 0;
        double mean = 0;
        for (std::int64_t y = first; y < first + width; ++y) {
          mass += p[static_cast<std::size_t>(y)];
          mean += p[static_cast<std::size_t>(y)] * scores[static_cast<std::size_t>(y)];
        }
        values.master.view().as<double>()[state] = mean / mass;
      }
    }
    const Numbers exact = space.exact_gradient(scores, 0);
    for (const double lambda : length == 3 ? Numbers{0, 0.5, 0.95} : Numbers{0.5}) {
      const auto ppo = space.objective("ppo", options_of({{"discount", number(1)},
                                                          {"lambda", number(lambda)},
                                                          {"normalise", word("none")},
                                                          {"value_weight", number(0)}}));
      EXPECT_LT(
          distance(over_sequences(space, *ppo, scores), exact, 1.0 / static_cast<double>(length)),
          1e-9)
          << length << " " << lambda;
    }
  }
}

TEST(LanguageGradient, RlooIsUnbiasedAndDrGrpoShorterByOneInG) {
  LanguageSpace space(3, false);
  const Numbers scores = some_scores(space.sequences());
  const auto rloo =
      space.objective("grpo", options_of({{"form", word("rloo")}, {"kl", number(0.3)}}));
  EXPECT_LT(distance(over_pairs(space, *rloo, scores), space.exact_gradient(scores, 0.3)), 1e-9);

  const auto constant =
      space.objective("grpo", options_of({{"form", word("dr_grpo")}, {"constant", number(8)}}));
  const Numbers exact = space.exact_gradient(scores, 0);
  EXPECT_LT(distance(over_pairs(space, *constant, scores), exact, 0.5 / 8), 1e-9);
}

TEST(LanguageGradient, RlooIsUnbiasedInTheLargerSpace) {
  LanguageSpace space(5, false);
  const Numbers scores = some_scores(space.sequences());
  const Numbers exact = space.exact_gradient(scores, 0);
  const auto rloo = space.objective("grpo", options_of({{"form", word("rloo")}}));
  EXPECT_LT(distance(over_pairs_by_score(space, *rloo, scores, 2), exact), 1e-9);
  const auto constant =
      space.objective("grpo", options_of({{"form", word("dr_grpo")}, {"constant", number(8)}}));
  EXPECT_LT(distance(over_pairs_by_score(space, *constant, scores, 2), exact, 0.5 / 8), 1e-9);
}

// E[sum_i A_i grad log p(y_i)] / tokens with A_i = +-(d/2) / (d / sqrt 2 + 1e-4): close to the sign
// of the difference d, whatever its size, which is not the gradient of the mean score.
Numbers biased_gradient(LanguageSpace& space, const Numbers& scores) {
  const Numbers p = space.probabilities(space.policy);
  Numbers weights(p.size(), 0.0);  // of grad log p(y)
  const auto tokens = static_cast<double>(2 * space.length());
  for (std::size_t a = 0; a < p.size(); ++a) {
    for (std::size_t b = 0; b < p.size(); ++b) {
      const double d = scores[a] - scores[b];
      weights[a] += 2 * p[a] * p[b] * (d / 2) / (std::abs(d) / std::sqrt(2.0) + 1e-4) / tokens;
    }
  }
  return space.gradient([&] {
    return sum(multiply(space.log_probabilities(space.policy),
                        places_tensor(space.pass(space.policy), weights)));
  });
}
// How far `found` is from every multiple of the gradient of the mean score, relative to the
// nearest.
double off_the_gradient(LanguageSpace& space, const Numbers& scores, const Numbers& found) {
  const Numbers exact = space.exact_gradient(scores, 0);
  double along = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) along += found[i] * exact[i];
  return distance(found, exact, along / std::pow(testing::norm(exact), 2));
}

TEST(LanguageGradient, GrpoIsBiasedAsItsFormulaSays) {
  const Config options = options_of({{"form", word("grpo")}});
  LanguageSpace small(3, false);
  const Numbers few = some_scores(small.sequences());
  const Numbers found = over_pairs(small, *small.objective("grpo", options), few);
  EXPECT_LT(distance(found, biased_gradient(small, few)), 1e-9);
  EXPECT_GT(off_the_gradient(small, few, found), 0.01);

  LanguageSpace large(5, false);
  const Numbers scores = some_scores(large.sequences());
  const auto tokens = static_cast<double>(2 * large.length());
  const Numbers all = over_pairs_by_score(large, *large.objective("grpo", options), scores, tokens);
  EXPECT_LT(distance(all, biased_gradient(large, scores)), 1e-9);
  EXPECT_GT(off_the_gradient(large, scores, all), 0.001);
}

}  // namespace
}  // namespace lathe
