// Products of few rows with weights that were brought into another order before.
#include "gemm_example.h"

#include <lathe/base/error.h>

namespace lathe::kernels {
namespace {

// As acting has it: few rows, weights that lie along k or across it, what follows included.
TEST_P(GemmOn, has_the_same_bits_with_weights_in_another_order) {
  const std::tuple<int, int> sizes[] = {{120, 4}, {84, 120}, {2, 84}, {256, 256},
                                        {33, 1},  {64, 7},   {1, 5},  {130, 40}};
  for (const auto& [n, k] : sizes) {
    for (const std::int64_t m : {1, 2, 3, 4, 5, 7, 8}) {
      for (const bool along : {true, false}) {
        Matrix a(m, k, DType::f32), b(k, n, DType::f32, along), residual(m, n, DType::f32);
        Matrix c(m, n, DType::f32), before(m, n, DType::f32);
        Matrix held_c(m, n, DType::f32), held_before(m, n, DType::f32);
        for (Matrix* matrix : {&a, &b, &residual}) matrix->fill([&] { return normal(); });
        std::vector<float> bias;
        for (int j = 0; j < n; ++j) bias.push_back(normal());
        Gemm product = product_of(a, b, c);
        product.bias = bias.data();
        product.activation = Activation::relu;
        product.before = before.data();
        product.residual = residual.data();
        product.residual_row = residual.row_step;
        multiply(product);
        product.c = held_c.data();
        product.before = held_before.data();
        run_held(GetParam(), product);
        ASSERT_EQ(bits_of(held_c), bits_of(c)) << m << " x " << n << " x " << k;
        ASSERT_EQ(bits_of(held_before), bits_of(before)) << m << " x " << n << " x " << k;
        ASSERT_EQ(held_c.written(), m * n);
      }
    }
  }
}

TEST(Gemm, has_no_other_order_for_bf16_and_sums) {
  Matrix a(2, 4, DType::bf16), b(4, 4, DType::bf16), c(2, 4, DType::f32);
  std::vector<float> held(gemm_held_floats(product_of(a, b, c)));
  EXPECT_THROW(gemm_hold(product_of(a, b, c), held.data()), Error);
  Matrix left(2, 4, DType::f32), right(4, 4, DType::f32);
  Gemm product = product_of(left, right, c);
  product.add = true;
  EXPECT_THROW(gemm_held(product, held.data()), Error);
}

}  // namespace
}  // namespace lathe::kernels
