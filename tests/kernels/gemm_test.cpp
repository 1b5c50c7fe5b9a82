// The matrix products of the onednn backend, for every instruction set this machine has.
#include "gemm_example.h"

#include <lathe/base/error.h>

namespace lathe::kernels {
namespace {

INSTANTIATE_TEST_SUITE_P(Every, GemmOn, testing::ValuesIn(every_isa),
                         [](const auto& each) { return std::string(name_of(each.param)); });

// With integers from -4 to 4 every partial sum is exact, so the only rounding is that into C.
TEST_P(GemmOn, has_no_error_on_integers) {
  const std::int64_t sizes[][3] = {
      {1, 1, 1},    {1, 1, 0},     {3, 5, 0},     {60, 40, 0},     {1, 32, 16},   {1, 33, 17},
      {2, 31, 15},  {1, 100, 700}, {5, 7, 3},     {13, 16, 32},    {14, 32, 33},  {15, 33, 31},
      {17, 1, 29},  {8, 64, 130},  {29, 47, 257}, {48, 65, 129},   {49, 1, 1},    {50, 32, 64},
      {57, 95, 35}, {64, 31, 515}, {85, 63, 77},  {100, 17, 1030}, {71, 129, 200}};
  for (const auto& [m, n, k] : sizes) {
    Matrix left(m, k, DType::f32), right(k, n, DType::f32), start(m, n, DType::f32);
    left.fill([&] { return small_integer(); });
    right.fill([&] { return small_integer(); });
    start.fill([&] { return small_integer(); });
    Matrix sums(m, n, DType::f32);
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j)
        sums.set(i, j, rounded(DType::f32, dot(left, right, i, j)));
    }
    for (int choice = 0; choice < 32; ++choice) {
      const bool a_by_column = choice & 1, b_by_column = choice & 2, add = choice & 4;
      const DType ab = choice & 8 ? DType::bf16 : DType::f32;
      const DType result = choice & 16 ? DType::bf16 : DType::f32;
      Matrix a(m, k, ab, a_by_column), b(k, n, ab, b_by_column), c(m, n, result);
      a.copy(left);
      b.copy(right);
      if (add) c.copy(start);
      Gemm product = product_of(a, b, c);
      product.add = add;
      multiply(product);
      for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t j = 0; j < n; ++j) {
          const float sum = (add ? start.get(i, j) : 0) + sums.get(i, j);
          ASSERT_EQ(c.get(i, j), rounded(result, static_cast<double>(sum)))
              << m << " x " << n << " x " << k << " choice " << choice << " at " << i << ", " << j;
        }
      }
      ASSERT_EQ(c.written(), m * n) << "wrote between the rows of C";
    }
  }
}

// More than one block of rows, of columns and of k.
TEST_P(GemmOn, has_no_error_on_integers_in_many_blocks) {
  const std::int64_t sizes[][3] = {{1601, 20, 40},   {50, 3200, 60},   {52, 70, 2300},
                                   {1100, 40, 2100}, {60, 3200, 1100}, {1560, 1570, 3}};
  for (const auto& [m, n, k] : sizes) {
    for (const DType type : {DType::f32, DType::bf16}) {
      for (const bool add : {false, true}) {
        Matrix a(m, k, type), b(k, n, type, true), c(m, n, type);
        a.fill([&] { return small_integer(); });
        b.fill([&] { return small_integer(); });
        c.fill([&] { return small_integer(); });
        const Matrix before = c;
        Gemm product = product_of(a, b, c);
        product.add = add;
        multiply(product);
        std::int64_t wrong = 0;
        for (std::int64_t i = 0; i < m; i += 1 + i % 7) {
          for (std::int64_t j = 0; j < n; j += 1 + j % 7) {
            const double start = add ? static_cast<double>(before.get(i, j)) : 0;
            wrong += c.get(i, j) != rounded(type, start + dot(a, b, i, j));
          }
        }
        EXPECT_EQ(wrong, 0) << m << " x " << n << " x " << k << name_of(type) << add;
      }
    }
  }
}

