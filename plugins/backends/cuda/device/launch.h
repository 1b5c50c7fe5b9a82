// The one way to start a kernel.
#pragma once

#include <device/block.h>

#include <cstdint>
#include <type_traits>
#include <typeinfo>

#include "runtime.h"

namespace lathe::cuda {

// A kernel is a struct: its members are the arguments, `threads` the size of its blocks, and
// operator() what one thread does.
//
//   struct Fill {
//     static constexpr int threads = 256;
//     float* y;
//     LATHE_DEVICE void operator()(const Block& block) const { ... }
//   };
template <class Kernel>
__global__ void __launch_bounds__(Kernel::threads) entry(const __grid_constant__ Kernel kernel) {
  kernel(Block{});
}

// An empty grid starts nothing. Shared memory above 48 KiB is asked for each time: what is
// allowed belongs to the kernel on one device, and launches come from several threads.
template <class Kernel>
void launch(const Grid& grid, std::size_t shared_bytes, Stream stream, const Kernel& kernel) {
  static_assert(std::is_trivially_copyable_v<Kernel> && sizeof(Kernel) <= 4096);
  static_assert(Kernel::threads % warp_size == 0 && Kernel::threads <= 1024);
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  check_grid(grid, typeid(Kernel).name());
  if (shared_bytes > usual_shared_bytes) {
    allow_shared_bytes(reinterpret_cast<const void*>(&entry<Kernel>), shared_bytes);
  }
  const dim3 blocks(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y),
                    static_cast<unsigned>(grid.z));
  entry<<<blocks, Kernel::threads, shared_bytes, static_cast<cudaStream_t>(stream)>>>(kernel);
  check_launch(typeid(Kernel).name());
}

}  // namespace lathe::cuda
