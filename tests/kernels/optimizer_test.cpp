#include "../../plugins/backends/onednn/kernels/optimizer.h"

#include "kernel_testing.h"

namespace lathe::kernels {
namespace {

using namespace testing;

constexpr std::size_t count = 1003;

// Parameter, gradient and one or two buffers of state, as kernels see them and in double.
struct State {
  Buffer p = random_buffer(DType::f32, count, 1);
  Buffer g = random_buffer(DType::f32, count, 2);
  Buffer m = Buffer(DType::f32, Doubles(count, 0));
  Buffer v = Buffer(DType::f32, Doubles(count, 0));
  Buffer shadow = Buffer(DType::bf16, count);

  StepBuffers buffers(float gradient_scale, bool zero_gradient) {
    return {count,          p.floats(),   g.floats(), static_cast<bf16*>(shadow.data()),
            gradient_scale, zero_gradient};
  }
};

// step(t, p, g, m, v) on the state in double.
template <class Kernel, class Plain>
void expect_steps(float gradient_scale, const Kernel& kernel, const Plain& plain) {
  State state;
  Doubles p = state.p.values();
  Doubles m(count, 0);
  Doubles v(count, 0);
  for (int step = 1; step <= 4; ++step) {
    state.g = random_buffer(DType::f32, count, 10 + static_cast<unsigned>(step));
    const Buffer given = state.g;
    const bool zero = step % 2 == 0;
    kernel(state, state.buffers(gradient_scale, zero), step);
    for (std::size_t i = 0; i < count; ++i) {
      plain(step, p[i], static_cast<double>(gradient_scale) * given.get(i), m[i], v[i]);
    }
    EXPECT_LT(error(state.p.values(), p), 1e-6);
    EXPECT_LT(error(plus(state.m.values(), Doubles(count, 1)), plus(m, Doubles(count, 1))), 1e-6);
    EXPECT_LT(error(plus(state.v.values(), Doubles(count, 1)), plus(v, Doubles(count, 1))), 1e-6);
    EXPECT_EQ(state.shadow.bytes(), Buffer(DType::bf16, state.p.values()).bytes());
    EXPECT_EQ(state.g.values(), zero ? Doubles(count, 0) : given.values());
  }
}

TEST(Optimizer, AdamWIsThePlainFormula) {
  const double rate = 0.03, beta1 = 0.9, beta2 = 0.95, epsilon = 1e-3, decay = 0.1;
  expect_steps(
      0.5f,
      [&](State& state, StepBuffers buffers, int step) {
        adamw({buffers, state.m.floats(), state.v.floats(), rate, beta1, beta2, epsilon, decay,
               step});
      },
      [&](int step, double& p, double g, double& m, double& v) {
        p *= 1 - rate * decay;
        m = beta1 * m + (1 - beta1) * g;
        v = beta2 * v + (1 - beta2) * g * g;
        const double divisor = std::sqrt(v) / std::sqrt(1 - std::pow(beta2, step)) + epsilon;
        p -= rate / (1 - std::pow(beta1, step)) * m / divisor;
      });
}

// By hand: m = 0.1 g, v = 0.001 g^2, so the corrected ratio is 1 and p falls by the rate.
TEST(Optimizer, TheFirstAdamWStepIsTheRate) {
  Buffer p(DType::f32, Doubles{1});
  Buffer g(DType::f32, Doubles{-4});
  Buffer m(DType::f32, Doubles{0});
  Buffer v(DType::f32, Doubles{0});
  adamw({{.count = 1, .parameter = p.floats(), .gradient = g.floats()},
         m.floats(),
         v.floats(),
         0.25});
  EXPECT_NEAR(p.get(0), 1.25, 1e-6);
  EXPECT_NEAR(m.get(0), -0.4, 1e-7);
  EXPECT_NEAR(v.get(0), 0.016, 1e-8);
  EXPECT_EQ(g.get(0), -4);
}

TEST(Optimizer, SgdIsThatOfPyTorch) {
  const double rate = 0.1, momentum = 0.9, decay = 0.05;
  for (const bool nesterov : {false, true}) {
    expect_steps(
        2,
        [&](State& state, StepBuffers buffers, int) {
          sgd({buffers, state.m.floats(), rate, momentum, decay, nesterov});
        },
        [&](int step, double& p, double g, double& m, double&) {
          g += decay * p;
          m = step == 1 ? g : momentum * m + g;
          p -= rate * (nesterov ? g + momentum * m : m);
        });
  }
  expect_steps(
      2,
      [&](State&, StepBuffers buffers, int) {
        sgd({buffers, nullptr, rate, 0, decay});
      },
      [&](int, double& p, double g, double&, double&) { p -= rate * (g + decay * p); });
}

TEST(Optimizer, LionIsThePlainFormula) {
  const double rate = 0.01, beta1 = 0.9, beta2 = 0.99, decay = 0.1;
  expect_steps(
      1,
      [&](State& state, StepBuffers buffers, int) {
        lion({buffers, state.m.floats(), rate, beta1, beta2, decay});
      },
      [&](int, double& p, double g, double& m, double&) {
        const double mixed = beta1 * m + (1 - beta1) * g;
        p -= rate * ((mixed > 0) - (mixed < 0) + decay * p);
        m = beta2 * m + (1 - beta2) * g;
      });
}

TEST(Optimizer, LionLeavesWhatHasNoGradient) {
  Buffer p(DType::f32, Doubles{1});
  Buffer zero(DType::f32, Doubles{0});
  Buffer m(DType::f32, Doubles{0});
  lion({{.count = 1, .parameter = p.floats(), .gradient = zero.floats()}, m.floats(), 0.5});
  EXPECT_EQ(p.get(0), 1);
}

TEST(Optimizer, MovingAverageMovesByItsPart) {
  Buffer average = random_buffer(DType::f32, count, 1);
  Buffer p = random_buffer(DType::f32, count, 2);
  Doubles want = average.values();
  for (std::size_t i = 0; i < count; ++i) want[i] = 0.9 * want[i] + 0.1 * p.get(i);
  moving_average({count, average.floats(), p.floats(), 0.9});
  EXPECT_LT(error(average.values(), want), 1e-6);
}

TEST(Optimizer, BitsDoNotDependOnThreads) {
  const std::size_t many = 100003;
  const Buffer start = random_buffer(DType::f32, many, 1);
  Buffer gradient = random_buffer(DType::f32, many, 2);
  expect_same_bits([&] {
    Buffer p = start;
    Buffer m = start;
    Buffer v(DType::f32, Doubles(many, 1));
    adamw({{.count = many, .parameter = p.floats(), .gradient = gradient.floats()},
           m.floats(),
           v.floats()});
    return p;
  });
}

// A shadow too large for the caches goes another way to memory, if it lies well.
TEST(Optimizer, ALargeShadowIsTheRoundedParameter) {
  const std::size_t large = (std::size_t{4} << 20) + 77;
  std::vector<float> start(large), gradient(large);
  for (std::size_t i = 0; i < large; ++i) {
    start[i] = static_cast<float>(i % 1999) * 1e-3f - 1;
    gradient[i] = static_cast<float>(i % 1777) * 1e-3f - 0.9f;
  }
  std::vector<std::vector<float>> parameters;
  std::vector<bf16> shadow(large + 32);
  for (const std::size_t begin : {std::size_t{0}, std::size_t{1}}) {
    bf16* at = shadow.data();
    while (reinterpret_cast<std::uintptr_t>(at) % 64 != 0) ++at;
    at += begin;
    std::fill(shadow.begin(), shadow.end(), bf16(77.0f));
    std::vector<float> p = start, m(large, 0.0f), v(large, 0.0f);
    adamw({{.count = large, .parameter = p.data(), .gradient = gradient.data(), .shadow = at},
           m.data(),
           v.data()});
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < large; ++i) wrong += at[i].bits != bf16(p[i]).bits;
    EXPECT_EQ(wrong, 0U);
    EXPECT_EQ(at[large].bits, bf16(77.0f).bits);
    parameters.push_back(std::move(p));
  }
  EXPECT_EQ(parameters[0], parameters[1]);
  // By hand: the first step is the rate against the sign of the gradient.
  EXPECT_NEAR(parameters[0][5], start[5] + 1e-3f, 1e-7f);
}

TEST(Optimizer, ImpossibleSettingsAreRefused) {
  EXPECT_THROW(adamw({.step = 0}), Error);
  EXPECT_THROW(sgd({.momentum = 0.9}), Error);
  EXPECT_THROW(sgd({.nesterov = true}), Error);
}

}  // namespace
}  // namespace lathe::kernels
