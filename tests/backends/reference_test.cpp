// The reference backend at points whose answers are known, and its errors.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>

#include <lathe/plugin/registry.h>
#include <lathe/tensor/backend.h>

namespace lathe {
namespace {

Backend& reference() {
  static Registry registry({.user_folders = false, .library_folder = LATHE_PLUGINS});
  static const std::unique_ptr<Backend> backend = registry.create<Backend>("reference", Config());
  return *backend;
}

// ---- Known answers, computed by hand or taken from the papers' definitions

struct Values {
  std::vector<double> values;
  View view;
  explicit Values(std::vector<double> list)
      : values(std::move(list)),
        view(dense_view(values.data(), DType::f64, {static_cast<std::int64_t>(values.size())})) {}
};

TEST(ReferenceBackend, ActivationsAtKnownPoints) {
  Values x({-1, 0, 1, 2}), y({0, 0, 0, 0});
  reference().unary(Unary::gelu_erf, x.view, y.view);
  EXPECT_NEAR(y.values[0], -0.15865525393145707, 1e-15);  // -Phi(-1)
  EXPECT_EQ(y.values[1], 0);
  EXPECT_NEAR(y.values[2], 0.8413447460685429, 1e-15);
  EXPECT_NEAR(y.values[3], 1.9544997361036416, 1e-15);
  reference().unary(Unary::gelu_tanh, x.view, y.view);
  EXPECT_NEAR(y.values[2], 0.8411919906082768, 1e-15);
  reference().unary(Unary::silu, x.view, y.view);
  EXPECT_NEAR(y.values[3], 1.7615941559557649, 1e-15);  // 2 / (1 + e^-2)
  reference().unary(Unary::relu, x.view, y.view);
  EXPECT_EQ(y.values, (std::vector<double>{0, 0, 1, 2}));
}

TEST(ReferenceBackend, StoresTheNearestBf16InOneRounding) {
  // Just above the tie between 1 and 1 + 2^-7, by less than an f32 can tell: up, where rounding
  // over f32 would land on the tie and go down to even.
  const double above = 1 + 0x1p-8 + 0x1p-40;
  Values x({above, 1 + 0x1p-8, -above, 1e300});
  std::vector<bf16> y(4);
  reference().copy(x.view, dense_view(y.data(), DType::bf16, {4}));
  EXPECT_EQ(static_cast<float>(y[0]), 1 + 0x1p-7f);
  EXPECT_EQ(static_cast<float>(y[1]), 1.0f);
  EXPECT_EQ(static_cast<float>(y[2]), -1 - 0x1p-7f);
  EXPECT_EQ(static_cast<float>(y[3]), std::numeric_limits<float>::infinity());
}

TEST(ReferenceBackend, FirstStepOfAdamWMovesByTheRate) {
  // On step 1, m / (1 - b1) = g and sqrt(v / (1 - b2)) = |g|: the move is rate * sign(g).
  Values p({2, -3}), g({0.5, -4}), m({0, 0}), v({0, 0});
  reference().adamw({.parameter = p.view,
                     .gradient = g.view,
                     .first = m.view,
                     .second = v.view,
                     .shadow = View{},
                     .rate = 0.01,
                     .weight_decay = 0.1,
                     .beta1 = 0.9,
                     .beta2 = 0.99});
  EXPECT_NEAR(p.values[0], 2 * (1 - 0.001) - 0.01, 1e-14);
  EXPECT_NEAR(p.values[1], -3 * (1 - 0.001) + 0.01, 1e-14);
  EXPECT_NEAR(m.values[1], -0.4, 1e-15);
  EXPECT_NEAR(v.values[1], 0.16, 1e-15);
}

TEST(ReferenceBackend, SgdAsPyTorch) {
  // torch.optim.SGD(lr=0.1, momentum=0.9, weight_decay=0.5), gradients 1 then 2:
  // buffer 1 + 0.5 * 2 = 2, p = 2 - 0.2 = 1.8; buffer 1.8 + 2 + 0.9 = 4.7, p = 1.8 - 0.47.
  Values p({2}), g({1}), m({77});
  OptimizerArguments arguments{.parameter = p.view,
                               .gradient = g.view,
                               .first = m.view,
                               .second = View{},
                               .shadow = View{},
                               .rate = 0.1,
                               .weight_decay = 0.5,
                               .beta1 = 0.9};
  reference().sgd(arguments);
  EXPECT_NEAR(p.values[0], 1.8, 1e-15);
  g.values[0] = 2;
  arguments.step = 2;
  reference().sgd(arguments);
  EXPECT_NEAR(m.values[0], 4.7, 1e-15);
  EXPECT_NEAR(p.values[0], 1.33, 1e-15);
}

TEST(ReferenceBackend, LionMovesAgainstTheSignOfTheMixture) {
  Values p({1, 1, 1}), g({-1, 1, 0}), m({0.05, 0.05, 0});
  reference().lion({.parameter = p.view,
                    .gradient = g.view,
                    .first = m.view,
                    .second = View{},
                    .shadow = View{},
                    .rate = 0.1,
                    .beta1 = 0.9,
                    .beta2 = 0.99});
  EXPECT_NEAR(p.values[0], 1.1, 1e-15);  // 0.9 * 0.05 - 0.1 < 0
  EXPECT_NEAR(p.values[1], 0.9, 1e-15);
  EXPECT_EQ(p.values[2], 1);  // the sign of 0 is 0
  EXPECT_NEAR(m.values[0], 0.0395, 1e-15);
}

TEST(ReferenceBackend, AnIndexOutsideItsTableIsAnError) {
  Values table({1, 2, 3}), y({0, 0});
  std::vector<std::int32_t> index{0, 3};
  try {
    reference().gather(reshaped(table.view, {3, 1}), dense_view(index.data(), DType::i32, {2}),
                       reshaped(y.view, {2, 1}));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "gather: index 3 at position 1 is outside a table of 3 rows");
  }
}

TEST(ReferenceBackend, TurnsByTheAngleOfThePosition) {
  // D = 4, base 100: pairs (0, 2) by 1 and (1, 3) by 100^(-2/4) = 0.1 per position.
  Values x({1, 0, 0, 1}), y({0, 0, 0, 0});
  std::vector<std::int32_t> position{3};
  reference().rotary({.x = reshaped(x.view, {1, 1, 4}),
                      .positions = dense_view(position.data(), DType::i32, {1}),
                      .base = 100,
                      .y = {reshaped(y.view, {1, 1, 4}), false}});
  EXPECT_NEAR(y.values[0], std::cos(3.0), 1e-15);
  EXPECT_NEAR(y.values[2], std::sin(3.0), 1e-15);
  EXPECT_NEAR(y.values[1], -std::sin(0.3), 1e-15);
  EXPECT_NEAR(y.values[3], std::cos(0.3), 1e-15);
}

}  // namespace
}  // namespace lathe
