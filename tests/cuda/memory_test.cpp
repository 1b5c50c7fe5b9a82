// Memory, errors and random bits of the cuda backend, on the emulator.
#include "memory.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include <lathe/base/random.h>
#include <lathe/config/toml.h>
#include <lathe/tensor/scratch.h>

#include "base/temporary_folder.h"
#include "cuda.h"

namespace lathe {
namespace {
using testing::error_of;

class OnTheEmulator : public ::testing::Test {
 protected:
  static Config options(const std::string& more = "") {
    return parse_toml("deterministic = true\n" + more, "memory_test");
  }
  template <class T>
  static std::vector<T> read(Backend& backend, const View& view) {
    std::vector<T> values(static_cast<std::size_t>(view.count()));
    backend.download(values.data(), view.data, values.size() * sizeof(T));
    return values;
  }
  template <class T>
  static void write(Backend& backend, const View& view, const std::vector<T>& values) {
    backend.upload(view.data, values.data(), values.size() * sizeof(T));
  }
};

TEST_F(OnTheEmulator, MemoryIsZeroedCountedAndGivenBack) {
  const long long before = cuda::emulated::blocks_in_use();
  CudaBackend backend(options());
  void* a = backend.allocate(1000);
  void* b = backend.allocate(0);
  EXPECT_NE(b, nullptr);
  EXPECT_EQ(backend.peak_bytes(), 1000U + 256U);
  std::vector<std::uint8_t> bytes(1000, 7);
  backend.download(bytes.data(), a, bytes.size());
  EXPECT_EQ(std::accumulate(bytes.begin(), bytes.end(), 0), 0);
  backend.release(a, 1000);
  backend.release(b, 0);
  EXPECT_EQ(backend.peak_bytes(), 1256U);
  EXPECT_EQ(cuda::emulated::blocks_in_use(), before);
}

TEST_F(OnTheEmulator, RunningOutNamesTheSizesAndWhatToLower) {
  CudaBackend backend(options());
  const auto all = static_cast<long long>(cuda::memory().free);
  cuda::emulated::set_free_bytes(3 << 20);
  const std::string text = error_of([&] { backend.allocate(8 << 20); });
  cuda::emulated::set_free_bytes(all);
  EXPECT_NE(text.find("8388608 bytes could not be had"), std::string::npos) << text;
  EXPECT_NE(text.find("3 MiB are free"), std::string::npos) << text;
  EXPECT_NE(text.find("Lower train.batch"), std::string::npos) << text;
  EXPECT_NE(text.find("train.accumulation"), std::string::npos) << text;
}

TEST_F(OnTheEmulator, TheHostCannotTouchDeviceMemory) {
  EXPECT_DEATH(
      {
        CudaBackend backend(options());
        auto* data = static_cast<float*>(backend.allocate(4));
        // The memory closes after one call in eight.
        for (int i = 0; i < 8; ++i) {
          backend.fill(dense_view(data, DType::f32, {1}), 1);
          data[0] += 1;
        }
      },
      "");
}

TEST_F(OnTheEmulator, AnIndexOutsideOfItsTableIsNamedWhenTheHostWaits) {
  CudaBackend backend(options());
  const Scratch table(backend, DType::f32, {4, 2}), y(backend, DType::f32, {3, 2});
  const Scratch index(backend, DType::i32, {3});
  write<std::int32_t>(backend, index, {0, 9, -1});
  backend.fill(table, 2);
  backend.gather(table, index, y);
  EXPECT_EQ(error_of([&] { backend.synchronise(); }),
            "cuda: gather: index 9 at position 1 is outside a table of 4 rows");
  backend.synchronise();  // said once
  EXPECT_EQ(read<float>(backend, y), (std::vector<float>{2, 2, 0, 0, 0, 0}));
}

TEST_F(OnTheEmulator, DropsTheElementsOfTheStream) {
  CudaBackend backend(options());
  const RandomStream random = RandomStream(5, "dropout").at(11);
  const Scratch x(backend, DType::f32, {1003}), y(backend, DType::f32, {1003});
  backend.fill(x, 1);
  backend.dropout(x, 0.25f, random, {y, false});
  const std::vector<float> values = read<float>(backend, y);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(values[i], random.uniform(i) < 0.25f ? 0.0f : 1 / 0.75f) << i;
  }
}

// Of two bf16 neighbours the upper one is taken with the probability of the distance: the 16 bits
// of the f32 below them, compared with 16 bits of the stream.
TEST_F(OnTheEmulator, RoundsStochasticallyByTheStream) {
  CudaBackend backend(options("rounding = 'stochastic'"));
  constexpr std::int64_t count = 4096;
  const Scratch parameter(backend, DType::f32, {count}), gradient(backend, DType::f32, {count});
  const Scratch shadow(backend, DType::bf16, {count});
  const float weight = 1 + 0x1p-9f;  // a quarter of the way from 1 to 1 + 2^-7
  backend.fill(parameter, static_cast<double>(weight));
  OptimizerArguments arguments;
  arguments.parameter = parameter;
  arguments.gradient = gradient;
  arguments.shadow = shadow;
  arguments.step = 3;
  backend.sgd(arguments);
  const RandomStream random(0, "stochastic rounding", 3);
  const std::vector<bf16> rounded = read<bf16>(backend, shadow);
  int up = 0;
  for (std::size_t i = 0; i < rounded.size(); ++i) {
    const bool expected = (random.word(i) & 0xffffu) >= 0xc000u;
    ASSERT_EQ(static_cast<float>(rounded[i]), expected ? 1 + 0x1p-7f : 1.0f) << i;
    up += expected ? 1 : 0;
  }
  EXPECT_NEAR(up, count / 4, 4 * std::sqrt(count * 0.25 * 0.75));
}

}  // namespace
}  // namespace lathe
