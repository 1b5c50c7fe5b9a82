// Sorting on the device.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime.h"

namespace lathe::cuda {

// Bytes that sort_pairs needs beside its operands.
std::size_t sort_bytes(std::int64_t count);
// Sorts by the lower `bits` of the keys (none negative), equal keys in their order, and takes the
// values along.
void sort_pairs(void* space, std::size_t bytes, const std::int32_t* keys, std::int32_t* sorted_keys,
                const std::int32_t* values, std::int32_t* sorted_values, std::int64_t count,
                int bits, Stream stream);

}  // namespace lathe::cuda
