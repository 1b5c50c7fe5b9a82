// The elementary functions against the C library in long double, through the unary kernel.
#include <bit>
#include <limits>

#include "../../plugins/backends/onednn/kernels/elementwise.h"
#include "../../plugins/backends/onednn/kernels/isa.h"
#include "../../plugins/backends/onednn/kernels/unary.h"
#include "kernel_testing.h"

namespace lathe::kernels {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<float> values_of(Unary function, const std::vector<float>& x) {
  std::vector<float> y(x.size());
  unary({.function = function, .count = x.size(), .x = x.data(), .y = y.data()});
  return y;
}

// The largest error in units in the last place over [low, high].
template <class Exact>
double worst_error(Unary function, const Exact& exact, float low, float high) {
  const std::size_t count = 200001;
  std::vector<float> x(count);
  for (std::size_t i = 0; i < count; ++i) {
    x[i] = low + (high - low) * static_cast<float>(i) / static_cast<float>(count - 1);
  }
  const std::vector<float> y = values_of(function, x);
  double worst = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const long double truth = exact(static_cast<long double>(x[i]));
    const float size = static_cast<float>(std::fabs(truth));
    const double unit = static_cast<double>(std::nextafter(size, infinity) - size);
    worst = std::max(worst, static_cast<double>(std::fabs(y[i] - truth)) / unit);
  }
  return worst;
}

TEST(Vector, ElementaryFunctionsAreWithinThreeUnits) {
  const auto exp = [](long double x) { return std::exp(x); };
  const auto log = [](long double x) { return std::log(x); };
  const auto tanh = [](long double x) { return std::tanh(x); };
  const auto erf = [](long double x) { return std::erf(x); };
  const auto sigmoid = [](long double x) { return 1 / (1 + std::exp(-x)); };
  EXPECT_LT(worst_error(Unary::exp, exp, -103, 88.72f), 2);
  EXPECT_LT(worst_error(Unary::exp, exp, -1, 1), 2);
  EXPECT_LT(worst_error(Unary::log, log, 1e-40f, 4), 2);
  EXPECT_LT(worst_error(Unary::log, log, 0.9f, 1.1f), 2);
  EXPECT_LT(worst_error(Unary::log, log, 1, 1e30f), 2);
  EXPECT_LT(worst_error(Unary::tanh, tanh, -10, 10), 2);
  EXPECT_LT(worst_error(Unary::tanh, tanh, -0.7f, 0.7f), 2);
  EXPECT_LT(worst_error(Unary::erf, erf, -5, 5), 2);
  EXPECT_LT(worst_error(Unary::erf, erf, -1.1f, 1.1f), 2);
  EXPECT_LT(worst_error(Unary::sigmoid, sigmoid, -87, 30), 3);
}

TEST(Vector, EdgesAreThoseOfTheCLibrary) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x = {0, infinity, -infinity, nan, 200, -200};
  const std::vector<float> e = values_of(Unary::exp, x);
  EXPECT_EQ(e[0], 1);
  EXPECT_EQ(e[1], infinity);
  EXPECT_EQ(e[2], 0);
  EXPECT_TRUE(std::isnan(e[3]));
  EXPECT_EQ(e[4], infinity);
  EXPECT_EQ(e[5], 0);
  const std::vector<float> l = values_of(Unary::log, x);
  EXPECT_EQ(l[0], -infinity);
  EXPECT_EQ(l[1], infinity);
  EXPECT_TRUE(std::isnan(l[2]));
  EXPECT_TRUE(std::isnan(l[3]));
  EXPECT_TRUE(std::isnan(l[5]));
  for (const Unary bounded : {Unary::tanh, Unary::erf}) {
    const std::vector<float> y = values_of(bounded, x);
    EXPECT_EQ(y[0], 0);
    EXPECT_EQ(y[1], 1);
    EXPECT_EQ(y[2], -1);
    EXPECT_TRUE(std::isnan(y[3]));
  }
  const std::vector<float> s = values_of(Unary::sigmoid, x);
  EXPECT_EQ(s[0], 0.5f);
  EXPECT_EQ(s[1], 1);
  EXPECT_EQ(s[2], 0);
  EXPECT_TRUE(std::isnan(s[3]));
}

// Every sign and exponent, and fractions around the ties.
TEST(Vector, RoundingToBf16IsThatOfTheElementType) {
  std::vector<float> x;
  for (std::uint32_t high = 0; high < 0x10000; ++high) {
    for (const std::uint32_t low : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      x.push_back(std::bit_cast<float>(high << 16 | low));
    }
  }
  x.pop_back();  // a tail
  std::vector<std::uint16_t> y(x.size());
  cast({.from = DType::f32, .to = DType::bf16, .count = x.size(), .x = x.data(), .y = y.data()});
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < x.size(); ++i) wrong += y[i] != bf16(x[i]).bits;
  EXPECT_EQ(wrong, 0u);

  std::vector<float> back(y.size());
  cast({.from = DType::bf16, .to = DType::f32, .count = y.size(), .x = y.data(), .y = back.data()});
  for (std::size_t i = 0; i < y.size(); ++i) {
    wrong += std::bit_cast<std::uint32_t>(back[i]) != static_cast<std::uint32_t>(y[i]) << 16;
  }
  EXPECT_EQ(wrong, 0u);
}

TEST(Isa, TheBestIsSupportedAndNamed) {
  EXPECT_TRUE(supported(best_isa()));
  EXPECT_EQ(name_of(Isa::avx2), "avx2");
  EXPECT_EQ(name_of(Isa::avx512), "avx512");
  EXPECT_EQ(name_of(Isa::avx512_bf16), "avx512_bf16");
}

}  // namespace
}  // namespace lathe::kernels
