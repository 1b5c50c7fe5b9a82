// Memory for partial sums, and the checks that all kernels share.
#pragma once

#include <lathe/tensor/dtype.h>

#include <cstddef>
#include <string_view>

namespace lathe::kernels {

// At least `count` floats with any content; the calling thread's next call may reuse them. Grows
// and is never given back.
float* scratch(std::size_t count);
double* double_scratch(std::size_t count);

// Throws Error unless type is f32 or bf16.
void require_float(DType type, std::string_view kernel);

}  // namespace lathe::kernels
