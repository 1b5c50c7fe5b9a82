#include "../../plugins/backends/onednn/kernels/softmax.h"

#include <algorithm>

#include "kernel_testing.h"

namespace lathe::kernels {
namespace {

using namespace testing;

Doubles plain(const Doubles& x, std::size_t width, bool log) {
  Doubles y(x.size());
  for (std::size_t row = 0; row < x.size() / width; ++row) {
    const double* in = x.data() + row * width;
    const double top = *std::max_element(in, in + width);
    double total = 0;
    for (std::size_t i = 0; i < width; ++i) total += std::exp(in[i] - top);
    for (std::size_t i = 0; i < width; ++i) {
      const double value = in[i] - top - std::log(total);
      y[row * width + i] = log ? value : std::exp(value);
    }
  }
  return y;
}

Buffer forward(DType type, bool log, std::size_t rows, std::size_t width, Buffer& x) {
  Buffer y(type, rows * width);
  softmax_forward({type, log, rows, width, width, width, x.data(), y.data()});
  return y;
}

TEST(Softmax, ForwardAndBackward) {
  for (const DType type : float_types) {
    for (const bool log : {false, true}) {
      for (const std::size_t width : Sizes{1, 7, 16, 65, 200}) {
        SCOPED_TRACE(cat(name_of(type), " log ", log, " width ", width));
        const std::size_t count = 3 * width;
        Buffer x = random_buffer(type, count, 1, 4);
        Buffer y = forward(type, log, 3, width, x);
        const Doubles want = plain(x.values(), width, log);
        for (std::size_t i = 0; i < count; ++i) {
          EXPECT_NEAR(y.get(i), want[i], tolerance(type) * std::fabs(want[i]) + 1e-6);
        }
        Buffer dy = random_buffer(type, count, 2);
        Buffer dx(type, count);
        softmax_backward({type, log, 3, width, y.data(), dy.data(), dx.data()});
        if (width == 1) {
          for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(dx.get(i), 0, 1e-7);
          continue;
        }
        const Doubles slope = slopes(
            x.values(), [&](const Doubles& at) { return dot(dy.values(), plain(at, width, log)); });
        // In bf16 the y that backward reads was rounded, too.
        EXPECT_LT(error(dx.values(), slope), 2.5 * tolerance(type));
        softmax_backward({type, log, 3, width, y.data(), dy.data(), dy.data()});
        EXPECT_EQ(dy.bytes(), dx.bytes());
      }
    }
  }
}

TEST(Softmax, LargeMaskedAndInPlace) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const DType type : float_types) {
    Buffer x(type, {30000, 30000, -infinity, -30000});
    softmax_forward({type, false, 1, 4, 4, 4, x.data(), x.data()});
    EXPECT_EQ(x.values(), (Doubles{0.5, 0.5, 0, 0}));
  }
}

TEST(Softmax, StridesLeaveTheGapsAlone) {
  Buffer x = random_buffer(DType::f32, 4 * 20, 1);
  Buffer y(DType::f32, Doubles(4 * 23, 9));
  softmax_forward({DType::f32, false, 4, 17, 20, 23, x.data(), y.data()});
  for (std::size_t row = 0; row < 4; ++row) {
    double total = 0;
    for (std::size_t i = 0; i < 17; ++i) total += y.get(row * 23 + i);
    EXPECT_NEAR(total, 1, 1e-6);
    for (std::size_t i = 17; i < 23; ++i) EXPECT_EQ(y.get(row * 23 + i), 9);
  }
}

TEST(Softmax, BitsDoNotDependOnThreads) {
  for (const DType type : float_types) {
    Buffer x = random_buffer(type, 200 * 519, 1);
    expect_same_bits([&] { return forward(type, false, 200, 519, x); });
    expect_same_bits([&] { return forward(type, true, 200, 519, x); });
  }
}

}  // namespace
}  // namespace lathe::kernels
