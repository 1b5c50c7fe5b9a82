// Losses of pairs of responses against numbers worked out from their formulas, and the gradients
// against differences.
#include <gtest/gtest.h>

#include <array>

#include "objectives/language_space.h"

namespace lathe {
namespace {
using testing::LanguageSpace;
using testing::number;
using testing::Numbers;
using testing::options_of;
using testing::word;

double log_sigmoid(double x) { return -std::log1p(std::exp(-x)); }

struct Pair {
  double chosen = 0;  // log p - log p_ref of the whole response
  double rejected = 0;
};
std::array<Pair, 2> ratios(const LanguageSpace& space, const std::vector<std::int64_t>& rows) {
  const Numbers p = space.probabilities(space.policy);
  const Numbers q = space.probabilities(space.reference);
  std::array<Pair, 2> pairs;
  for (std::size_t i = 0; i < 2; ++i) {
    const auto ratio = [&](std::int64_t y) {
      return std::log(p[static_cast<std::size_t>(y)] / q[static_cast<std::size_t>(y)]);
    };
    pairs[i] = {ratio(rows[2 * i]), ratio(rows[2 * i + 1])};
  }
  return pairs;
}

TEST(Preferences, LossesOfDpo) {
  LanguageSpace space(3, false);
  const std::vector<std::int64_t> rows = {7, 40, 61, 2};
  const std::array<Pair, 2> pairs = ratios(space, rows);
  const auto found = [&](std::vector<std::pair<std::string, Config>> options) {
    options.emplace_back("beta", number(0.7));
    const auto dpo = space.objective("dpo", options_of(options));
    Batch batch = space.rows(rows, Numbers(64, 0));
    batch.experience = {};
    dpo->prepare(batch, space.pass(space.policy));
    const Loss loss = dpo->loss(batch, space.pass(space.policy));
    EXPECT_EQ(loss.weight, 2);
    const double share = options_of(options).has("average") ? 0.7 / 3 : 0.7;
    EXPECT_NEAR(loss.metrics[0].sum, share * (pairs[0].chosen + pairs[1].chosen), 1e-7);
    EXPECT_NEAR(loss.metrics[1].sum, share * (pairs[0].rejected + pairs[1].rejected), 1e-7);
    return loss.sum.item();
  };
  double sigmoid = 0, flipped = 0, ipo = 0, averaged = 0;
  for (const Pair& pair : pairs) {
    const double h = pair.chosen - pair.rejected;
    sigmoid -= log_sigmoid(0.7 * h);
    flipped -= 0.9 * log_sigmoid(0.7 * h) + 0.1 * log_sigmoid(-0.7 * h);
    ipo += std::pow(h - 1 / (2 * 0.7), 2);
    averaged += std::pow(h / 3 - 1 / (2 * 0.7), 2);
  }
  EXPECT_NEAR(found({}), sigmoid, 1e-12);
  EXPECT_NEAR(found({{"flip", number(0.1)}}), flipped, 1e-12);
  EXPECT_NEAR(found({{"form", word("ipo")}}), ipo, 1e-12);
  EXPECT_NEAR(found({{"form", word("ipo")}, {"average", Config::boolean(true)}}), averaged,
              1e-6);  // shares of 1/3 in f32
}

// Far from 0 the plain formula would overflow.
TEST(Preferences, DpoFarAway) {
  LanguageSpace space(3, true);
  const std::vector<std::int64_t> rows = {0, 63};
  auto* preferences = space.policy.parameters.find("preferences")->master.view().as<double>();
  preferences[0] = -3000;  // nothing begins with token 0
  const auto dpo = space.objective("dpo", options_of({{"beta", number(1)}}));
  Batch batch = space.rows(rows, Numbers(64, 0));
  batch.experience = {};
  const Numbers gradient = space.loss_gradient(*dpo, batch);
  const double loss = dpo->loss(batch, space.pass(space.policy)).sum.item();
  EXPECT_NEAR(loss, 3000, 20);
  EXPECT_NEAR(gradient[0], -1, 1e-12);  // d loss / d log p(chosen) = -sigmoid(3000)
}

// Every run begins with h = 0, where the slope of -log sigmoid(beta h) is -beta / 2.
TEST(Preferences, DpoLeavesItsReference) {
  LanguageSpace space(3, true);
  space.policy.take(space.reference.parameters);
  const auto dpo = space.objective("dpo", options_of({{"beta", number(0.7)}}));
  Batch batch = space.rows({3, 50}, Numbers(64, 0));
  batch.experience = {};
  const Numbers found = space.loss_gradient(*dpo, batch);
  const Numbers expected = space.gradient([&] {
    Numbers slopes(64, 0.0);
    slopes[3] = -0.35;
    slopes[50] = 0.35;
    return sum(multiply(space.log_probabilities(space.policy),
                        places_tensor(space.pass(space.policy), slopes)));
  });
  EXPECT_LT(testing::distance(found, expected), 1e-12);
}

// -log sigmoid(s_c - s_r) + c (s_c + s_r)^2 with the value at each row's last token as its score.
TEST(Preferences, LossOfTheRewardModel) {
  LanguageSpace space(3, false);
  const std::vector<std::int64_t> rows = {7, 40, 61, 2};
  Batch batch = space.rows(rows, Numbers(64, 0));
  batch.experience = {};
  batch.segments.assign(16, 0);
  batch.segments[7] = -1;  // the second row ends one token earlier
  const auto objective = space.objective("reward_model", options_of({{"centring", number(0.1)}}));
  const Loss loss = objective->loss(batch, space.pass(space.policy));
  const DeviceBatch device(batch, space.policy.parameters);
  const Model& model = *space.policy.model;
  const Numbers values = model.values(device.input, model.hidden(device.input)).values();
  const Numbers s = {values[3], values[6], values[11], values[15]};
  double expected = 0;
  for (const std::size_t i : {0U, 2U}) {
    expected += -log_sigmoid(s[i] - s[i + 1]) + 0.1 * std::pow(s[i] + s[i + 1], 2);
  }
  EXPECT_NEAR(loss.sum.item(), expected, 1e-12);
  EXPECT_EQ(loss.weight, 2);
  EXPECT_EQ(loss.metrics[0].sum, (s[0] > s[1] ? 1 : 0) + (s[2] > s[3] ? 1 : 0));
}

TEST(Preferences, GradientsAreThoseOfDifferences) {
  for (const char* name : {"reward_model", "dpo"}) {
    LanguageSpace space(3, false);
    Batch batch = space.rows({7, 40, 61, 2}, Numbers(64, 0));
    batch.experience = {};
    const auto objective = space.objective(name, Config::table({}));
    const Numbers gradient = space.loss_gradient(*objective, batch);
    std::size_t n = 0;
    for (Parameter& parameter : space.policy.parameters.all()) {
      auto* values = parameter.master.view().as<double>();
      for (std::int64_t i = 0; i < parameter.shape.count(); ++i, ++n) {
        const double before = values[i];
        const auto loss_at = [&](double x) {
          values[i] = x;
          const double loss = objective->loss(batch, space.pass(space.policy)).sum.item();
          values[i] = before;
          return loss / 2;
        };
        const double slope = (loss_at(before + 1e-5) - loss_at(before - 1e-5)) / 2e-5;
        EXPECT_NEAR(gradient[n], slope, 1e-8) << name << " " << parameter.name << " " << i;
      }
    }
  }
}

}  // namespace
}  // namespace lathe
