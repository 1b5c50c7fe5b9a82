#include "../../plugins/backends/onednn/kernels/norm.h"

#include "kernel_testing.h"

namespace lathe::kernels {
namespace {

using namespace testing;

struct Shape {
  std::size_t rows, width;
};

constexpr double epsilon = 1e-5;

// The plain formula, in double.
Doubles plain_norm(const Doubles& x, Shape shape, bool rms, const Doubles& weight,
                   const Doubles& bias, Doubles* means = nullptr, Doubles* rstds = nullptr) {
  Doubles y(x.size());
  for (std::size_t row = 0; row < shape.rows; ++row) {
    const double* in = x.data() + row * shape.width;
    double mean = 0;
    for (std::size_t i = 0; i < shape.width && !rms; ++i) {
      mean += in[i] / static_cast<double>(shape.width);
    }
    double variance = 0;
    for (std::size_t i = 0; i < shape.width; ++i) {
      variance += (in[i] - mean) * (in[i] - mean) / static_cast<double>(shape.width);
    }
    const double rstd = 1 / std::sqrt(variance + epsilon);
    for (std::size_t i = 0; i < shape.width; ++i) {
      y[row * shape.width + i] = (in[i] - mean) * rstd * weight[i] + bias[i];
    }
    if (means != nullptr) means->push_back(mean);
    if (rstds != nullptr) rstds->push_back(rstd);
  }
  return y;
}

void check_forward(DType type, Shape shape, bool rms, bool with_residual) {
  SCOPED_TRACE(cat(name_of(type), " ", shape.rows, "x", shape.width, " rms ", rms));
  const std::size_t count = shape.rows * shape.width;
  Buffer x(type, plus(normal(count, 1), Doubles(count, 0.5)));
  Buffer residual = random_buffer(type, count, 2);
  Buffer weight = random_buffer(DType::f32, shape.width, 3);
  Buffer bias = random_buffer(DType::f32, shape.width, 4);
  Buffer sum(type, count);
  Buffer y(type, count);
  Buffer mean(DType::f32, shape.rows);
  Buffer rstd(DType::f32, shape.rows);
  NormForward arguments{.dtype = type, .rows = shape.rows, .width = shape.width, .rms = rms};
  arguments.x = x.data();
  if (with_residual) {
    arguments.residual = residual.data();
    arguments.sum = sum.data();
  }
  arguments.weight = weight.floats();
  arguments.bias = bias.floats();
  arguments.y = y.data();
  arguments.mean = mean.floats();
  arguments.rstd = rstd.floats();
  norm_forward(arguments);

  Doubles in = x.values();
  if (with_residual) {
    EXPECT_LT(error(sum.values(), plus(in, residual.values())), tolerance(type));
    in = sum.values();  // what is kept for backward is what was normalised
  }
  Doubles means;
  Doubles rstds;
  const Doubles want = plain_norm(in, shape, rms, weight.values(), bias.values(), &means, &rstds);
  EXPECT_LT(error(y.values(), want), tolerance(type));
  EXPECT_LT(error(rstd.values(), rstds), 1e-6);
  if (!rms) {
    EXPECT_LT(error(mean.values(), means), 1e-5);
  }
}

TEST(Norm, ForwardIsThePlainFormula) {
  for (const DType type : float_types) {
    for (const bool rms : {false, true}) {
      for (const Shape shape : {Shape{3, 1}, Shape{5, 37}, Shape{70, 768}, Shape{2, 64}}) {
        check_forward(type, shape, rms, false);
        check_forward(type, shape, rms, true);
      }
    }
  }
}

TEST(Norm, WeightAndBiasMayBeLeftOut) {
  const Shape shape{4, 33};
  Buffer x = random_buffer(DType::f32, 4 * 33, 5);
  Buffer y(DType::f32, 4 * 33);
  norm_forward({.rows = 4, .width = 33, .x = x.data(), .y = y.data()});
  EXPECT_LT(error(y.values(), plain_norm(x.values(), shape, false, Doubles(33, 1), Doubles(33, 0))),
            1e-6);
}

struct Gradients {
  Doubles dx, dweight, dbias;
};

Gradients run_backward(DType type, Shape shape, bool rms, Buffer& x, Buffer& weight, Buffer& dy,
                       Buffer* upstream, bool add) {
  const std::size_t count = shape.rows * shape.width;
  Doubles means;
  Doubles rstds;
  plain_norm(x.values(), shape, rms, Doubles(shape.width, 1), Doubles(shape.width, 0), &means,
             &rstds);
  Buffer mean(DType::f32, means);
  Buffer rstd(DType::f32, rstds);
  Buffer dx(type, Doubles(count, 3));
  Buffer dweight(DType::f32, Doubles(shape.width, 10));
  Buffer dbias(DType::f32, Doubles(shape.width, 20));
  NormBackward arguments{.dtype = type, .rows = shape.rows, .width = shape.width, .rms = rms};
  arguments.dy = dy.data();
  arguments.sum = x.data();
  arguments.weight = weight.floats();
  arguments.mean = rms ? nullptr : mean.floats();
  arguments.rstd = rstd.floats();
  arguments.dsum = upstream != nullptr ? upstream->data() : nullptr;
  arguments.dx = dx.data();
  arguments.add = add;
  arguments.dweight = dweight.floats();
  arguments.dbias = dbias.floats();
  norm_backward(arguments);
  return {dx.values(), dweight.values(), dbias.values()};
}

void check_backward(DType type, Shape shape, bool rms) {
  SCOPED_TRACE(cat(name_of(type), " ", shape.rows, "x", shape.width, " rms ", rms));
  const std::size_t count = shape.rows * shape.width;
  Buffer x = random_buffer(type, count, 1);
  Buffer weight = random_buffer(DType::f32, shape.width, 3);
  Buffer dy = random_buffer(type, count, 5);
  Buffer upstream = random_buffer(type, count, 6);
  const Doubles from = dy.values();
  const Doubles zero(shape.width, 0);
  const Doubles dx = slopes(x.values(), [&](const Doubles& at) {
    return dot(from, plain_norm(at, shape, rms, weight.values(), zero));
  });
  const Doubles dweight = slopes(weight.values(), [&](const Doubles& at) {
    return dot(from, plain_norm(x.values(), shape, rms, at, zero));
  });
  const Doubles dbias = slopes(zero, [&](const Doubles& at) {
    return dot(from, plain_norm(x.values(), shape, rms, weight.values(), at));
  });
  const Gradients alone = run_backward(type, shape, rms, x, weight, dy, nullptr, false);
  EXPECT_LT(error(alone.dx, dx), tolerance(type));
  EXPECT_LT(error(alone.dweight, plus(dweight, Doubles(shape.width, 10))), 1e-5);
  EXPECT_LT(error(alone.dbias, plus(dbias, Doubles(shape.width, 20))), 1e-5);
  const Gradients all = run_backward(type, shape, rms, x, weight, dy, &upstream, true);
  EXPECT_LT(error(all.dx, plus(plus(dx, upstream.values()), Doubles(count, 3))), tolerance(type));
}

TEST(Norm, BackwardIsTheSlopeOfForward) {
  for (const DType type : float_types) {
    for (const bool rms : {false, true}) {
      check_backward(type, {3, 5}, rms);
      check_backward(type, {5, 37}, rms);
      check_backward(type, {67, 16}, rms);
    }
  }
}

TEST(Norm, ParameterGradientsCrossTheBlocksOfRows) {
  const Shape shape{200, 519};
  Buffer x = random_buffer(DType::f32, 200 * 519, 1);
  Buffer weight = random_buffer(DType::f32, 519, 2);
  Buffer dy = random_buffer(DType::f32, 200 * 519, 3);
  const Gradients got = run_backward(DType::f32, shape, false, x, weight, dy, nullptr, false);
  const Doubles h = plain_norm(x.values(), shape, false, Doubles(519, 1), Doubles(519, 0));
  Doubles dweight(519, 10);
  Doubles dbias(519, 20);
  for (std::size_t i = 0; i < 200 * 519; ++i) {
    dweight[i % 519] += dy.get(i) * h[i];
    dbias[i % 519] += dy.get(i);
  }
  EXPECT_LT(error(got.dweight, dweight), 1e-6);
  EXPECT_LT(error(got.dbias, dbias), 1e-6);
}

TEST(Norm, BitsDoNotDependOnThreads) {
  const Shape shape{200, 519};
  for (const DType type : float_types) {
    Buffer x = random_buffer(type, 200 * 519, 1);
    Buffer weight = random_buffer(DType::f32, 519, 2);
    Buffer dy = random_buffer(type, 200 * 519, 3);
    const auto gradients = [&] {
      return run_backward(type, shape, false, x, weight, dy, nullptr, false);
    };
    expect_same_bits([&] { return Buffer(DType::f32, gradients().dweight); });
    expect_same_bits([&] { return Buffer(DType::f32, gradients().dbias); });
    expect_same_bits([&] { return Buffer(type, gradients().dx); });
    expect_same_bits([&] {
      Buffer y(type, 200 * 519);
      norm_forward({.dtype = type, .rows = 200, .width = 519, .x = x.data(), .y = y.data()});
      return y;
    });
  }
}

TEST(Norm, NoRowsLeaveTheGradientsAlone) {
  Buffer x(DType::f32, std::size_t{0});
  Buffer weight(DType::f32, Doubles(5, 1));
  const Gradients got = run_backward(DType::f32, {0, 5}, false, x, weight, x, nullptr, false);
  EXPECT_EQ(got.dweight, Doubles(5, 10));
  EXPECT_EQ(got.dbias, Doubles(5, 20));
}

}  // namespace
}  // namespace lathe::kernels
