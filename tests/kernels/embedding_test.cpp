#include "../../plugins/backends/onednn/kernels/embedding.h"

#include "kernel_testing.h"

namespace lathe::kernels {
namespace {

using namespace testing;

using Ids = std::vector<std::int32_t>;

constexpr std::size_t vocabulary = 11;
constexpr std::size_t positions = 6;
constexpr double factor = 1.5;

const Ids tokens = {3, 10, -1, 3, 0, 3, 10};
const Ids places = {0, 1, 2, -1, 5, 0, 1};

TEST(Embedding, ForwardAddsTheScaledTokenAndThePosition) {
  for (const DType table_type : float_types) {
    for (const DType type : float_types) {
      for (const std::size_t width : Sizes{1, 16, 37}) {
        Buffer table = random_buffer(table_type, vocabulary * width, 1);
        Buffer place_table = random_buffer(table_type, positions * width, 2);
        Buffer out(type, tokens.size() * width);
        Buffer want(type, tokens.size() * width);
        Buffer want_alone(type, tokens.size() * width);
        for (std::size_t i = 0; i < want.size(); ++i) {
          const auto token = static_cast<std::size_t>(tokens[i / width]);
          const auto place = static_cast<std::size_t>(places[i / width]);
          const double first =
              tokens[i / width] < 0 ? 0 : factor * table.get(token * width + i % width);
          const bool placed = tokens[i / width] >= 0 && places[i / width] >= 0;
          const double second = !placed ? 0 : place_table.get(place * width + i % width);
          want.set(i, first + second);
          want_alone.set(i, first);
        }
        EmbeddingForward arguments{table_type, type, tokens.size(), width, vocabulary, positions};
        arguments.scale = static_cast<float>(factor);
        arguments.token = tokens.data();
        arguments.token_table = table.data();
        arguments.out = out.data();
        embedding_forward(arguments);
        EXPECT_EQ(out.values(), want_alone.values());
        arguments.position = places.data();
        arguments.position_table = place_table.data();
        embedding_forward(arguments);
        EXPECT_LT(error(out.values(), want.values()), type == DType::f32 ? 1e-7 : 0x1p-8);
      }
    }
  }
}

TEST(Embedding, BackwardAddsRowsOfTheSameToken) {
  for (const DType type : float_types) {
    for (const std::size_t width : Sizes{1, 16, 37, 300}) {
      Buffer dout = random_buffer(type, tokens.size() * width, 1);
      Buffer table(DType::f32, Doubles(vocabulary * width, 2));
      Buffer place_table(DType::f32, Doubles(positions * width, 3));
      Doubles want(vocabulary * width, 2);
      Doubles want_place(positions * width, 3);
      for (std::size_t i = 0; i < tokens.size() * width; ++i) {
        const std::int32_t token = tokens[i / width];
        if (token < 0) continue;  // gave zeros, and so learns nothing
        want[static_cast<std::size_t>(token) * width + i % width] += factor * dout.get(i);
        if (const std::int32_t place = places[i / width]; place >= 0) {
          want_place[static_cast<std::size_t>(place) * width + i % width] += dout.get(i);
        }
      }
      embedding_backward({type, tokens.size(), width, vocabulary, positions,
                          static_cast<float>(factor), tokens.data(), places.data(), dout.data(),
                          table.floats(), place_table.floats()});
      EXPECT_LT(error(table.values(), want), 1e-6);
      EXPECT_LT(error(place_table.values(), want_place), 1e-6);
    }
  }
}

TEST(Embedding, BitsDoNotDependOnThreads) {
  const std::size_t rows = 200;
  const std::size_t width = 519;
  Ids repeated(rows);
  for (std::size_t row = 0; row < rows; ++row) repeated[row] = static_cast<std::int32_t>(row % 7);
  Buffer dout = random_buffer(DType::f32, rows * width, 1);
  expect_same_bits([&] {
    Buffer table(DType::f32, Doubles(vocabulary * width, 0));
    embedding_backward({.rows = rows,
                        .width = width,
                        .vocabulary = vocabulary,
                        .token = repeated.data(),
                        .dout = dout.data(),
                        .dtoken_table = table.floats()});
    return table;
  });
}

TEST(Embedding, IndicesOutsideTheTableAreNamed) {
  const Ids bad = {1, 11};
  Buffer table(DType::f32, Doubles(vocabulary, 0));
  Buffer out(DType::f32, std::size_t{2});
  try {
    embedding_forward({.rows = 2,
                       .width = 1,
                       .vocabulary = vocabulary,
                       .token = bad.data(),
                       .token_table = table.data(),
                       .out = out.data()});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "embedding: token 11 of row 1 is not below 11, the rows of its table");
  }
}

}  // namespace
}  // namespace lathe::kernels
