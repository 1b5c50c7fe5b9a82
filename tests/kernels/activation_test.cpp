#include "../../plugins/backends/onednn/kernels/activation.h"

#include "kernel_testing.h"

namespace lathe::kernels {
namespace {

using namespace testing;

constexpr Activation kinds[] = {Activation::none, Activation::gelu_tanh, Activation::gelu_erf,
                                Activation::relu, Activation::silu};

double plain(Activation kind, double x) {
  switch (kind) {
    case Activation::none:
      return x;
    case Activation::gelu_tanh:
      return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::gelu_erf:
      return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::relu:
      return x > 0 ? x : 0;
    case Activation::silu:
      return x / (1 + std::exp(-x));
  }
  return 0;
}

Doubles plain(Activation kind, Doubles x) {
  for (double& value : x) value = plain(kind, value);
  return x;
}

Doubles plain_swiglu(const Doubles& pre, std::size_t width) {
  Doubles y;
  for (std::size_t row = 0; row < pre.size() / (2 * width); ++row) {
    for (std::size_t i = 0; i < width; ++i) {
      const double gate = pre[row * 2 * width + i];
      y.push_back(plain(Activation::silu, gate) * pre[row * 2 * width + width + i]);
    }
  }
  return y;
}

TEST(Activation, ForwardIsThePlainFormula) {
  for (const DType type : float_types) {
    for (const Activation kind : kinds) {
      for (const std::size_t width : Sizes{1, 16, 37, 7000}) {
        Buffer pre = random_buffer(type, 5 * width, 1, 3);
        Buffer y(type, 5 * width);
        activation_forward({type, kind, 5, width, pre.data(), y.data()});
        EXPECT_LT(error(y.values(), plain(kind, pre.values())), tolerance(type))
            << static_cast<int>(kind) << " width " << width;
      }
    }
  }
}

TEST(Activation, FarValuesStayFinite) {
  const Doubles far = {-1e30, -100, -20, 20, 100, 1e30};
  for (const Activation kind : kinds) {
    Buffer pre(DType::f32, far);
    Buffer y(DType::f32, far.size());
    Buffer one(DType::f32, Doubles(far.size(), 1));
    Buffer slope(DType::f32, far.size());
    activation_forward({DType::f32, kind, 1, far.size(), pre.data(), y.data()});
    activation_backward(
        {DType::f32, kind, 1, far.size(), pre.data(), one.data(), slope.data(), nullptr});
    const double below = kind == Activation::none ? 1 : 0;
    for (std::size_t i = 1; i < 5; ++i) {
      EXPECT_NEAR(y.get(i), i < 3 ? below * far[i] : far[i], 1e-6);
      EXPECT_NEAR(slope.get(i), i < 3 ? below : 1, 1e-6);
    }
    EXPECT_TRUE(std::isfinite(y.get(0)) && std::isfinite(y.get(5)));
  }
}

TEST(Activation, BackwardIsTheSlopeOfForward) {
  for (const DType type : float_types) {
    for (const Activation kind : kinds) {
      SCOPED_TRACE(cat(name_of(type), " ", kind));
      const std::size_t rows = 67;
      const std::size_t width = 21;
      Buffer pre = random_buffer(type, rows * width, 1, 2);
      Buffer dy = random_buffer(type, rows * width, 2);
      Buffer dpre(type, rows * width);
      Buffer dbias(DType::f32, Doubles(width, 5));
      Doubles want(rows * width);
      Doubles want_bias(width, 5);
      for (std::size_t i = 0; i < rows * width; ++i) {
        const double x = pre.get(i);
        want[i] = dy.get(i) * (plain(kind, x + 1e-5) - plain(kind, x - 1e-5)) / 2e-5;
        want_bias[i % width] += want[i];
      }
      activation_backward({type, kind, rows, width, pre.data(), dy.data(), dpre.data(), nullptr});
      EXPECT_LT(error(dpre.values(), want), tolerance(type));
      activation_backward(
          {type, kind, rows, width, pre.data(), dy.data(), dy.data(), dbias.floats()});
      EXPECT_EQ(dy.bytes(), dpre.bytes());  // in place, the same
      EXPECT_LT(error(dbias.values(), want_bias), 1e-5);
    }
  }
}

TEST(Activation, SwigluAndItsSlope) {
  for (const DType type : float_types) {
    for (const std::size_t width : Sizes{1, 16, 37}) {
      Buffer pre = random_buffer(type, 3 * 2 * width, 1, 2);
      Buffer y(type, 3 * width);
      swiglu_forward({type, 3, width, pre.data(), y.data()});
      EXPECT_LT(error(y.values(), plain_swiglu(pre.values(), width)), tolerance(type));
      Buffer dy = random_buffer(type, 3 * width, 2);
      Buffer dpre(type, 3 * 2 * width);
      swiglu_backward({type, 3, width, pre.data(), dy.data(), dpre.data()});
      const Doubles want = slopes(pre.values(), [&](const Doubles& at) {
        return dot(dy.values(), plain_swiglu(at, width));
      });
      EXPECT_LT(error(dpre.values(), want), tolerance(type));
      swiglu_backward({type, 3, width, pre.data(), dy.data(), pre.data()});
      EXPECT_EQ(pre.bytes(), dpre.bytes());
    }
  }
}

TEST(Activation, BitsDoNotDependOnThreads) {
  for (const DType type : float_types) {
    Buffer pre = random_buffer(type, 200 * 519, 1);
    Buffer dy = random_buffer(type, 200 * 519, 2);
    expect_same_bits([&] {
      Buffer y(type, 200 * 519);
      activation_forward({type, Activation::gelu_tanh, 200, 519, pre.data(), y.data()});
      return y;
    });
    expect_same_bits([&] {
      Buffer dpre(type, 200 * 519);
      Buffer dbias(DType::f32, Doubles(519, 0));
      activation_backward({type, Activation::gelu_tanh, 200, 519, pre.data(), dy.data(),
                           dpre.data(), dbias.floats()});
      return dbias;
    });
  }
}

}  // namespace
}  // namespace lathe::kernels
