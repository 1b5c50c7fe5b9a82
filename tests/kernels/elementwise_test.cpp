#include "../../plugins/backends/onednn/kernels/elementwise.h"

#include <limits>

#include "kernel_testing.h"

namespace lathe::kernels {
namespace {

using namespace testing;

constexpr std::size_t counts[] = {0, 1, 15, 16, 17, 1000, 40001};

TEST(Elementwise, AddRoundsOnce) {
  for (const DType type : float_types) {
    for (const std::size_t count : counts) {
      Buffer a = random_buffer(type, count, 1);
      Buffer b = random_buffer(type, count, 2);
      Buffer sum(type, count);
      add({type, count, a.data(), b.data(), sum.data()});
      Buffer want(type, count);
      for (std::size_t i = 0; i < count; ++i) want.set(i, a.get(i) + b.get(i));
      EXPECT_EQ(sum.bytes(), want.bytes());
    }
  }
}

TEST(Elementwise, CastAndFillKeepToTheirTensor) {
  for (const std::size_t count : counts) {
    Buffer x = random_buffer(DType::f32, count, 1);
    Buffer half(DType::bf16, count);
    Buffer want(DType::bf16, x.values());
    cast({DType::f32, DType::bf16, count, x.data(), half.data()});
    EXPECT_EQ(half.bytes(), want.bytes());
    Buffer copy(DType::f32, count);
    cast({DType::bf16, DType::f32, count, half.data(), copy.data()});
    EXPECT_EQ(copy.values(), half.values());
    fill({DType::bf16, count, -1.5f, half.data()});
    EXPECT_EQ(half.values(), Doubles(count, -1.5));
    fill({DType::f32, count, 0.1f, copy.data()});
    EXPECT_EQ(copy.values(), Doubles(count, static_cast<double>(0.1f)));
  }
}

Buffer column_sums(DType type, std::size_t rows, std::size_t width, std::size_t stride, Buffer& x) {
  Buffer out(DType::f32, Doubles(width, 7));
  column_sum({type, rows, width, stride, x.data(), out.floats()});
  return out;
}

TEST(Elementwise, ColumnSumsAddAcrossBlocksOfRows) {
  for (const DType type : float_types) {
    for (const std::size_t rows : Sizes{0, 1, 2, 3, 64, 65, 130}) {
      for (const std::size_t width : Sizes{1, 16, 519}) {
        const std::size_t stride = width + 3;
        Buffer x = random_buffer(type, rows * stride, 1);
        Doubles want(width, 7);
        for (std::size_t i = 0; i < rows * width; ++i) {
          want[i % width] += x.get(i / width * stride + i % width);
        }
        EXPECT_LT(error(column_sums(type, rows, width, stride, x).values(), want), 1e-5);
      }
    }
    Buffer x = random_buffer(type, 300 * 519, 1);
    expect_same_bits([&] { return column_sums(type, 300, 519, 519, x); });
  }
}

TEST(Elementwise, SumOfSquaresIsInDouble) {
  for (const std::size_t count : Sizes{0, 1, 15, 16384, 16385, 100003}) {
    Buffer x = random_buffer(DType::f32, count, 1);
    const SquareSum got = sum_of_squares(x.floats(), count);
    EXPECT_TRUE(got.finite);
    EXPECT_NEAR(got.sum, dot(x.values(), x.values()), 1e-12 * got.sum);
  }
  Buffer x(DType::f32, Doubles(40000, 3e38));  // each square overflows a float
  EXPECT_TRUE(sum_of_squares(x.floats(), 40000).finite);
  expect_same_bits(
      [&] { return Buffer(DType::f32, Doubles{sum_of_squares(x.floats(), 40000).sum * 1e-76}); });
}

TEST(Elementwise, SumOfSquaresSeesEveryBadElement) {
  for (const std::size_t at : {std::size_t{0}, std::size_t{20000}, std::size_t{39998}}) {
    for (const double bad : {std::numeric_limits<double>::infinity(), std::nan("")}) {
      Buffer x(DType::f32, Doubles(39999, 1));
      x.set(at, bad);
      EXPECT_FALSE(sum_of_squares(x.floats(), 39999).finite);
    }
  }
}

TEST(Elementwise, OtherElementTypesAreNamed) {
  try {
    fill({DType::i32, 0, 0, nullptr});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "fill: element type i32; the onednn backend takes f32 and bf16");
  }
}

}  // namespace
}  // namespace lathe::kernels
