// The fixed cuts of every reduction and of every parallel loop. They depend on the shape alone, so
// that the bits of a result do not depend on the number of threads.
#pragma once

#include <cstddef>

namespace lathe::kernels {

// Rows of one partial column sum.
inline constexpr std::size_t row_block = 64;
// Elements of one partial sum or one task of a flat buffer.
inline constexpr std::size_t flat_block = 16384;
// Below this many elements a second thread costs more than it brings.
inline constexpr std::size_t parallel_from = 32768;

constexpr std::size_t blocks_of(std::size_t count, std::size_t block) {
  return (count + block - 1) / block;
}

}  // namespace lathe::kernels
