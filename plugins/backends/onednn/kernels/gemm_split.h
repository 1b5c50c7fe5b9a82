// Lengths of matrix products cut into blocks. Included by gemm_kernel.cpp alone, once per
// instruction set.
#pragma once

#include "vector.h"

#include <cstdint>

namespace lathe::kernels::LATHE_ISA::matrix {

// A length cut into equal blocks of at most `limit`, a multiple of `multiple`.
struct Split {
  std::int64_t total, size, count;
  Split(std::int64_t length, std::int64_t limit, std::int64_t multiple) : total(length) {
    const std::int64_t wanted = length <= limit ? 1 : (length + limit - 1) / limit;
    size = ((length + wanted - 1) / wanted + multiple - 1) / multiple * multiple;
    count = length == 0 ? 1 : (length + size - 1) / size;
  }
  std::int64_t begin(std::int64_t block) const { return block * size; }
  std::int64_t length(std::int64_t block) const {
    return total - begin(block) < size ? total - begin(block) : size;
  }
};

static inline std::int64_t ceiling(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
static inline std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

}  // namespace lathe::kernels::LATHE_ISA::matrix
