// Against the C library's exp in long double, and sums against sums in long double.
#include <gtest/gtest.h>
#include <lathe/base/random.h>
#include <lathe/base/threads.h>
#include <lathe/tensor/exponentials.h>

#include <cmath>
#include <limits>
#include <vector>

namespace lathe {
namespace {
constexpr double infinity = std::numeric_limits<double>::infinity();

std::vector<float> normals(std::size_t count, float spread) {
  const RandomStream random(3, "row");
  std::vector<float> row(count);
  for (std::size_t i = 0; i < count; ++i) row[i] = spread * static_cast<float>(random.normal(i));
  return row;
}

TEST(Exponentials, AreWithinTwoUnitsInTheLastPlace) {
  std::vector<double> x;
  for (int i = 0; i <= 200000; ++i) x.push_back(-708.0 * i / 200000);
  for (int i = 1; i <= 60; ++i) x.push_back(-std::ldexp(1.0, -i));
  std::vector<double> y(x.size());
  exponentials(std::span<const double>(x), 0, 1, y);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const long double exact = std::exp(static_cast<long double>(x[i]));
    const double near = static_cast<double>(exact);
    const double unit = std::nextafter(near, infinity) - near;
    ASSERT_LE(std::abs(static_cast<long double>(y[i]) - exact), 2 * unit) << x[i];
  }
  EXPECT_EQ(y[0], 1);
}

TEST(Exponentials, VanishBelowTheSmallestNormalNumbers) {
  const std::vector<double> x{0, -708.5, -1e300, -infinity};
  std::vector<double> y(4, 7);
  EXPECT_EQ(exponentials(std::span<const double>(x), 0, 1, y), 1);
  EXPECT_EQ(y, (std::vector<double>{1, 0, 0, 0}));
}

TEST(Exponentials, OfEveryLengthSumToTheSumOfThem) {
  for (const std::size_t count : {1U, 7U, 8U, 9U, 24U, 31U, 8191U, 8192U, 8193U, 50257U}) {
    const std::vector<float> row = normals(count, 3);
    const float most = row[largest_index(row)];
    std::vector<double> out(count, -1);
    const double sum = exponentials(std::span<const float>(row), most, 1 / 0.7, out);
    long double exact = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const double x = (static_cast<double>(row[i]) - static_cast<double>(most)) * (1 / 0.7);
      ASSERT_NEAR(out[i], std::exp(x), 4e-16 * std::exp(x)) << count << " " << i;
      exact += static_cast<long double>(out[i]);
    }
    EXPECT_NEAR(sum, static_cast<double>(exact), 1e-14 * sum) << count;
    EXPECT_EQ(exponentials(std::span<const float>(row), most, 1 / 0.7, {}), sum);
  }
}

TEST(Exponentials, HaveTheSameBitsAtAnyNumberOfThreads) {
  const std::vector<float> row = normals(50257, 4);
  std::vector<double> sums;
  for (const int count : {1, 2, 4, 8}) {
    set_threads(count);
    sums.push_back(exponentials(std::span<const float>(row), 20, 1, {}));
  }
  set_threads(0);
  for (const double sum : sums) EXPECT_EQ(sum, sums[0]);
}

TEST(LargestIndex, IsTheFirstOfEqualOnesWhereverItLies) {
  for (const std::size_t count : {1U, 15U, 16U, 17U, 1024U, 1025U, 5000U}) {
    for (std::size_t at = 0; at < count; at += 1 + count / 37) {
      std::vector<float> row = normals(count, 1);
      row[at] = 9;
      row.push_back(9);
      EXPECT_EQ(largest_index(row), at) << count;
    }
  }
}

TEST(LargestIndex, PassesOverNanAndTakesTheFirstWhereNothingIsLarger) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float low = -std::numeric_limits<float>::infinity();
  std::vector<float> row(40, nan);
  EXPECT_EQ(largest_index(row), 0);
  row[21] = -5;
  row[33] = -4;
  EXPECT_EQ(largest_index(row), 33);
  EXPECT_EQ(largest_index(std::vector<float>(20, low)), 0);
}
}  // namespace
}  // namespace lathe
