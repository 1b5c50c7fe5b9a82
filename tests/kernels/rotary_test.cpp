#include "../../plugins/backends/onednn/kernels/rotary.h"

#include "kernel_testing.h"

namespace lathe::kernels {
namespace {

using namespace testing;

using Ids = std::vector<std::int32_t>;

const Ids positions = {0, 1, 7, 300, 2};
constexpr std::size_t heads = 3;

Doubles plain(const Doubles& x, std::size_t width, std::size_t rotated, double base) {
  Doubles y = x;
  const std::size_t half = rotated / 2;
  for (std::size_t row = 0; row < positions.size() * heads; ++row) {
    for (std::size_t i = 0; i < half; ++i) {
      const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(rotated);
      const double angle = positions[row / heads] * std::pow(base, exponent);
      const double first = x[row * width + i];
      const double second = x[row * width + half + i];
      y[row * width + i] = first * std::cos(angle) - second * std::sin(angle);
      y[row * width + half + i] = second * std::cos(angle) + first * std::sin(angle);
    }
  }
  return y;
}

Rotary arguments_for(DType type, std::size_t width, void* x, void* y) {
  Rotary a{.dtype = type, .rows = positions.size(), .heads = heads, .width = width};
  a.position = positions.data();
  a.x = x;
  a.x_row_stride = heads * width;
  a.x_head_stride = width;
  a.y = y;
  a.y_row_stride = heads * width;
  a.y_head_stride = width;
  return a;
}

TEST(Rotary, RotatesTheHalvesOfEachHead) {
  for (const DType type : float_types) {
    for (const std::size_t width : Sizes{2, 6, 32, 64, 100}) {
      for (const bool part : {false, true}) {
        const std::size_t rotated = part ? width / 4 * 2 : width;
        if (rotated == 0) continue;
        const std::size_t count = positions.size() * heads * width;
        Buffer x = random_buffer(type, count, 1);
        Buffer y(type, count);
        Rotary a = arguments_for(type, width, x.data(), y.data());
        a.rotated = part ? rotated : 0;
        a.base = 500;
        rotary(a);
        EXPECT_LT(error(y.values(), plain(x.values(), width, rotated, 500)), tolerance(type));
        const Buffer kept = x;
        a.y = x.data();
        rotary(a);
        EXPECT_EQ(x.bytes(), y.bytes());  // in place, the same
        a.inverse = true;
        rotary(a);
        EXPECT_LT(error(x.values(), kept.values()), 2 * tolerance(type));
      }
    }
  }
}

// The rotation is linear and orthogonal, so its gradient is the slope of <dy, y>.
TEST(Rotary, TheInverseIsTheGradient) {
  const std::size_t width = 6;
  const std::size_t count = positions.size() * heads * width;
  Buffer x = random_buffer(DType::f32, count, 1);
  Buffer dy = random_buffer(DType::f32, count, 2);
  Buffer dx(DType::f32, count);
  Rotary a = arguments_for(DType::f32, width, dy.data(), dx.data());
  a.inverse = true;
  rotary(a);
  const Doubles want = slopes(x.values(), [&](const Doubles& at) {
    return dot(dy.values(), plain(at, width, width, 10000));
  });
  EXPECT_LT(error(dx.values(), want), 1e-6);
}

// Queries inside a joint [N, 3, H, D] projection.
TEST(Rotary, StridesLeaveTheRestAlone) {
  const std::size_t width = 8;
  const std::size_t row = 3 * heads * width;
  Buffer x = random_buffer(DType::f32, positions.size() * row, 1);
  const Doubles before = x.values();
  Rotary a = arguments_for(DType::f32, width, x.data(), x.data());
  a.x_row_stride = a.y_row_stride = row;
  rotary(a);
  Doubles queries;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (i % row < heads * width) {
      queries.push_back(before[i]);
    } else {
      EXPECT_EQ(x.get(i), before[i]);
    }
  }
  const Doubles want = plain(queries, width, width, 10000);
  for (std::size_t i = 0; i < want.size(); ++i) {
    const std::size_t at = i / (heads * width) * row + i % (heads * width);
    EXPECT_NEAR(x.get(at), want[i], 1e-5);
  }
}

TEST(Rotary, BitsDoNotDependOnThreads) {
  const std::size_t rows = 300;
  Ids many(rows);
  for (std::size_t row = 0; row < rows; ++row) many[row] = static_cast<std::int32_t>(row * 3);
  Buffer x = random_buffer(DType::f32, rows * 4 * 64, 1);
  expect_same_bits([&] {
    Buffer y(DType::f32, rows * 4 * 64);
    Rotary a{.rows = rows, .heads = 4, .width = 64, .position = many.data()};
    a.x = x.data();
    a.y = y.data();
    a.x_row_stride = a.y_row_stride = 256;
    a.x_head_stride = a.y_head_stride = 64;
    rotary(a);
    return y;
  });
}

TEST(Rotary, ImpossibleShapesAreRefused) {
  Buffer x(DType::f32, Doubles(positions.size() * heads * 6, 1));
  Rotary a = arguments_for(DType::f32, 6, x.data(), x.data());
  a.rotated = 3;
  EXPECT_THROW(rotary(a), Error);
  a.rotated = 8;
  EXPECT_THROW(rotary(a), Error);
  a.rotated = 6;
  a.base = 0;
  EXPECT_THROW(rotary(a), Error);
  const Ids negative = {0, -1, 0, 0, 0};
  a.base = 10000;
  a.position = negative.data();
  EXPECT_THROW(rotary(a), Error);
}

}  // namespace
}  // namespace lathe::kernels
