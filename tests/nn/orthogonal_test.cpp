// Random orthogonal matrices: orthonormal to rounding, drawn evenly, and what gains make of them.
#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/nn/orthogonal.h>
#include <lathe/nn/parameter.h>
#include <lathe/plugin/registry.h>

#include <cmath>

namespace lathe {
namespace {
// Largest |sum_k m[i, k] m[j, k] - (i == j) square| over rows i, j (or columns).
double defect(const std::vector<double>& m, std::int64_t rows, std::int64_t columns,
              double square = 1) {
  const bool by_row = rows <= columns;
  const std::int64_t count = by_row ? rows : columns;
  const std::int64_t length = by_row ? columns : rows;
  const auto at = [&](std::int64_t vector, std::int64_t k) {
    return m[static_cast<std::size_t>(by_row ? vector * columns + k : k * columns + vector)];
  };
  double worst = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t j = 0; j < count; ++j) {
      double dot = 0;
      for (std::int64_t k = 0; k < length; ++k) dot += at(i, k) * at(j, k);
      worst = std::max(worst, std::abs(dot - (i == j ? square : 0)));
    }
  }
  return worst;
}

TEST(Orthogonal, RowsOrColumnsAreOrthonormal) {
  const RandomStream random(3, "test");
  EXPECT_LT(defect(random_orthogonal(4, 64, random), 4, 64), 1e-14);
  EXPECT_LT(defect(random_orthogonal(64, 4, random), 64, 4), 1e-14);
  EXPECT_LT(defect(random_orthogonal(64, 64, random), 64, 64), 1e-13);
  EXPECT_NEAR(std::abs(random_orthogonal(1, 1, random)[0]), 1, 1e-15);
}

// Under the Haar measure each element has mean 0 and variance 1 / n; without the positive diagonal
// the first column would lean to one side.
TEST(Orthogonal, ElementsHaveMeanZeroAndVarianceOneOverN) {
  constexpr int draws = 2000;
  std::vector<double> sum(9), squares(9);
  for (int draw = 0; draw < draws; ++draw) {
    const RandomStream random(5, "test", static_cast<std::uint64_t>(draw));
    const std::vector<double> m = random_orthogonal(3, 3, random);
    for (std::size_t i = 0; i < 9; ++i) {
      sum[i] += m[i] / draws;
      squares[i] += m[i] * m[i] / draws;
    }
  }
  for (std::size_t i = 0; i < 9; ++i) {
    EXPECT_NEAR(sum[i], 0, 5 * std::sqrt(1.0 / 3 / draws)) << "element " << i;
    EXPECT_NEAR(squares[i], 1.0 / 3, 0.034) << "element " << i;
  }
}

TEST(Orthogonal, AsAnInitialValue) {
  PluginPlaces places;
  places.user_folders = false;
  places.folders = {LATHE_PLUGINS};
  Registry registry(places);
  const std::shared_ptr<Backend> backend =
      registry.create<Backend>("reference", parse_toml("", "test"));
  const auto make = [&](std::uint64_t seed) {
    Parameters parameters;
    parameters.matrix("w", {8, 5}, Initial::orthogonal(std::sqrt(2.0)));
    parameters.vector("c", 3, Initial::constant(-0.25));
    parameters.allocate(backend, Precision::f64, seed);
    EXPECT_EQ(parameters.find("c")->master.values(), (std::vector<double>{-0.25, -0.25, -0.25}));
    return parameters.find("w")->master.values();
  };
  EXPECT_LT(defect(make(1), 8, 5, 2), 1e-6) << "values are those of f32";
  EXPECT_EQ(make(1), make(1));
  EXPECT_NE(make(1), make(2));
}

}  // namespace
}  // namespace lathe
