// With the score r less beta log(p / p_ref), the best policy is p_ref exp(r / beta) / Z and its
// objective beta log Z. Every objective for language models gets there on languages that can be
// counted out. The distance is J* - J = beta KL(p || p*): second order in the error of log p, so a
// step of 1e-3 in the preferences at the end leaves less than 1e-5.
#include <gtest/gtest.h>

#include <algorithm>

#include "objectives/language_space.h"

namespace lathe {
namespace {
using testing::LanguageSpace;
using testing::number;
using testing::Numbers;
using testing::options_of;
using testing::word;

constexpr double beta = 0.5;

double best(LanguageSpace& space, const Numbers& scores) {
  const Numbers q = space.probabilities(space.reference);
  double z = 0;
  for (std::size_t y = 0; y < q.size(); ++y) z += q[y] * std::exp(scores[y] / beta);
  return beta * std::log(z);
}

// Adam on the exact expectation of each step's gradient; the rate falls to 0.
void descend(LanguageSpace& space, int steps, const std::function<Numbers()>& gradient) {
  Numbers first, second;
  for (int step = 0; step < steps; ++step) {
    const Numbers now = gradient();
    first.resize(now.size());
    second.resize(now.size());
    const double rate = 0.2 * (1 - static_cast<double>(step) / steps);
    std::size_t n = 0;
    for (Parameter& parameter : space.policy.parameters.all()) {
      auto* values = parameter.master.view().as<double>();
      for (std::int64_t i = 0; i < parameter.shape.count(); ++i, ++n) {
        first[n] = 0.9 * first[n] + 0.1 * now[n];
        second[n] = 0.99 * second[n] + 0.01 * now[n] * now[n];
        const double mean = first[n] / (1 - std::pow(0.9, step + 1));
        const double square = second[n] / (1 - std::pow(0.99, step + 1));
        values[i] -= rate * mean / (std::sqrt(square) + 1e-12);
      }
    }
  }
}

// All rows with their probabilities as weights: an infinite collection.
Batch collection(const LanguageSpace& space, const Numbers& scores) {
  Batch batch = space.rows(space.everything(), scores);
  const Numbers p = space.probabilities(space.policy);
  const auto length = static_cast<std::size_t>(batch.length);
  for (std::size_t n = 0; n < batch.weights.size(); ++n) {
    batch.weights[n] *= static_cast<float>(p[n / length]);
  }
  return batch;
}

void expect_optimum(const char* name, const Config& options, std::int64_t length, int steps,
                    double tolerance = 1e-5) {
  LanguageSpace space(length, true);
  const Numbers scores = testing::some_scores(space.sequences());
  const double target = best(space, scores);
  EXPECT_GT(target - space.value(scores, beta), 0.1) << "there is something to learn";
  const auto objective = space.objective(name, options);
  descend(space, steps, [&] {
    Batch batch = collection(space, scores);
    return space.loss_gradient(*objective, batch);
  });
  const double reached = space.value(scores, beta);
  EXPECT_LE(reached, target + 1e-12) << name;
  EXPECT_NEAR(reached, target, tolerance) << name;
}

TEST(LanguageOptimum, Ppo) {
  const Config options = options_of({{"discount", number(1)},
                                     {"lambda", number(1)},
                                     {"normalise", word("none")},
                                     {"value_weight", number(0)},
                                     {"kl", number(beta)}});
  expect_optimum("ppo", options, 3, 400);
  expect_optimum("ppo", options, 5, 120, 1e-3);  // fewer steps, of 1024 texts
}

TEST(LanguageOptimum, Rloo) {
  const Config options = options_of({{"form", word("rloo")}, {"kl", number(beta)}});
  expect_optimum("grpo", options, 3, 400);
  expect_optimum("grpo", options, 5, 80, 2e-3);
}

TEST(LanguageOptimum, Grpo) {
  const Config options =
      options_of({{"form", word("grpo")}, {"kl", number(beta)}, {"kl_in", word("reward")}});
  expect_optimum("grpo", options, 3, 800);
  expect_optimum("grpo", options, 5, 120, 1e-2);
}

// How long to learn, and how near to come.
struct Case {
  std::int64_t length;
  int steps;
  double tolerance;
};

// It has no reference of its own: each action's reward holds its share of the KL.
TEST(LanguageOptimum, Reinforce) {
  for (const Case& one : {Case{3, 400, 1e-5}, {5, 120, 1e-3}}) {
    LanguageSpace space(one.length, true);
    const Numbers scores = testing::some_scores(space.sequences());
    const double target = best(space, scores);
    const auto objective = space.objective(
        "reinforce", options_of({{"discount", number(1)}, {"baseline", word("none")}}));
    descend(space, one.steps, [&] {
      Batch batch = collection(space, scores);
      const Numbers mine =
          policy_pass(batch, space.pass(space.policy), 1, false).log_probability.values();
      const Numbers theirs =
          policy_pass(batch, space.pass(space.reference), 1, false).log_probability.values();
      for (std::size_t n = 0; n < mine.size(); ++n) {
        if (batch.weights[n] == 0) continue;
        batch.experience.rewards[n] -= static_cast<float>(beta * (mine[n] - theirs[n]));
      }
      return space.loss_gradient(*objective, batch);
    });
    EXPECT_NEAR(space.value(scores, beta), target, one.tolerance) << one.length;
  }
}

// Soft Q-learning gets there from texts that nobody's policy wrote: each once.
TEST(LanguageOptimum, SoftQLearningFromAnyTexts) {
  for (const double lambda : {0.0, 1.0}) {
    LanguageSpace space(3, true);
    const Numbers scores = testing::some_scores(space.sequences());
    const double target = best(space, scores);
    const auto objective = space.objective("q_learning", options_of({{"backup", word("soft")},
                                                                     {"beta", number(beta)},
                                                                     {"lambda", number(lambda)},
                                                                     {"discount", number(1)}}));
    descend(space, 800, [&] {
      Batch batch = space.rows(space.everything(), scores);
      return space.loss_gradient(*objective, batch);
    });
    EXPECT_NEAR(space.value(scores, beta), target, 1e-5) << lambda;
  }
}

// Preferences as Bradley and Terry have them, for scores 0 and log 3: of four answers three prefer
// the better text, of two answers one prefers either of two alike. So the copies of a pair are what
// infinitely many people would say, and comparing all texts with one of them ties all together.
TEST(LanguageOptimum, DpoOnInfinitePreferences) {
  for (const Case& one : {Case{3, 400, 1e-5}, {5, 90, 1e-2}}) {
    LanguageSpace space(one.length, true);
    const RandomStream random(23, "preferred");
    Numbers scores;
    for (std::int64_t y = 0; y < space.sequences(); ++y) {
      scores.push_back(random.below(2, static_cast<std::uint64_t>(y)) == 0 ? 0 : std::log(3.0));
    }
    std::vector<std::int64_t> pairs;
    for (std::int64_t y = 1; y < space.sequences(); ++y) {
      const double d = scores[static_cast<std::size_t>(y)] - scores[0];
      const int answers = d == 0 ? 2 : 4;
      const int wins = d > 0 ? 3 : 1;
      for (int k = 0; k < answers; ++k) {
        pairs.push_back(k < wins ? y : 0);
        pairs.push_back(k < wins ? 0 : y);
      }
    }
    const auto dpo = space.objective("dpo", options_of({{"beta", number(beta)}}));
    const double target = best(space, scores);
    EXPECT_GT(target - space.value(scores, beta), 0.1);
    descend(space, one.steps, [&] {
      Batch batch = space.rows(pairs, scores);
      batch.experience = {};
      return space.loss_gradient(*dpo, batch);
    });
    EXPECT_NEAR(space.value(scores, beta), target, one.tolerance) << one.length;
  }
}

}  // namespace
}  // namespace lathe
