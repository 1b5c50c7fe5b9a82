// Soft action values of languages that can be counted out: their fixed point is p_0 exp(r / beta) /
// Z for any behaviour and any lambda, and on the policy's own texts their step is the policy
// gradient.
#include <gtest/gtest.h>
#include <lathe/learn/environment.h>

#include <algorithm>

#include "objectives/language_space.h"
#include "objectives/one_digit_sums.h"
#include "objectives/same_bits.h"

namespace lathe {
namespace {
using testing::distance;
using testing::LanguageSpace;
using testing::number;
using testing::Numbers;
using testing::one_digit_sums;
using testing::options_of;
using testing::some_scores;
using testing::Tiny;
using testing::word;

constexpr double beta = 0.5;

Config soft(double lambda, const char* prior = "initial") {
  return options_of({{"backup", word("soft")},
                     {"beta", number(beta)},
                     {"lambda", number(lambda)},
                     {"prior", word(prior)},
                     {"discount", number(1)}});
}

double* weights_of(ModelCopy& copy, const char* name) {
  return copy.parameters.find(name)->master.view().as<double>();
}

// By recursion from the ends: V* of a text is its score, V* of a prefix beta log sum_a p_0(a)
// exp(V*(prefix a) / beta), and p* = p_0 exp((V*(prefix a) - V*(prefix)) / beta).
void solve(LanguageSpace& space, const Numbers& scores) {
  constexpr std::int64_t A = LanguageSpace::vocabulary;
  const double* prior = weights_of(space.reference, "preferences");
  double* preferences = weights_of(space.policy, "preferences");
  double* values = weights_of(space.policy, "values");
  Numbers below = scores;
  std::int64_t first = 0, states = 1;
  for (std::int64_t l = 1; l < space.length(); ++l) {
    first += states;
    states *= A;
  }
  for (std::int64_t l = space.length() - 1; l >= 0; --l) {
    Numbers here;
    for (std::int64_t prefix = 0; prefix < states; ++prefix) {
      double all = 0, total = 0;
      for (std::int64_t a = 0; a < A; ++a) {
        const double own = std::exp(prior[(first + prefix) * A + a]);
        const double gain = below[static_cast<std::size_t>(prefix * A + a)] / beta;
        all += own;
        total += own * std::exp(gain);
        preferences[(first + prefix) * A + a] = prior[(first + prefix) * A + a] + gain;
      }
      here.push_back(beta * std::log(total / all));
      values[first + prefix] = here.back();
    }
    below = here;
    states /= A;
    first -= states;
  }
}

TEST(SoftValues, RestAtThePriorTimesTheScoresExponential) {
  for (const double lambda : {0.0, 0.5, 1.0}) {
    LanguageSpace space(3, true);
    const Numbers scores = some_scores(space.sequences());
    solve(space, scores);
    const Numbers prior = space.probabilities(space.reference);
    Numbers best;
    double z = 0;
    for (std::size_t y = 0; y < scores.size(); ++y) {
      best.push_back(prior[y] * std::exp(scores[y] / beta));
      z += best.back();
    }
    EXPECT_LT(distance(space.probabilities(space.policy), best, 1 / z), 1e-12);
    EXPECT_NEAR(weights_of(space.policy, "values")[0], beta * std::log(z), 1e-12);

    const auto objective = space.objective("q_learning", soft(lambda));
    Batch batch = space.rows(space.everything(), scores);  // every text: any behaviour
    EXPECT_LT(testing::norm(space.loss_gradient(*objective, batch)), 1e-13) << lambda;
    const Loss loss = objective->loss(batch, space.pass(space.policy));
    EXPECT_LT(loss.sum.item(), 1e-24) << lambda;

    // The root is worth beta log Z, and the gradient leads back there.
    weights_of(space.policy, "values")[0] += 0.25;
    Batch again = space.rows(space.everything(), scores);
    const Numbers gradient = space.loss_gradient(*objective, again);
    const auto root = gradient.size() - gradient.size() / 5;  // values come after preferences
    EXPECT_NEAR(gradient[root], 0.25 / 3, 1e-12) << lambda;
  }
}

// E[(G - Q) beta grad log p] = beta grad J under the policy's own texts (Schulman, Chen and Abbeel,
// 2017), since V is a baseline; the values of a table stand apart.
TEST(SoftValues, OnPolicyTheStepIsThePolicyGradient) {
  LanguageSpace space(3, true);
  const Numbers scores = some_scores(space.sequences());
  const auto objective = space.objective("q_learning", soft(1));
  const Numbers p = space.probabilities(space.policy);
  Numbers mean;
  for (std::int64_t y = 0; y < space.sequences(); ++y) {
    Batch batch = space.rows({y}, scores);
    testing::add(mean, -3 * p[static_cast<std::size_t>(y)], space.loss_gradient(*objective, batch));
  }
  Numbers exact = space.exact_gradient(scores, beta);
  mean.resize(mean.size() - mean.size() / 5);
  exact.resize(mean.size());
  EXPECT_LT(distance(mean, exact, beta), 1e-9);
}

// Asked for its spaces alone.
class FourTokens final : public Environment {
 public:
  void open(const EnvironmentContext&) override {}
  Space observations() const override { return Space::tokens(4); }
  Space actions() const override { return Space::tokens(4); }
  void reset(std::int64_t, std::uint64_t, Observations&) override {}
  void step(const Actions&, Observations&, Outcomes&) override {}
  void save(State&) const override {}
  void load(const State&) override {}
};

// One step of lambda 0 by hand: G = r + V(s'), Q = V + beta log(p / p_0).
TEST(SoftValues, OneStepByHand) {
  for (const char* prior : {"initial", "uniform"}) {
    LanguageSpace space(3, false);
    const FourTokens environment;
    space.environment = &environment;
    const Numbers scores = some_scores(space.sequences());
    const bool alike = word(prior) == word("uniform");
    Batch batch = space.rows({5, 27, 60}, scores);
    const auto pass = space.pass(space.policy);
    const PolicyPass mine = policy_pass(batch, pass, 1, true);
    const PolicyPass theirs = policy_pass(batch, space.pass(space.reference), 1, false);
    const Numbers log_p = mine.log_probability.values(), v = mine.values.values();
    const Numbers log_q = theirs.log_probability.values();
    double expected = 0, worth = 0;
    for (std::size_t n = 0; n < v.size(); ++n) {
      if (batch.weights[n] == 0) continue;
      const double prior_log = alike ? -std::log(4.0) : log_q[n];
      const double q = v[n] + beta * (log_p[n] - prior_log);
      const bool last = batch.experience.terminated[n] != 0;
      const double g = last ? static_cast<double>(batch.experience.rewards[n]) : v[n + 1];
      expected += 0.5 * (g - q) * (g - q);
      worth += q;
    }
    const auto objective = space.objective("q_learning", soft(0, prior));
    objective->prepare(batch, pass);
    const Loss loss = objective->loss(batch, pass);
    EXPECT_NEAR(loss.sum.item(), expected, 1e-12) << prior;
    EXPECT_EQ(loss.weight, 9);
    EXPECT_EQ(loss.metrics.at(1).name, "action_value");
    EXPECT_NEAR(loss.metrics.at(1).sum, worth, 1e-12) << prior;

    // The gradient leaves G alone: central differences of the loss of the prepared batch.
    const Numbers gradient = space.gradient([&] { return objective->loss(batch, pass).sum; });
    std::size_t n = 0;
    for (Parameter& parameter : space.policy.parameters.all()) {
      auto* values = parameter.master.view().as<double>();
      for (std::int64_t i = 0; i < parameter.shape.count(); ++i, ++n) {
        if (n % 7 != 0) continue;
        const double before = values[i];
        const auto at = [&](double step) {
          values[i] = before + step;
          return objective->loss(batch, pass).sum.item();
        };
        const double slope = (at(1e-5) - at(-1e-5)) / 2e-5;
        values[i] = before;
        EXPECT_NEAR(gradient[n], slope, 1e-7) << parameter.name << " " << i;
      }
    }
  }
}

const std::string written = one_digit_sums(R"(
at_limit = "truncate"
[[reward]]
use = "exact_match"
[feed]
use = "replay"
environments = 4
start = 10
capacity = 9
priority = 0.5
[model]
use = "gpt"
layers = 1
heads = 2
width = 8
deviation = 0.5
[objective]
use = "q_learning"
backup = "soft"
lambda = 0.5
explore = "boltzmann"
target_every = 3
[train]
length = 12
batch = 4
precision = "f64"
[backend]
use = "reference"
)");

TEST(SoftValues, GoOnToTheBit) { testing::expect_same_bits(written, {}, 8); }

TEST(SoftValues, OptionsThatDecideNothingAreRefused) {
  Tiny tiny(written);
  const auto refusal = [&](const std::vector<std::string>& changes) {
    return testing::error_of([&] { tiny.session(changes); });
  };
  EXPECT_NE(refusal({"objective.double=true"}).find("set double = false"), std::string::npos);
  EXPECT_NE(refusal({"objective.backup=max"}).find("lambda = 0.5 needs backup = \"soft\""),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