TEST_P(GemmOn, adds_bias_and_residual_around_relu_exactly) {
  for (const auto& [m, n, k] :
       {std::tuple{3, 37, 50}, {60, 70, 33}, {70, 64, 2100}, {130, 3, 40}}) {
    for (const DType result : {DType::f32, DType::bf16}) {
      for (const bool in_place : {false, true}) {
        Matrix a(m, k, DType::bf16), b(k, n, DType::bf16, true), c(m, n, result);
        Matrix residual(m, n, result, false, 5), before(m, n, result);
        a.fill([&] { return small_integer(); });
        b.fill([&] { return small_integer(); });
        c.fill([&] { return small_integer(); });
        residual.fill([&] { return small_integer(); });
        std::vector<float> bias;
        for (int j = 0; j < n; ++j) bias.push_back(small_integer());
        const Matrix added = in_place ? c : residual;
        Gemm product = product_of(a, b, c);
        product.bias = bias.data();
        product.activation = Activation::relu;
        product.before = before.data();
        product.residual = in_place ? c.data() : residual.data();
        product.residual_row = in_place ? c.row_step : residual.row_step;
        multiply(product);
        for (int i = 0; i < m; ++i) {
          for (int j = 0; j < n; ++j) {
            const double sum = dot(a, b, i, j) + static_cast<double>(bias[static_cast<size_t>(j)]);
            ASSERT_EQ(before.get(i, j), rounded(result, sum));
            ASSERT_EQ(c.get(i, j),
                      rounded(result, std::max(static_cast<double>(rounded(result, sum)), 0.0) +
                                          static_cast<double>(added.get(i, j))));
          }
        }
        ASSERT_EQ(c.written(), m * n);
        ASSERT_EQ(before.written(), m * n);
      }
    }
  }
}

TEST_P(GemmOn, applies_activations) {
  const auto expected = [](Activation activation, double x) {
    switch (activation) {
      case Activation::none:
        return x;
      case Activation::gelu_tanh:
        return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
      case Activation::gelu_erf:
        return x / 2 * (1 + std::erf(x / M_SQRT2));
      case Activation::relu:
        return std::max(x, 0.0);
      case Activation::silu:
        return x / (1 + std::exp(-x));
    }
    return x;
  };
  for (const Activation activation : {Activation::none, Activation::gelu_tanh, Activation::gelu_erf,
                                      Activation::relu, Activation::silu}) {
    Matrix a(50, 1, DType::f32), b(1, 41, DType::f32), c(50, 41, DType::f32);
    a.fill([&] { return normal(); });
    b.fill([&] { return normal(); });
    Gemm product = product_of(a, b, c);
    product.activation = activation;
    multiply(product);
    for (std::int64_t i = 0; i < 50; ++i) {
      for (std::int64_t j = 0; j < 41; ++j) {
        const auto x = static_cast<double>(a.get(i, 0) * b.get(0, j));
        ASSERT_NEAR(static_cast<double>(c.get(i, j)), expected(activation, x),
                    4e-7 * (1 + std::abs(x)));
      }
    }
  }
}

// A chain of K roundings errs by at most K u / (1 - K u) times the sum of |a| |b|, u = 2^-24.
TEST_P(GemmOn, stays_within_the_bound_of_its_chain) {
  for (const auto& [m, n, k] : {std::tuple{1, 50, 3000}, {60, 70, 1500}, {55, 33, 700}}) {
    for (const DType type : {DType::f32, DType::bf16}) {
      Matrix a(m, k, type), b(k, n, type, true), c(m, n, DType::f32);
      a.fill([&] { return normal(); });
      b.fill([&] { return normal(); });
      multiply(product_of(a, b, c));
      const double unit = k * std::ldexp(1.0, -24);
      for (int i = 0; i < m; ++i) {
        for (int j = 0; j < n; ++j) {
          double size = 0;
          for (int p = 0; p < k; ++p) {
            size += std::abs(static_cast<double>(a.get(i, p)) * static_cast<double>(b.get(p, j)));
          }
          ASSERT_NEAR(static_cast<double>(c.get(i, j)), dot(a, b, i, j), unit / (1 - unit) * size);
        }
      }
    }
  }
}

// The promise itself, where this file can spell it out: f32 is a chain of fma.
TEST_P(GemmOn, is_one_chain_of_fma) {
  for (const auto& [m, n, k] : {std::tuple{1, 40, 1300},
                                {60, 40, 1300},
                                {60, 64, 1300},
                                {128, 84, 120},
                                {130, 2, 84},
                                {4, 64, 5},
                                {128, 120, 4},
                                {128, 84, 2},
                                {9, 33, 1},
                                {50, 7, 8}}) {
    Matrix a(m, k, DType::f32), b(k, n, DType::f32, true), c(m, n, DType::f32);
    a.fill([&] { return normal(); });
    b.fill([&] { return normal(); });
    multiply(product_of(a, b, c));
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < n; ++j) {
        float chain = 0;
        for (int p = 0; p < k; ++p) chain = std::fma(a.get(i, p), b.get(p, j), chain);
        ASSERT_EQ(c.get(i, j), chain);
      }
    }
  }
}

