// What the instruction-set builds of the matrix product share with its dispatcher.
#pragma once

#include <cstddef>

#include "gemm.h"

namespace lathe::kernels {

// A 64-byte aligned buffer of the calling thread, kept and grown between calls, so that in steady
// state a product allocates nothing. Its content is undefined and valid until the next call on
// this thread.
float* gemm_scratch(std::size_t floats);

}  // namespace lathe::kernels
