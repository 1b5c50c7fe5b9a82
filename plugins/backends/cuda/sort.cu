// sort.h by CUB's radix sort, which is stable and gives the same bits on every run.
#include "sort.h"

#include <cub/device/device_radix_sort.cuh>

#include <lathe/base/error.h>

namespace lathe::cuda {
namespace {
void check(cudaError_t error) {
  if (error != cudaSuccess) fail("cuda: sorting: ", cudaGetErrorString(error));
}
}  // namespace

std::size_t sort_bytes(std::int64_t count) {
  std::size_t bytes = 0;
  const std::int32_t* in = nullptr;
  std::int32_t* out = nullptr;
  check(cub::DeviceRadixSort::SortPairs(nullptr, bytes, in, out, in, out, static_cast<int>(count)));
  return bytes;
}

void sort_pairs(void* space, std::size_t bytes, const std::int32_t* keys, std::int32_t* sorted_keys,
                const std::int32_t* values, std::int32_t* sorted_values, std::int64_t count,
                int bits, Stream stream) {
  check(cub::DeviceRadixSort::SortPairs(space, bytes, keys, sorted_keys, values, sorted_values,
                                        static_cast<int>(count), 0, bits,
                                        static_cast<cudaStream_t>(stream)));
}

}  // namespace lathe::cuda
