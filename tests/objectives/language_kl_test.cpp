// The KL of a policy from its reference on languages that can be counted out, and what its
// estimators are worth.
#include <gtest/gtest.h>

#include "objectives/language_space.h"

namespace lathe {
namespace {
using testing::distance;
using testing::LanguageSpace;
using testing::number;
using testing::Numbers;
using testing::options_of;
using testing::word;

// KL(p || q) is the sum over texts, and that over states of the KL of the next token by the chance
// of the state: two ways to count it out.
TEST(LanguageKl, TheKlIsThatOfEachState) {
  for (const std::int64_t length : {3, 5}) {
    LanguageSpace space(length, true);
    const Numbers nothing(static_cast<std::size_t>(space.sequences()), 0.0);
    const double whole = -space.value(nothing, 1);
    const Numbers p = space.probabilities(space.policy);
    // Rows of the table: preferences of the states, in the order in which prefixes are numbered.
    const auto table = [](ModelCopy& of) {
      return of.parameters.find("preferences")->master.view().as<double>();
    };
    const double* const mine = table(space.policy);
    const double* const theirs = table(space.reference);
    const auto log_sum = [](const double* row) {
      double sum = 0;
      for (int a = 0; a < 4; ++a) sum += std::exp(row[a]);
      return std::log(sum);
    };
    double kl = 0;
    std::int64_t state = 0;
    for (std::int64_t width = space.sequences(); width > 1; width /= 4) {
      for (std::int64_t first = 0; first < space.sequences(); first += width, ++state) {
        double chance = 0;
        for (std::int64_t y = first; y < first + width; ++y)
          chance += p[static_cast<std::size_t>(y)];
        const double* const own = mine + 4 * state;
        const double* const other = theirs + 4 * state;
        for (int a = 0; a < 4; ++a) {
          const double log_p = own[a] - log_sum(own);
          kl += chance * std::exp(log_p) * (log_p - other[a] + log_sum(other));
        }
      }
    }
    EXPECT_GT(whole, 0.05);
    EXPECT_NEAR(whole, kl, 1e-12 * whole) << length;
  }
}

// What the estimators of the KL are worth in the loss, with equal scores: k1 pulls nowhere, k2
// along KL(pi||ref) of each state, k3 along KL(ref||pi) of each state; the states' chances stand
// still.
TEST(LanguageKl, EstimatorsOfTheKl) {
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
