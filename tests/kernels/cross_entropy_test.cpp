#include "../../plugins/backends/onednn/kernels/cross_entropy.h"

#include <limits>

#include "kernel_testing.h"

namespace lathe::kernels {
namespace {

using namespace testing;

using Targets = std::vector<std::int32_t>;

struct Example {
  std::size_t rows, vocabulary, stride;
  Targets targets;
};

// Rows of one kind each: ordinary, first and last token, ignored.
Example example(std::size_t vocabulary) {
  const auto last = static_cast<std::int32_t>(vocabulary - 1);
  return {5, vocabulary, vocabulary + 5, {last / 2, 0, -1, last, last / 3}};
}

double plain_lse(const double* logits, std::size_t vocabulary) {
  double top = logits[0];
  for (std::size_t v = 0; v < vocabulary; ++v) top = std::max(top, logits[v]);
  double total = 0;
  for (std::size_t v = 0; v < vocabulary; ++v) total += std::exp(logits[v] - top);
  return top + std::log(total);
}

double plain_loss(const double* logits, std::size_t vocabulary, std::int32_t target,
                  double smoothing, double z) {
  if (target < 0) return 0;
  const double lse = plain_lse(logits, vocabulary);
  double mean = 0;
  for (std::size_t v = 0; v < vocabulary; ++v) {
    mean += (lse - logits[v]) / static_cast<double>(vocabulary);
  }
  return (1 - smoothing) * (lse - logits[target]) + smoothing * mean + z * lse * lse;
}

double plain_entropy(const double* logits, std::size_t vocabulary) {
  const double lse = plain_lse(logits, vocabulary);
  double entropy = 0;
  for (std::size_t v = 0; v < vocabulary; ++v) {
    entropy += std::exp(logits[v] - lse) * (lse - logits[v]);
  }
  return entropy;
}

// The slope of f at each of `count` numbers, each alone.
template <class Function>
Doubles row_slopes(const double* x, std::size_t count, const Function& f) {
  return slopes(Doubles(x, x + count), [&](const Doubles& at) { return f(at.data()); });
}

// Row by row: got is dlogits [rows, stride], want(row, logits) the function it is the slope of.
template <class Function>
void expect_slopes(DType type, const Example& e, const Buffer& got, const Doubles& logits,
                   std::size_t padded, const Function& function) {
  for (std::size_t row = 0; row < e.rows; ++row) {
    const double* x = logits.data() + row * e.stride;
    const Doubles want =
        row_slopes(x, e.vocabulary, [&](const double* at) { return function(row, at); });
    Doubles mine;
    for (std::size_t v = 0; v < e.vocabulary; ++v) mine.push_back(got.get(row * e.stride + v));
    if (e.targets[row] < 0) {
      EXPECT_EQ(mine, Doubles(e.vocabulary, 0));
    } else if (e.vocabulary > 1) {
      EXPECT_LT(error(mine, want), tolerance(type)) << "row " << row;
    }
    for (std::size_t v = e.vocabulary; v < e.stride; ++v) {
      EXPECT_EQ(got.get(row * e.stride + v), v < padded ? 0 : x[v]) << "past the vocabulary";
    }
  }
}

void check_loss(DType type, std::size_t vocabulary, double smoothing, double z) {
  SCOPED_TRACE(cat(name_of(type), " V ", vocabulary, " s ", smoothing, " z ", z));
  const Example e = example(vocabulary);
  Buffer logits = random_buffer(type, e.rows * e.stride, 1, 3);
  const Doubles before = logits.values();
  Buffer weights(DType::f32, {0.5, 1, 2, -1.25, 0.75});
  Buffer loss(DType::f32, e.rows);
  Buffer lse(DType::f32, e.rows);
  const std::size_t padded = vocabulary + 2;
  cross_entropy({type, e.rows, vocabulary, e.stride, padded, logits.data(), e.targets.data(),
                 weights.floats(), static_cast<float>(smoothing), static_cast<float>(z),
                 loss.floats(), lse.floats(), true});
  for (std::size_t row = 0; row < e.rows; ++row) {
    const double* x = before.data() + row * e.stride;
    const double want = plain_loss(x, vocabulary, e.targets[row], smoothing, z);
    const double want_lse = e.targets[row] < 0 ? 0 : plain_lse(x, vocabulary);
    EXPECT_NEAR(loss.get(row), want, 1e-6 * (1 + want));
    EXPECT_NEAR(lse.get(row), want_lse, 1e-6 * (1 + std::fabs(want_lse)));
  }
  expect_slopes(type, e, logits, before, padded, [&](std::size_t row, const double* at) {
    return weights.get(row) * plain_loss(at, vocabulary, e.targets[row], smoothing, z);
  });
}

TEST(CrossEntropy, LossAndGradient) {
  for (const DType type : float_types) {
    for (const std::size_t vocabulary : Sizes{1, 3, 16, 37, 131}) {
      check_loss(type, vocabulary, 0, 0);
      check_loss(type, vocabulary, 0.125, 0);
      check_loss(type, vocabulary, 0.125, 0.0625);
    }
  }
}

TEST(CrossEntropy, LossAloneLeavesTheLogits) {
  const Example e = example(100);
  Buffer logits = random_buffer(DType::f32, e.rows * e.stride, 1);
  const Buffer before = logits;
  Buffer loss(DType::f32, e.rows);
  cross_entropy({.rows = e.rows,
                 .vocabulary = 100,
                 .stride = e.stride,
                 .logits = logits.data(),
                 .targets = e.targets.data(),
                 .loss = loss.floats()});
  EXPECT_EQ(logits.bytes(), before.bytes());
  EXPECT_EQ(loss.get(2), 0);
  EXPECT_NEAR(loss.get(0), plain_loss(before.values().data(), 100, e.targets[0], 0, 0), 1e-5);
}

// A row longer than the block of the log-sum, with its maximum early, late, and huge.
TEST(CrossEntropy, LongRowsInAnyOrder) {
  const std::size_t vocabulary = 5003;
  for (const std::size_t peak : Sizes{0, 2047, 2048, 5002}) {
    Doubles x = normal(vocabulary, 1);
    for (std::size_t v = 0; v < vocabulary; ++v) x[v] += static_cast<double>(v) * 1e-3;
    x[peak] = 12;
    Buffer logits(DType::f32, x);
    Buffer out(DType::f32, std::size_t{3});
    const std::int32_t target = 77;
    token_log_probability({.rows = 1,
                           .vocabulary = vocabulary,
                           .stride = vocabulary,
                           .logits = logits.data(),
                           .targets = &target,
                           .logp = out.floats(),
                           .lse = out.floats() + 1,
                           .entropy = out.floats() + 2});
    const Doubles as_rounded = logits.values();
    const double lse = plain_lse(as_rounded.data(), vocabulary);
    const double entropy = plain_entropy(as_rounded.data(), vocabulary);
    EXPECT_NEAR(out.get(0), as_rounded[77] - lse, 1e-5);
    EXPECT_NEAR(out.get(1), lse, 1e-5);
    EXPECT_NEAR(out.get(2), entropy, 1e-5 * entropy);
  }
}

TEST(CrossEntropy, MaskedLogitsHaveNoWeight) {
  const double infinity = std::numeric_limits<double>::infinity();
  Buffer logits(DType::f32, {-infinity, 1, 1, -infinity});
  Buffer out(DType::f32, std::size_t{3});
  const std::int32_t target = 2;
  token_log_probability({.rows = 1,
                         .vocabulary = 4,
                         .stride = 4,
                         .logits = logits.data(),
                         .targets = &target,
                         .logp = out.floats(),
                         .lse = out.floats() + 1,
                         .entropy = out.floats() + 2});
  EXPECT_NEAR(out.get(0), -std::log(2.0), 1e-6);
  EXPECT_NEAR(out.get(2), std::log(2.0), 1e-6);
  Buffer dlogp(DType::f32, Doubles{3});
  Buffer dentropy(DType::f32, Doubles{5});
  token_log_probability_backward({.rows = 1,
                                  .vocabulary = 4,
                                  .stride = 4,
                                  .logits = logits.data(),
                                  .targets = &target,
                                  .lse = out.floats() + 1,
                                  .dlogp = dlogp.floats(),
                                  .dentropy = dentropy.floats(),
                                  .entropy = out.floats() + 2});
  EXPECT_EQ(logits.get(0), 0);
  EXPECT_NEAR(logits.get(1), -1.5, 1e-5);
  EXPECT_NEAR(logits.get(2), 1.5, 1e-5);
  EXPECT_EQ(logits.get(3), 0);
}

void check_tokens(DType type, std::size_t vocabulary, bool with_entropy, double scale) {
  SCOPED_TRACE(cat(name_of(type), " V ", vocabulary, " entropy ", with_entropy, " by ", scale));
  const Example e = example(vocabulary);
  Buffer logits = random_buffer(type, e.rows * e.stride, 1, 3);
  const Doubles before = logits.values();
  Buffer logp(DType::f32, e.rows);
  Buffer lse(DType::f32, e.rows);
  Buffer entropy(DType::f32, e.rows);
  const auto factor = static_cast<float>(scale);
  const auto scaled = [&](const double* x) {
    Doubles values(x, x + vocabulary);
    for (double& value : values) value *= scale;
    return values;
  };
  token_log_probability({type, e.rows, vocabulary, e.stride, factor, logits.data(),
                         e.targets.data(), logp.floats(), lse.floats(), entropy.floats()});
  for (std::size_t row = 0; row < e.rows; ++row) {
    const Doubles values = scaled(before.data() + row * e.stride);
    const double* x = values.data();
    const bool used = e.targets[row] >= 0;
    EXPECT_NEAR(logp.get(row), used ? x[e.targets[row]] - plain_lse(x, vocabulary) : 0, 1e-5);
    EXPECT_NEAR(entropy.get(row), used ? plain_entropy(x, vocabulary) : 0, 1e-5);
  }
  Buffer dlogp(DType::f32, {1, -2, 3, 0.5, 0});
  Buffer dentropy(DType::f32, {0.5, 1, 2, 0, -1});
  const std::size_t padded = vocabulary + 1;
  token_log_probability_backward({type, e.rows, vocabulary, e.stride, padded, factor, logits.data(),
                                  e.targets.data(), lse.floats(), dlogp.floats(),
                                  with_entropy ? dentropy.floats() : nullptr, entropy.floats()});
  expect_slopes(type, e, logits, before, padded, [&](std::size_t row, const double* plain) {
    if (e.targets[row] < 0) return 0.0;
    const Doubles values = scaled(plain);
    const double* at = values.data();
    const double chance = at[e.targets[row]] - plain_lse(at, vocabulary);
    const double spread = with_entropy ? dentropy.get(row) * plain_entropy(at, vocabulary) : 0;
    return dlogp.get(row) * chance + spread;
  });
}

TEST(CrossEntropy, TokensAndTheirGradient) {
  for (const DType type : float_types) {
    for (const std::size_t vocabulary : Sizes{3, 16, 37, 131}) {
      for (const double scale : {1.0, 0.5, 1.6}) check_tokens(type, vocabulary, true, scale);
    }
  }
}

TEST(CrossEntropy, TokenGradientWithoutEntropyIsThatOfTheLoss) {
  const Example e = example(333);
  Buffer one = random_buffer(DType::f32, e.rows * e.stride, 1);
  Buffer two = one;
  Buffer weights(DType::f32, {1, 2, 3, 4, 5});
  Buffer minus(DType::f32, {-1, -2, -3, -4, -5});
  Buffer lse(DType::f32, e.rows);
  cross_entropy({.rows = e.rows,
                 .vocabulary = 333,
                 .stride = e.stride,
                 .logits = one.data(),
                 .targets = e.targets.data(),
                 .weights = weights.floats(),
                 .lse = lse.floats(),
                 .gradient = true});
  token_log_probability_backward({.rows = e.rows,
                                  .vocabulary = 333,
                                  .stride = e.stride,
                                  .logits = two.data(),
                                  .targets = e.targets.data(),
                                  .lse = lse.floats(),
                                  .dlogp = minus.floats()});
  EXPECT_LT(error(two.values(), one.values()), 1e-6);
}

TEST(CrossEntropy, BitsDoNotDependOnThreads) {
  Targets targets(40);
  for (std::size_t row = 0; row < 40; ++row) targets[row] = static_cast<std::int32_t>(row * 70) - 1;
  for (const DType type : float_types) {
    const Buffer logits = random_buffer(type, 40 * 3001, 1);
    expect_same_bits([&] {
      Buffer gradient = logits;
      Buffer loss(DType::f32, std::size_t{40});
      cross_entropy({.dtype = type,
                     .rows = 40,
                     .vocabulary = 3001,
                     .stride = 3001,
                     .logits = gradient.data(),
                     .targets = targets.data(),
                     .loss = loss.floats(),
                     .gradient = true});
      return gradient;
    });
  }
}

TEST(CrossEntropy, TargetsOutsideTheVocabularyAreNamed) {
  Buffer logits(DType::f32, Doubles(6, 1));
  const Targets targets = {1, 3};
  try {
    cross_entropy({.rows = 2,
                   .vocabulary = 3,
                   .stride = 3,
                   .logits = logits.data(),
                   .targets = targets.data()});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "cross-entropy: target 3 of row 1 is not below the vocabulary of 3");
  }
}

}  // namespace
}  // namespace lathe::kernels
