// Whether 16 bytes are moved at a time or one element is never seen: the same values at an aligned
// address and one element further give the same bits, also where sums are taken.
#include <gtest/gtest.h>

#include <lathe/config/toml.h>
#include <lathe/tensor/tensor.h>

#include <functional>

#include "cuda.h"

namespace lathe {
namespace {

std::shared_ptr<Backend> backend() {
  static const auto made =
      std::make_shared<CudaBackend>(parse_toml("deterministic = true", "alignment_test"));
  return made;
}

// A dense view that begins `begin` elements after an aligned address.
Tensor placed(std::int64_t begin, DType type, const Shape& shape, const char* name) {
  const Tensor flat = Tensor::zeros(backend(), {begin + shape.count()}, type);
  View view = dense_view(
      static_cast<std::byte*>(flat.view().data) + begin * static_cast<std::int64_t>(size_of(type)),
      type, shape);
  const Tensor result(flat.storage(), view);
  std::vector<float> values;
  const RandomStream random(1, name);
  for (std::int64_t i = 0; i < shape.count(); ++i) {
    values.push_back(static_cast<float>(random.normal(static_cast<std::uint64_t>(i))));
  }
  const Tensor source = Tensor::of<float>(backend(), shape, values);
  backend()->copy(source.view(), view);
  return result;
}

std::vector<std::byte> bytes_of(const Tensor& tensor) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(tensor.count()) * size_of(tensor.dtype()));
  backend()->download(bytes.data(), tensor.view().data, bytes.size());
  return bytes;
}

// What one op makes of operands that begin at `begin`.
using Result = std::function<std::vector<Tensor>(std::int64_t begin, DType type)>;

void expect_same_bits(const Result& result) {
  for (const DType type : {DType::f32, DType::bf16}) {
    const std::vector<Tensor> aligned = result(0, type);
    for (const std::int64_t begin : {1, 4}) {
      const std::vector<Tensor> shifted = result(begin, type);
      for (std::size_t i = 0; i < aligned.size(); ++i) {
        EXPECT_EQ(bytes_of(shifted[i]), bytes_of(aligned[i]))
            << name_of(type) << " from element " << begin << ", result " << i;
      }
    }
  }
}

// Widths that packs divide, and one that leaves every second row at an odd address.
constexpr std::int64_t widths[] = {64, 37, 5000};

TEST(Alignment, ReduceAlongRows) {
  for (const std::int64_t width : widths) {
    expect_same_bits([&](std::int64_t begin, DType type) {
      const Tensor x = placed(begin, type, {3, width}, "x"), y = placed(begin, type, {3, 1}, "y");
      backend()->reduce(Reduce::sum, x.view(), y.view());
      return std::vector{y};
    });
  }
}
TEST(Alignment, ReduceDownColumns) {
  for (const std::int64_t width : {64, 37}) {
    expect_same_bits([&](std::int64_t begin, DType type) {
      const Tensor x = placed(begin, type, {200, width}, "x"),
                   y = placed(begin, type, {1, width}, "y");
      backend()->reduce(Reduce::sum, x.view(), y.view());
      return std::vector{y};
    });
  }
}
TEST(Alignment, Softmax) {
  for (const std::int64_t width : widths) {
    expect_same_bits([&](std::int64_t begin, DType type) {
      const Tensor x = placed(begin, type, {3, width}, "x"),
                   y = placed(begin, type, {3, width}, "y");
      const Tensor dx = placed(begin, type, {3, width}, "dx");
      backend()->softmax(x.view(), y.view());
      backend()->softmax_gradient(y.view(), x.view(), {dx.view(), true});
      return std::vector{y, dx};
    });
  }
}
TEST(Alignment, GatedUnit) {
  for (const std::int64_t width : {64, 37}) {
    expect_same_bits([&](std::int64_t begin, DType type) {
      const Tensor x = placed(begin, type, {3, 2 * width}, "x");
      const Tensor y = placed(begin, type, {3, width}, "y");
      const Tensor dx = placed(begin, type, {3, 2 * width}, "dx");
      backend()->swiglu_gradient(x.view(), y.view(), {dx.view(), true});
      backend()->swiglu(x.view(), y.view());
      return std::vector{y, dx};
    });
  }
}
TEST(Alignment, Rotary) {
  const std::vector<std::int32_t> places = {0, 7, 100000};
  for (const std::int64_t width : {64, 6}) {
    expect_same_bits([&](std::int64_t begin, DType type) {
      const Tensor x = placed(begin, type, {3, 5, width}, "x");
      const Tensor y = placed(begin, type, {3, 5, width}, "y");
      const Tensor positions = Tensor::of<std::int32_t>(backend(), {3}, places);
      backend()->rotary({.x = x.view(),
                         .positions = positions.view(),
                         .base = 10000,
                         .inverse = false,
                         .y = {y.view(), true}});
      return std::vector{y};
    });
  }
}
TEST(Alignment, FillAndWhereAndDropout) {
  expect_same_bits([&](std::int64_t begin, DType type) {
    const Shape shape{7, 37};
    const Tensor condition = placed(begin, DType::f32, shape, "condition");
    const Tensor zero = Tensor::zeros(backend(), shape, DType::f32);
    const Tensor less = placed(begin, DType::f32, shape, "less");
    backend()->binary(Binary::less, condition.view(), zero.view(), less.view());
    const Tensor a = placed(begin, type, shape, "a"), b = placed(begin, type, shape, "b");
    const Tensor y = placed(begin, type, shape, "y"), filled = placed(begin, type, shape, "f");
    const Tensor dropped = placed(begin, type, shape, "dropped");
    backend()->where(less.view(), a.view(), b.view(), y.view());
    backend()->fill(filled.view(), 1.25);
    backend()->dropout(a.view(), 0.3F, RandomStream(2, "dropout"), {dropped.view(), true});
    return std::vector{y, filled, dropped};
  });
}
TEST(Alignment, OptimizersAndFlatSums) {
  const auto stepped = [](auto&& step) {
    expect_same_bits([&](std::int64_t begin, DType) {
      const Shape shape{1037};
      std::vector<Tensor> all;
      for (const char* name : {"parameter", "gradient", "first"}) {
        all.push_back(placed(begin, DType::f32, shape, name));
      }
      const Tensor second = placed(begin, DType::f32, shape, "second");
      backend()->unary(Unary::square, second.view(), second.view());
      all.push_back(second);
      all.push_back(placed(begin, DType::bf16, shape, "shadow"));
      step(OptimizerArguments{.parameter = all[0].view(),
                              .gradient = all[1].view(),
                              .first = all[2].view(),
                              .second = all[3].view(),
                              .shadow = all[4].view(),
                              .gradient_scale = 0.5,
                              .rate = 0.01,
                              .weight_decay = 0.1,
                              .beta1 = 0.9,
                              .beta2 = 0.99,
                              .epsilon = 1e-8,
                              .step = 3});
      return all;
    });
  };
  stepped([](const OptimizerArguments& arguments) { backend()->adamw(arguments); });
  stepped([](const OptimizerArguments& arguments) { backend()->sgd(arguments); });
  stepped([](const OptimizerArguments& arguments) { backend()->lion(arguments); });
  const Tensor aligned = placed(0, DType::f32, {20011}, "x");
  const Tensor shifted = placed(1, DType::f32, {20011}, "x");
  EXPECT_EQ(backend()->sum_of_squares(aligned.view()), backend()->sum_of_squares(shifted.view()));
}

}  // namespace
}  // namespace lathe
