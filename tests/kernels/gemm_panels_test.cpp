// Products that read B in panels have the bits of those that read it where it lies.
#include "gemm_example.h"

namespace lathe::kernels {
namespace {
class GemmPanelsOn : public GemmOn {};

INSTANTIATE_TEST_SUITE_P(Every, GemmPanelsOn, testing::ValuesIn(every_isa),
                         [](const auto& each) { return std::string(name_of(each.param)); });

TEST_P(GemmPanelsOn, has_the_bits_of_b_in_panels) {
  for (const auto& [n, k] : {std::tuple{1, 700}, {31, 301}, {70, 2}, {300, 701}, {64, 3072}}) {
    for (const DType type : {DType::f32, DType::bf16}) {
      for (const bool by_column : {true, false}) {
        Matrix b(k, n, type, by_column);
        b.fill([&] { return normal(); });
        // With the poison that nobody may read, and room for bf16 that becomes f32.
        std::vector<float> memory(static_cast<std::size_t>((n + 31) / 32 * 32 * k + 16),
                                  std::nanf(""));
        auto* panels = memory.data();
        while (reinterpret_cast<std::uintptr_t>(panels) % 64 != 0) ++panels;
        pack({n, k, b.data(), b.row_step, b.column_step, type, panels});
        for (const std::int64_t m : {1, 2, 6, 7, 14, 15, 48}) {
          Matrix a(m, k, type, m == 7), c(m, n, type), other(m, n, type);
          a.fill([&] { return normal(); });
          Gemm product = product_of(a, b, c);
          product.activation = Activation::gelu_tanh;
          multiply(product);
          product.c = product_of(a, b, other).c;
          product.b_panels = panels;
          multiply(product);
          ASSERT_EQ(bits_of(other), bits_of(c)) << m << " " << n << " " << k;
        }
      }
    }
  }
}

// As acting has it: few rows, weights that lie along k or across it, what follows included.
TEST_P(GemmPanelsOn, has_the_bits_of_weights_of_a_policy) {
  const std::tuple<int, int> sizes[] = {{120, 4}, {84, 120}, {2, 84}, {256, 256},
                                        {33, 1},  {64, 7},   {1, 5},  {130, 40}};
  for (const auto& [n, k] : sizes) {
    for (const std::int64_t m : {1, 2, 3, 4, 5, 7, 8}) {
      for (const bool along : {true, false}) {
        Matrix a(m, k, DType::f32), b(k, n, DType::f32, along), residual(m, n, DType::f32);
        Matrix c(m, n, DType::f32), before(m, n, DType::f32);
        Matrix other_c(m, n, DType::f32), other_before(m, n, DType::f32);
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
        product.c = other_c.data();
        product.before = other_before.data();
        std::vector<float> panels(static_cast<std::size_t>((n + 31) / 32 * 32 * k), std::nanf(""));
        pack({n, k, b.data(), b.row_step, b.column_step, DType::f32, panels.data()});
        product.b_panels = panels.data();
        multiply(product);
        ASSERT_EQ(bits_of(other_c), bits_of(c)) << m << " x " << n << " x " << k;
        ASSERT_EQ(bits_of(other_before), bits_of(before)) << m << " x " << n << " x " << k;
        ASSERT_EQ(other_c.written(), m * n);
      }
    }
  }
}

}  // namespace
}  // namespace lathe::kernels
