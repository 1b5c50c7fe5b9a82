// Matrices and plain products for the tests of gemm().
#pragma once

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "../../plugins/backends/onednn/kernels/dispatch.h"
#include "../../plugins/backends/onednn/kernels/gemm.h"

namespace lathe::kernels {

LATHE_DECLARE_KERNEL(gemm, Gemm)
LATHE_DECLARE_KERNEL(pack_panels, PanelPacking)

inline constexpr Isa every_isa[] = {Isa::avx2, Isa::avx512, Isa::avx512_bf16};

inline void run(Isa isa, const Gemm& product) {
  switch (isa) {
    case Isa::avx2:
      return avx2::gemm(product);
    case Isa::avx512:
      return avx512::gemm(product);
    case Isa::avx512_bf16:
      return avx512_bf16::gemm(product);
  }
}

inline void run(Isa isa, const PanelPacking& packing) {
  switch (isa) {
    case Isa::avx2:
      return avx2::pack_panels(packing);
    case Isa::avx512:
      return avx512::pack_panels(packing);
    case Isa::avx512_bf16:
      return avx512_bf16::pack_panels(packing);
  }
}

// Values of a strided matrix in either type, between poisoned gaps.
struct Matrix {
  std::int64_t rows, columns, row_step, column_step;
  DType type;
  std::vector<float> singles;
  std::vector<bf16> halves;

  Matrix(std::int64_t rows_, std::int64_t columns_, DType type_, bool by_column = false,
         std::int64_t gap = 3)
      : rows(rows_),
        columns(columns_),
        row_step(by_column ? 1 : columns_ + gap),
        column_step(by_column ? rows_ + gap : 1),
        type(type_) {
    const auto count =
        static_cast<std::size_t>(by_column ? columns * column_step + gap : rows * row_step + gap);
    const float poison = std::numeric_limits<float>::quiet_NaN();
    if (type == DType::f32) {
      singles.assign(count, poison);
    } else {
      halves.assign(count, bf16(poison));
    }
  }
  std::size_t place(std::int64_t i, std::int64_t j) const {
    return static_cast<std::size_t>(i * row_step + j * column_step);
  }
  float get(std::int64_t i, std::int64_t j) const {
    return type == DType::f32 ? singles[place(i, j)] : static_cast<float>(halves[place(i, j)]);
  }
  void set(std::int64_t i, std::int64_t j, float value) {
    if (type == DType::f32) {
      singles[place(i, j)] = value;
    } else {
      halves[place(i, j)] = bf16(value);
    }
  }
  template <class Make>
  void fill(const Make& make) {
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j) set(i, j, make());
    }
  }
  void copy(const Matrix& other) {
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j) set(i, j, other.get(i, j));
    }
  }
  void* data() {
    return type == DType::f32 ? static_cast<void*>(singles.data())
                              : static_cast<void*>(halves.data());
  }
  // Elements that are not poison.
  std::int64_t written() const {
    std::int64_t count = 0;
    for (const float value : singles) count += !std::isnan(value);
    for (const bf16 value : halves) count += !std::isnan(static_cast<float>(value));
    return count;
  }
};

inline float rounded(DType type, double value) {
  const auto single = static_cast<float>(value);
  return type == DType::f32 ? single : static_cast<float>(bf16(single));
}

inline Gemm product_of(Matrix& a, Matrix& b, Matrix& c) {
  Gemm g;
  g.m = c.rows, g.n = c.columns, g.k = a.columns;
  g.a = a.data(), g.a_row = a.row_step, g.a_column = a.column_step;
  g.b = b.data(), g.b_row = b.row_step, g.b_column = b.column_step;
  g.c = c.data(), g.c_row = c.row_step;
  g.ab_type = a.type, g.c_type = c.type;
  return g;
}

inline double dot(const Matrix& a, const Matrix& b, std::int64_t i, std::int64_t j) {
  double sum = 0;
  for (std::int64_t k = 0; k < a.columns; ++k) {
    sum += static_cast<double>(a.get(i, k)) * static_cast<double>(b.get(k, j));
  }
  return sum;
}

inline std::vector<std::uint32_t> bits_of(const Matrix& c) {
  std::vector<std::uint32_t> bits;
  for (std::int64_t i = 0; i < c.rows; ++i) {
    for (std::int64_t j = 0; j < c.columns; ++j) {
      bits.push_back(std::bit_cast<std::uint32_t>(c.get(i, j)));
    }
  }
  return bits;
}

class GemmOn : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!supported(GetParam())) GTEST_SKIP() << "skipped: this processor has no " << isa();
  }
  void TearDown() override { omp_set_num_threads(threads_); }
  std::string isa() const { return std::string(name_of(GetParam())); }
  void multiply(const Gemm& product) const { run(GetParam(), product); }
  void pack(const PanelPacking& packing) const { run(GetParam(), packing); }

  float small_integer() { return static_cast<float>(static_cast<int>(generator_() % 9) - 4); }
  float normal() { return std::normal_distribution<float>()(generator_); }

  std::minstd_rand generator_{7};
  int threads_ = omp_get_max_threads();
};

}  // namespace lathe::kernels
