#include <gtest/gtest.h>
#include <lathe/base/json.h>
#include <lathe/study/statistics.h>

#include <cmath>

#include "base/temporary_folder.h"

namespace lathe {
namespace {

using testing::error_of;

// What SciPy and statsmodels say: tests/oracles/record_statistics.py.
const Json& recorded() {
  static const Json json = read_json(LATHE_FIXTURES "/study/statistics.json");
  return json;
}

void expect_close(double value, double expected, double relative = 1e-11) {
  EXPECT_NEAR(value, expected, relative * std::max(1e-3, std::abs(expected)));
}

TEST(Statistics, QuantilesAreThoseOfSciPy) {
  for (const Json& one : recorded().at("normal")) expect_close(normal_quantile(one[0]), one[1]);
  for (const Json& one : recorded().at("student")) {
    expect_close(student_quantile(one[0], one[1]), one[2], 1e-10);
  }
  for (const Json& one : recorded().at("student_distribution")) {
    const double expected = one[2];
    EXPECT_NEAR(student_distribution(one[0], one[1]), expected, 1e-10 * expected);
  }
  EXPECT_EQ(error_of([] { student_quantile(1, 3); }),
            "a quantile is asked at the probability 1: it lies in (0, 1)");
  EXPECT_EQ(error_of([] { student_quantile(0.9, 0); }),
            "Student's distribution has 0 degrees of freedom: above 0");
}

TEST(Statistics, WilsonsIntervalIsThatOfSciPy) {
  for (const Json& one : recorded().at("wilson")) {
    const Interval interval = wilson_interval(one[0], one[1], one[2]);
    expect_close(interval.low, one[3]);
    expect_close(interval.high, one[4]);
  }
  EXPECT_EQ(error_of([] { wilson_interval(0, 0); }), "a share of 0 in 0 has no interval");
}

TEST(Statistics, TheSignTestIsExact) {
  for (const Json& one : recorded().at("sign")) {
    const double expected = one[2];
    EXPECT_NEAR(sign_test(one[0], one[1]), expected, 1e-11 * expected) << one.dump();
  }
  EXPECT_NEAR(sign_test(8, 8), 2.0 / 256, 1e-15);
  EXPECT_EQ(sign_test(0, 0), 1);
  EXPECT_EQ(error_of([] { sign_test(3, 2); }), "there are no 3 wins in 2");
}

TEST(Statistics, MeansHaveStudentsInterval) {
  for (const Json& one : recorded().at("means")) {
    const std::vector<double> values = one[0];
    const MeanEstimate estimate = mean_estimate(values);
    EXPECT_EQ(estimate.n, static_cast<std::int64_t>(values.size()));
    expect_close(estimate.mean, one[1]);
    expect_close(estimate.deviation, one[2]);
    expect_close(estimate.interval->low, one[3], 1e-10);
    expect_close(estimate.interval->high, one[4], 1e-10);
  }
  const MeanEstimate single = mean_estimate(std::vector<double>{0.5});
  EXPECT_EQ(single.mean, 0.5);
  EXPECT_FALSE(single.interval.has_value());
  EXPECT_EQ(error_of([] { mean_estimate({}); }), "there is no mean of no values");
}

TEST(Statistics, HolmCorrectsAFamily) {
  for (const Json& one : recorded().at("holm")) {
    const std::vector<double> p = one[0];
    const std::vector<double> adjusted = holm(p);
    ASSERT_EQ(adjusted.size(), p.size());
    for (std::size_t i = 0; i < p.size(); ++i) expect_close(adjusted[i], one[1][i]);
  }
  EXPECT_TRUE(holm({}).empty());
}

}  // namespace
}  // namespace lathe
