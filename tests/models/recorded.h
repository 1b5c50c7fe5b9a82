// What the tests of recorded models share: values of a safetensors file, and how far ours are off.
#pragma once

#include <gtest/gtest.h>
#include <lathe/io/safetensors.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace lathe::testing {

inline std::vector<float> floats(const TensorEntry& entry) {
  std::vector<float> values(static_cast<std::size_t>(entry.elements()));
  read_floats(entry, values);
  return values;
}

inline std::vector<double> doubles(const TensorEntry& entry) {
  std::vector<double> values(static_cast<std::size_t>(entry.elements()));
  EXPECT_EQ(entry.type, TensorType::F64) << entry.name;
  std::memcpy(values.data(), entry.bytes.data(), entry.bytes.size());
  return values;
}

inline std::vector<std::int32_t> integers(const TensorEntry& entry) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(entry.elements()));
  EXPECT_EQ(entry.type, TensorType::I32) << entry.name;
  std::memcpy(values.data(), entry.bytes.data(), entry.bytes.size());
  return values;
}

// Largest deviation beside the largest value.
inline double relative(const std::vector<double>& values, const std::vector<double>& expected) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    error = std::max(error, std::abs(values[i] - expected[i]));
    size = std::max(size, std::abs(expected[i]));
  }
  return error / size;
}

inline double normwise(const std::vector<double>& values, const std::vector<float>& expected) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    error += std::pow(values[i] - static_cast<double>(expected[i]), 2);
    size += std::pow(static_cast<double>(expected[i]), 2);
  }
  return std::sqrt(error / size);
}

}  // namespace lathe::testing
