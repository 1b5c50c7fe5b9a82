// The kernels around the products of linear layers: what the library's epilogue does not do.
#pragma once

#include <lathe/tensor/backend.h>

#include <cstddef>

#include "runtime.h"

namespace lathe::cuda {

// y = activation(pre + bias) + residual; pre + bias goes to `before` as well. `pre` may be y or
// `before`. Rows of all but the bias are dense, y and the rest of one dtype.
void finish_linear(const View& pre, const LinearArguments& arguments, Stream stream);

// Bytes that activation_gradient needs for the sum of the columns of [rows, width].
std::size_t column_sum_bytes(std::int64_t rows, std::int64_t width);
// dpre = dy activation'(before), dbias (+)= the columns of dpre; each of them may be absent (with
// Activation::none nothing is written to dpre).
void activation_gradient(const LinearGradients& arguments, const View& dpre, float* partial,
                         Stream stream);

// target[c] (+)= the sum of column c of parts [count, width], whose rows lie `step` apart.
void add_columns(const float* parts, std::int64_t count, std::int64_t width, std::int64_t step,
                 const View& target, bool add, Stream stream);

}  // namespace lathe::cuda