TEST_P(GemmOn, has_the_same_bits_at_any_thread_count_and_layout) {
  const std::tuple<int, int, int> sizes[] = {{5, 300, 700},  {90, 200, 2200}, {1600, 70, 100},
                                             {128, 84, 120}, {1100, 2, 84},   {120, 4, 1030},
                                             {128, 120, 4},  {2000, 90, 8},   {20, 40, 1}};
  for (const auto& [m, n, k] : sizes) {
    for (const DType type : {DType::f32, DType::bf16}) {
      Matrix a(m, k, type), b(k, n, type), c(m, n, type);
      a.fill([&] { return normal(); });
      b.fill([&] { return normal(); });
      omp_set_num_threads(1);
      multiply(product_of(a, b, c));
      const auto expected = bits_of(c);
      for (const int threads : {1, 2, 4, 8}) {
        omp_set_num_threads(threads);
        for (int layout = 0; layout < 4; ++layout) {
          Matrix other_a(m, k, type, layout & 1, threads), other_b(k, n, type, layout & 2, threads);
          other_a.copy(a);
          other_b.copy(b);
          Matrix other_c(m, n, type, false, threads);
          multiply(product_of(other_a, other_b, other_c));
          ASSERT_EQ(bits_of(other_c), expected) << threads << " threads, layout " << layout;
        }
      }
    }
  }
}

TEST_P(GemmOn, has_rows_that_do_not_depend_on_their_number) {
  const std::int64_t m = 130, n = 75, k = 2101;
  for (const DType type : {DType::f32, DType::bf16}) {
    Matrix a(m, k, type), b(k, n, type, true), c(m, n, type);
    a.fill([&] { return normal(); });
    b.fill([&] { return normal(); });
    multiply(product_of(a, b, c));
    const auto all = bits_of(c);
    for (const std::int64_t rows : {1, 2, 3, 7, 14, 15, 48, 49, 100}) {
      for (std::int64_t from = 0; from + rows <= m; from += rows) {
        Matrix part(rows, n, type);
        Gemm product = product_of(a, b, part);
        product.a = type == DType::f32
                        ? static_cast<const void*>(a.singles.data() + a.place(from, 0))
                        : static_cast<const void*>(a.halves.data() + a.place(from, 0));
        multiply(product);
        const auto bits = bits_of(part);
        ASSERT_TRUE(std::equal(bits.begin(), bits.end(), all.begin() + from * n))
            << rows << " rows from " << from;
      }
    }
  }
}

TEST_P(GemmOn, has_the_same_bits_past_the_caches) {
  const std::int64_t m = 700, n = 784, k = 34;  // 2.2 MB, the last panel of columns half full
  for (const std::int64_t gap : {std::int64_t{0}, std::int64_t{3}}) {  // with 3, lines are cut
    for (const DType type : {DType::f32, DType::bf16}) {
      Matrix a(m, k, type, true), b(k, n, type), warm(m, n, DType::f32, false, gap);
      Matrix cold(m, n, DType::f32, false, gap);
      cold.singles.resize(cold.singles.size() + 16, std::nanf(""));
      a.fill([&] { return normal(); });
      b.fill([&] { return normal(); });
      multiply(product_of(a, b, warm));
      Gemm product = product_of(a, b, cold);
      auto* lines = static_cast<float*>(product.c);
      while (reinterpret_cast<std::uintptr_t>(lines) % 64 != 0) ++lines;
      product.c = lines;
      product.c_is_cold = true;
      multiply(product);
      const std::ptrdiff_t shift = lines - cold.singles.data();
      EXPECT_EQ(cold.written(), m * n);
      std::rotate(cold.singles.begin(), cold.singles.begin() + shift, cold.singles.end());
      ASSERT_EQ(bits_of(cold), bits_of(warm)) << "gap " << gap;

      std::rotate(cold.singles.begin(), cold.singles.end() - shift, cold.singles.end());
      product.add = true;  // what is there counts, cold or not
      multiply(product);
      Gemm twice = product_of(a, b, warm);
      twice.add = true;
      multiply(twice);
      std::rotate(cold.singles.begin(), cold.singles.begin() + shift, cold.singles.end());
      ASSERT_EQ(bits_of(cold), bits_of(warm)) << "added, gap " << gap;
    }
  }
}

