// What the cuda backend asks of the matrix library, and how it chooses among the answers.
#include "products.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <vector>

#include <lathe/base/random.h>
#include <lathe/config/toml.h>
#include <lathe/tensor/scratch.h>

#include "base/temporary_folder.h"
#include "cuda.h"
#include "product_choices.h"

namespace lathe {
namespace {
using cuda::Algorithm;
using cuda::Product;
using cuda::ProductChoices;
using cuda::emulated::asked_products;
using cuda::emulated::coming_laps;
using testing::TemporaryFolder;

CudaBackend& backend(const char* options) {
  static std::map<std::string, std::unique_ptr<CudaBackend>> made;
  auto& one = made[options];
  if (!one) one = std::make_unique<CudaBackend>(parse_toml(options, "products_test"));
  return *one;
}

Scratch random(Backend& on, DType type, const Shape& shape, const char* name) {
  Scratch wide(on, DType::f32, shape);
  std::vector<float> values;
  const RandomStream stream(1, name);
  for (std::int64_t i = 0; i < shape.count(); ++i) {
    values.push_back(2 * stream.uniform(static_cast<std::uint64_t>(i)) - 1);
  }
  on.upload(wide.view().data, values.data(), values.size() * sizeof values[0]);
  Scratch made(on, type, shape);
  on.copy(wide, made);
  return made;
}

std::vector<float> read(Backend& on, const View& view) {
  Scratch wide(on, DType::f32, view.shape);
  on.copy(view, wide);
  std::vector<float> values(static_cast<std::size_t>(view.count()));
  on.download(values.data(), wide.view().data, values.size() * sizeof values[0]);
  return values;
}

// The sizes fit what the library asks of the input of GELU.
struct Layer {
  explicit Layer(CudaBackend& on, DType type)
      : x(random(on, type, {5, 16}, "x")),
        weight(random(on, type, {24, 16}, "weight")),
        bias(random(on, DType::f32, {24}, "bias")),
        before(on, type, {5, 24}),
        y(on, type, {5, 24}) {
    on.linear({.x = x,
               .weight = weight,
               .bias = bias,
               .residual = View{},
               .activation = Activation::gelu_tanh,
               .before = before,
               .y = y});
  }
  Scratch x, weight, bias, before, y;
};

TEST(Products, GeluAndBiasGoIntoTheProduct) {
  CudaBackend& fused = backend("fuse = 'always'\ndeterministic = true");
  CudaBackend& apart = backend("fuse = 'never'\ndeterministic = true");
  asked_products().clear();
  const Layer inside(fused, DType::f32);
  ASSERT_EQ(asked_products().size(), 1U);
  const Product& product = asked_products()[0].product;
  EXPECT_EQ(product.key(),
            "24x5x16*1 tn a16x24/16+0 b16x5/16+0 d24x5/24+0 c24 f32>f32 bias aux e1 @16");
  const Layer outside(apart, DType::f32);
  EXPECT_EQ(asked_products().back().product.epilogue, cuda::Epilogue::none);
  EXPECT_EQ(read(fused, inside.before), read(apart, outside.before));
  const std::vector<float> a = read(fused, inside.y);
  const std::vector<float> b = read(apart, outside.y);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-6) << i;
}

// The bias of a bf16 layer stays in f32, unless its owner lets it be rounded. Then an element
// differs by the rounding of the bias (at most 1) on one side, that of the product before the bias
// on the other, both 2^-9 of their size and seen through a slope of GELU below 1.13, and by two
// roundings of its own.
TEST(Products, ABiasIsRoundedOnlyWhereAllowed) {
  CudaBackend& exact = backend("fuse = 'always'\ndeterministic = true");
  CudaBackend& rounded = backend("fuse = 'always'\nbias = 'bf16'\ndeterministic = true");
  asked_products().clear();
  const Layer kept(exact, DType::bf16);
  EXPECT_FALSE(asked_products().back().product.has_bias);
  const Layer narrow(rounded, DType::bf16);
  EXPECT_TRUE(asked_products().back().product.has_bias);
  const std::vector<float> a = read(exact, kept.y);
  const std::vector<float> b = read(rounded, narrow.y);
  const std::vector<float> before = read(exact, kept.before);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const float product = std::abs(before[i]) + 1;
    EXPECT_NEAR(a[i], b[i], 1.13f * 0x1p-9f * (1 + product) + 0x1p-8f * std::abs(a[i])) << i;
  }
}

