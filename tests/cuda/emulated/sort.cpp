// sort.h by the standard library.
#include "sort.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "memory.h"

namespace lathe::cuda {

std::size_t sort_bytes(std::int64_t count) { return static_cast<std::size_t>(count) * 8; }

void sort_pairs(void* space, std::size_t bytes, const std::int32_t* keys, std::int32_t* sorted_keys,
                const std::int32_t* values, std::int32_t* sorted_values, std::int64_t count,
                int bits, Stream stream) {
  if (emulated::only_noted(stream, [=] {
        sort_pairs(space, bytes, keys, sorted_keys, values, sorted_values, count, bits, stream);
      })) {
    return;
  }
  const emulated::Opened opened;
  // What the radix sort looks at.
  const auto key = [&](std::int32_t number) {
    return static_cast<std::uint32_t>(keys[number]) & ((1u << bits) - 1u);
  };
  std::vector<std::int32_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int32_t a, std::int32_t b) { return key(a) < key(b); });
  for (std::size_t i = 0; i < order.size(); ++i) {
    sorted_keys[i] = keys[order[i]];
    sorted_values[i] = values[order[i]];
  }
}

}  // namespace lathe::cuda
