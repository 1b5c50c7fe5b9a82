// Estimators of policy gradients on languages that can be counted out, averaged over everything
// that could have been sampled, against the gradient of the objective itself.
#include <gtest/gtest.h>

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
  LanguageSpace space(3, false);
  const Numbers scores = some_scores(space.sequences());
  const auto objective = space.objective("reinforce", options_of({{"discount", number(1)},
                                                                  {"baseline", word("value")},
                                                                  {"value_weight", number(0)}}));
  const Numbers exact = space.exact_gradient(scores, 0);
  EXPECT_LT(distance(over_sequences(space, *objective, scores), exact, 1.0 / 3), 1e-9);
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
      State state;  // not at the beginning of a run: the policy is not the reference
      state.put("kl", kl ? 0.3 : 0.0);
      state.put("untouched", std::int64_t{0});
      state.put("fresh", std::int64_t{0});
      ppo->load(state);
      const Numbers exact = space.exact_gradient(scores, kl ? 0.3 : 0);
      const auto actions = static_cast<double>(length);
      EXPECT_LT(distance(over_sequences(space, *ppo, scores), exact, 1 / actions), 1e-9)
          << length << " " << estimator;
    }
  }
}

// With exact values every lambda is unbiased.
TEST(LanguageGradient, FirstStepOfPpoWithExactValues) {
  LanguageSpace space(3, true);
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
  for (const double lambda : {0.0, 0.5, 0.95}) {
    const auto ppo = space.objective("ppo", options_of({{"discount", number(1)},
                                                        {"lambda", number(lambda)},
                                                        {"normalise", word("none")},
                                                        {"value_weight", number(0)}}));
    EXPECT_LT(distance(over_sequences(space, *ppo, scores), exact, 1.0 / 3), 1e-9) << lambda;
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

// E[sum_i A_i grad log p(y_i)] / tokens with A_i = +-(d/2) / (d / sqrt 2 + 1e-4): close to the sign
// of the difference d, whatever its size, which is not the gradient of the mean score.
TEST(LanguageGradient, GrpoIsBiasedAsItsFormulaSays) {
  LanguageSpace space(3, false);
  const Numbers scores = some_scores(space.sequences());
  const auto grpo = space.objective("grpo", options_of({{"form", word("grpo")}}));
  const Numbers found = over_pairs(space, *grpo, scores);

  const Numbers p = space.probabilities(space.policy);
  Numbers weights(p.size(), 0.0);  // of grad log p(y)
  for (std::size_t a = 0; a < p.size(); ++a) {
    for (std::size_t b = 0; b < p.size(); ++b) {
      const double d = scores[a] - scores[b];
      weights[a] += 2 * p[a] * p[b] * (d / 2) / (std::abs(d) / std::sqrt(2.0) + 1e-4) / 6;
    }
  }
  const Numbers expected = space.gradient([&] {
    return sum(multiply(space.log_probabilities(space.policy),
                        places_tensor(space.pass(space.policy), weights)));
  });
  EXPECT_LT(distance(found, expected), 1e-9);
  const Numbers exact = space.exact_gradient(scores, 0);
  double along = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) along += found[i] * exact[i];
  const double factor = along / std::pow(testing::norm(exact), 2);
  EXPECT_GT(distance(found, exact, factor), 0.01);
}

// What the estimators of the KL are worth in the loss, with equal scores: k1 pulls nowhere, k2
// along KL(pi||ref) of each state, k3 along KL(ref||pi) of each state; the states' chances stand
// still.
TEST(LanguageGradient, EstimatorsOfTheKl) {
  LanguageSpace space(3, true);
  const Numbers nothing(static_cast<std::size_t>(space.sequences()), 0.0);
  const Numbers p = space.probabilities(space.policy);
  const Numbers q = space.probabilities(space.reference);
  Numbers pulls[3];
  int k = 0;
  for (const char* estimator : {"k1", "k2", "k3"}) {
    const auto objective = space.objective("grpo", options_of({{"form", word("dr_grpo")},
                                                               {"constant", number(1)},
                                                               {"kl", number(1)},
                                                               {"kl_estimator", word(estimator)}}));
    double mean = 0;
    for (std::int64_t y = 0; y < space.sequences(); ++y) {
      Batch batch = space.rows({y, y}, nothing);
      testing::add(pulls[k], p[static_cast<std::size_t>(y)],
                   space.loss_gradient(*objective, batch));
      const Loss loss = objective->loss(batch, space.pass(space.policy));
      mean += p[static_cast<std::size_t>(y)] * loss.sum.item() / loss.weight;
    }
    double kl = 0;
    double squares = 0;
    for (std::size_t y = 0; y < p.size(); ++y) kl += p[y] * std::log(p[y] / q[y]);
    const auto each = [&](const ModelCopy& of) {
      const Batch batch = space.rows(space.everything(), nothing);
      return policy_pass(batch, space.pass(of), 1, false).log_probability.values();
    };
    const Numbers mine = each(space.policy);
    const Numbers theirs = each(space.reference);
    for (std::size_t n = 0; n < mine.size(); ++n) {
      if (n % 4 != 3) squares += p[n / 4] * std::pow(mine[n] - theirs[n], 2) / 2;
    }
    EXPECT_NEAR(mean, k == 1 ? squares : kl, 1e-12) << estimator;
    ++k;
  }
  // KL of each state by its chance, differentiated through the preferences of the table alone.
  const auto by_state = [&](bool forward) {
    return space.gradient([&] {
      Batch batch = space.rows(space.everything(), nothing);
      Tensor total;
      const std::vector<std::int32_t> taken = batch.targets;
      for (std::int32_t action = 0; action < 4; ++action) {
        for (std::int32_t& target : batch.targets) target = action;
        const Tensor now = policy_pass(batch, space.pass(space.policy), 1, false).log_probability;
        const Numbers then =
            policy_pass(batch, space.pass(space.reference), 1, false).log_probability.values();
        Numbers weights(then.size(), 0.0);
        Numbers reversed(then.size(), 0.0);
        for (std::size_t n = 0; n < then.size(); ++n) {
          if (n % 4 == 3) continue;
          weights[n] = p[n / 4];
          reversed[n] = -p[n / 4] * std::exp(then[n]);
        }
        const auto put = [&](const Numbers& some) {
          return places_tensor(space.pass(space.policy), some);
        };
        const Tensor part =
            forward ? sum(multiply(multiply(exp(now), subtract(now, put(then))), put(weights)))
                    : sum(multiply(now, put(reversed)));
        total = total ? add(total, part) : part;
      }
      return total;
    });
  };
  const Numbers forward = by_state(true);
  EXPECT_LT(testing::norm(pulls[0]), 1e-12 * testing::norm(forward));
  EXPECT_LT(distance(pulls[1], forward), 1e-9);
  EXPECT_LT(distance(pulls[2], by_state(false)), 1e-9);
}

}  // namespace
}  // namespace lathe