TEST(Products, WeightGradientsAddInF32WhereTheyLie) {
  CudaBackend& on = backend("fuse = 'always'\ndeterministic = true");
  const Scratch x = random(on, DType::bf16, {8, 16}, "x");
  const Scratch weight = random(on, DType::bf16, {24, 16}, "weight");
  const Scratch dy = random(on, DType::bf16, {8, 24}, "dy");
  const Scratch dweight(on, DType::f32, {24, 16});
  asked_products().clear();
  on.linear_gradient({.x = x,
                      .weight = weight,
                      .activation = Activation::none,
                      .before = View{},
                      .dy = dy,
                      .dx = {},
                      .dweight = {dweight, true},
                      .dbias = {}});
  ASSERT_EQ(asked_products().size(), 1U);
  EXPECT_EQ(asked_products()[0].product.key(),
            "16x24x8*1 nt a16x8/16+0 b24x8/24+0 d16x24/16+0 c16 bf16>f32 adds e0 @16");
}

TEST(Products, OneBatchIsOneProduct) {
  CudaBackend& on = backend("matmul = 'tf32'\ndeterministic = true");
  const Scratch a = random(on, DType::f32, {2, 3, 4, 8}, "a");
  const Scratch b = random(on, DType::f32, {2, 3, 8, 4}, "b");
  const Scratch y(on, DType::f32, {2, 3, 4, 4});
  asked_products().clear();
  on.matmul(a, b, {y, false});
  ASSERT_EQ(asked_products().size(), 1U);
  EXPECT_EQ(asked_products()[0].product.key(),
            "4x4x8*6 nn a4x8/4+32 b8x4/8+32 d4x4/4+16 c4 f32>f32 e0 tf32 @16");
  // Batches that do not lie evenly go one after the other.
  asked_products().clear();
  on.matmul(sliced(a, 1, 0, 2), sliced(b, 1, 1, 3), {sliced(y, 1, 0, 2), false});
  EXPECT_EQ(asked_products().size(), 2U);
}

class Choosing : public ::testing::Test {
 protected:
  Choosing() {
    product_.m = product_.n = product_.k = 4;
    product_.a = product_.b = product_.d = {4, 4, 4, 0};
    product_.c_leading = 4;
    product_.alignment = 4;
    for (void*& operand : memory_) operand = cuda::take(64, nullptr);
  }
  ~Choosing() override {
    for (void* operand : memory_) cuda::give(operand, nullptr);
    coming_laps().clear();
  }
  ProductChoices choices(bool measure = true) {
    return {std::make_unique<cuda::emulated::PlainProducts>(), measure, folder_.path()};
  }
  std::uint64_t chosen(ProductChoices& choices) {
    const auto choice = choices.choose(product_, {memory_[0], memory_[1], memory_[2], memory_[2]},
                                       nullptr, nullptr);
    return choice->algorithm.words[0];
  }
  std::string file() const {
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      return entry.path().string();
    }
    return "";
  }

  TemporaryFolder folder_;
  Product product_;
  void* memory_[3];
};

// Of each candidate: a lap that starts the clock, then the time of three runs.
TEST_F(Choosing, TheFastestIsTakenAndKept) {
  coming_laps() = {0, 9, 0, 3, 0, 6};
  asked_products().clear();
  ProductChoices first = choices();
  EXPECT_FALSE(first.knows(product_));
  EXPECT_EQ(chosen(first), 2U);
  EXPECT_EQ(asked_products().size(), 3U * 4U);
  EXPECT_EQ(chosen(first), 2U);
  ProductChoices second = choices();
  EXPECT_TRUE(second.knows(product_));
  EXPECT_EQ(chosen(second), 2U);
  EXPECT_EQ(asked_products().size(), 3U * 4U) << "nothing was measured again";
}

TEST_F(Choosing, WithoutMeasuringTheFirstIsTakenAndNothingIsKept) {
  ProductChoices fixed = choices(false);
  EXPECT_EQ(chosen(fixed), 1U);
  EXPECT_EQ(file(), "");
}

TEST_F(Choosing, AFileThatDoesNotReadCostsAMeasurement) {
  ProductChoices first = choices();
  chosen(first);
  std::ofstream(file()) << "lathe cuda products 1\nnonsense\n1 2 3\n";
  coming_laps() = {0, 9, 0, 9, 0, 3};
  ProductChoices second = choices();
  EXPECT_EQ(chosen(second), 3U);
}

TEST_F(Choosing, CostsAreMeasuredOnce) {
  ProductChoices some = choices();
  coming_laps() = {0, 12};
  int runs = 0;
  const auto run = [&] {
    ++runs;
    return true;
  };
  EXPECT_EQ(some.cost("a layer", run, nullptr), 4.0f);
  EXPECT_EQ(runs, 4);
  ProductChoices later = choices();
  EXPECT_EQ(later.cost("a layer", run, nullptr), 4.0f);
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(later.cost(
                "what cannot be done", [] { return false; }, nullptr),
            std::nullopt);
}

}  // namespace
}  // namespace lathe