TEST_P(GemmOn, may_be_split_over_k) {
  for (const std::int64_t m : {1, 60}) {
    for (const DType type : {DType::f32, DType::bf16}) {
      const std::int64_t n = 75, k = 2300;
      Matrix a(m, k, type), b(k, n, type), whole(m, n, DType::f32), split(m, n, DType::f32);
      a.fill([&] { return normal(); });
      b.fill([&] { return normal(); });
      multiply(product_of(a, b, whole));
      const std::int64_t cuts[] = {0, 2, 300, 300, 814, k};
      for (int part = 0; part < 5; ++part) {
        Gemm product = product_of(a, b, split);
        product.k = cuts[part + 1] - cuts[part];
        const auto size = static_cast<std::int64_t>(size_of(type));
        product.a = static_cast<const std::byte*>(product.a) + cuts[part] * a.column_step * size;
        product.b = static_cast<const std::byte*>(product.b) + cuts[part] * b.row_step * size;
        product.add = part > 0;
        multiply(product);
      }
      EXPECT_EQ(bits_of(split), bits_of(whole));
    }
  }
}

TEST(Gemm, has_the_same_bits_in_f32_on_every_instruction_set) {
  std::minstd_rand generator(3);
  std::normal_distribution<float> normal;
  Matrix a(70, 600, DType::f32), b(600, 50, DType::f32), c(70, 50, DType::f32);
  a.fill([&] { return normal(generator); });
  b.fill([&] { return normal(generator); });
  gemm(product_of(a, b, c));
  const auto expected = bits_of(c);
  for (const Isa isa : every_isa) {
    if (!supported(isa)) continue;
    run(isa, product_of(a, b, c));
    EXPECT_EQ(bits_of(c), expected) << name_of(isa);
  }
}

TEST(Gemm, does_nothing_to_an_empty_result) {
  Matrix a(4, 4, DType::f32), b(4, 4, DType::f32), c(4, 4, DType::f32);
  Gemm product = product_of(a, b, c);
  product.m = 0;
  gemm(product);
  product.m = 4;
  product.n = 0;
  gemm(product);
  EXPECT_EQ(c.written(), 0);
}

TEST(Gemm, batches_have_the_bits_of_single_products) {
  std::minstd_rand generator(3);
  std::normal_distribution<float> normal;
  const std::int64_t m = 9, n = 20, k = 30;
  for (const std::int64_t count : {0, 1, 3, 37}) {
    Matrix a(count * m, k, DType::f32, false, 0), b(k, n, DType::f32), c(count * m, n, DType::f32);
    a.fill([&] { return normal(generator); });
    b.fill([&] { return normal(generator); });
    Matrix expected = c;
    gemm(product_of(a, b, expected));
    Gemm product = product_of(a, b, c);
    product.m = m;
    gemm_batched(product, count, m * k, 0, m * c.row_step);
    EXPECT_EQ(bits_of(c), bits_of(expected));
  }
}

TEST(Gemm, runs_inside_a_parallel_region) {
  Matrix a(60, 60, DType::f32), b(60, 60, DType::f32);
  a.fill([] { return 2.0f; });
  b.fill([] { return 3.0f; });
  int right = 0;
#pragma omp parallel num_threads(3) reduction(+ : right)
  {
    Matrix c(60, 60, DType::f32);
    gemm(product_of(a, b, c));
    right += c.get(59, 59) == 360.0f;
  }
  EXPECT_EQ(right, 3);
}

TEST(Gemm, refuses_what_it_cannot_do) {
  Matrix a(4, 4, DType::f32), b(4, 4, DType::f32), c(4, 4, DType::f32);
  const Gemm good = product_of(a, b, c);
  const auto refuses = [](const Gemm& product, const std::string& word) {
    try {
      gemm(product);
    } catch (const Error& error) {
      return std::string(error.what()).find(word) != std::string::npos;
    }
    return false;
  };
  Gemm bad = good;
  bad.k = -1;
  EXPECT_TRUE(refuses(bad, "negative"));
  bad = good;
  bad.a_column = 2;
  EXPECT_TRUE(refuses(bad, "strides"));
  bad = good;
  bad.c_row = 3;
  EXPECT_TRUE(refuses(bad, "overlap"));
  bad = good;
  bad.b = nullptr;
  EXPECT_TRUE(refuses(bad, "null"));
  bad = good;
  bad.ab_type = DType::f64;
  EXPECT_TRUE(refuses(bad, "f64"));
  bad = good;
  bad.add = true;
  bad.activation = Activation::relu;
  EXPECT_TRUE(refuses(bad, "activation"));
}

}  // namespace
}  // namespace lathe::kernels
