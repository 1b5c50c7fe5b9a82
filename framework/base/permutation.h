// A whole pseudo-random order at once.
#pragma once

#include <lathe/base/random.h>

#include <cstdint>
#include <vector>

namespace lathe {

// permuted(stream, 0 ... count-1, count), for a fraction of the price: about 12 sqrt(count) random
// numbers in all instead of 6 to 12 for each element.
std::vector<std::uint64_t> permutation(const RandomStream& stream, std::uint64_t count);

}  // namespace lathe
