// What the tests of the row and elementwise kernels share: guarded buffers, a normwise error, and
// the check that bits do not depend on the number of threads.
#pragma once

#include <gtest/gtest.h>
#include <lathe/base/error.h>
#include <lathe/tensor/dtype.h>
#include <omp.h>

#include <cmath>
#include <cstddef>
#include <cstring>
#include <random>
#include <vector>

namespace lathe::kernels::testing {

using Doubles = std::vector<double>;
using Sizes = std::vector<std::size_t>;

// Elements of f32 or bf16 between two guards that nothing may write to.
class Buffer {
 public:
  Buffer(DType type, std::size_t count)
      : type_(type), count_(count), bytes_(count * size_of(type) + 2 * guard, 0xab) {}
  Buffer(DType type, const Doubles& values) : Buffer(type, values.size()) {
    for (std::size_t i = 0; i < count_; ++i) set(i, values[i]);
  }
  ~Buffer() { EXPECT_TRUE(intact()) << "a kernel wrote outside its tensor"; }
  Buffer(const Buffer&) = default;

  void* data() { return bytes_.data() + guard; }
  float* floats() { return static_cast<float*>(data()); }
  std::size_t size() const { return count_; }

  void set(std::size_t i, double value) {
    const float single = static_cast<float>(value);
    if (type_ == DType::f32) {
      std::memcpy(at(i), &single, 4);
    } else {
      const std::uint16_t half = bf16(single).bits;
      std::memcpy(at(i), &half, 2);
    }
  }
  double get(std::size_t i) const {
    std::uint32_t word = 0;
    unsigned char* target = reinterpret_cast<unsigned char*>(&word);
    const unsigned char* source = bytes_.data() + guard + i * size_of(type_);
    std::memcpy(type_ == DType::f32 ? target : target + 2, source, size_of(type_));
    return static_cast<double>(std::bit_cast<float>(word));
  }
  Doubles values() const {
    Doubles all(count_);
    for (std::size_t i = 0; i < count_; ++i) all[i] = get(i);
    return all;
  }
  const std::vector<unsigned char>& bytes() const { return bytes_; }

 private:
  static constexpr std::size_t guard = 64;
  unsigned char* at(std::size_t i) { return bytes_.data() + guard + i * size_of(type_); }
  bool intact() const {
    for (std::size_t i = 0; i < guard; ++i) {
      if (bytes_[i] != 0xab || bytes_[bytes_.size() - 1 - i] != 0xab) return false;
    }
    return true;
  }

  DType type_;
  std::size_t count_;
  std::vector<unsigned char> bytes_;
};

inline Doubles normal(std::size_t count, unsigned seed, double spread = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> distribution(0, spread);
  Doubles values(count);
  for (double& value : values) value = distribution(generator);
  return values;
}

// A buffer of normal numbers; values() gives them as rounded.
inline Buffer random_buffer(DType type, std::size_t count, unsigned seed, double spread = 1) {
  return Buffer(type, normal(count, seed, spread));
}

// |got - want| / |want| in the Euclidean norm.
inline double error(const Doubles& got, const Doubles& want) {
  EXPECT_EQ(got.size(), want.size());
  double difference = 0;
  double size = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    difference += (got[i] - want[i]) * (got[i] - want[i]);
    size += want[i] * want[i];
  }
  return std::sqrt(difference / size);
}

// f32: a few roundings. bf16: the rounding of the result, at most 2^-8 of each element, is all.
inline double tolerance(DType type) { return type == DType::f32 ? 1e-5 : 0x1p-8; }

// The gradient of `loss` at x by central differences in double.
template <class Loss>
Doubles slopes(Doubles x, const Loss& loss) {
  Doubles gradient(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double kept = x[i];
    const double step = 1e-5;
    x[i] = kept + step;
    const double above = loss(x);
    x[i] = kept - step;
    gradient[i] = (above - loss(x)) / (2 * step);
    x[i] = kept;
  }
  return gradient;
}

inline double dot(const Doubles& a, const Doubles& b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) total += a[i] * b[i];
  return total;
}

inline Doubles plus(Doubles a, const Doubles& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

// result() returns a Buffer; its bits must be the same at 1, 2, 4 and 8 threads.
template <class Result>
void expect_same_bits(const Result& result) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const Buffer first = result();
  for (const int threads : {2, 4, 8}) {
    omp_set_num_threads(threads);
    EXPECT_EQ(result().bytes(), first.bytes()) << threads << " threads";
  }
  omp_set_num_threads(before);
}

inline const DType float_types[] = {DType::f32, DType::bf16};

}  // namespace lathe::kernels::testing
