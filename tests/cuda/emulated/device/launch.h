// launch() of the emulator: the same rules as on a GPU, and the kernel run thread by thread.
#pragma once

#include <device/block.h>

#include <functional>
#include <type_traits>
#include <typeinfo>

#include "memory.h"
#include "runtime.h"

namespace lathe::cuda {

namespace emulated {
// Runs every block of a grid. Threads and blocks go in an order that depends on the number of
// threads that lathe::set_threads asks for, so that a result that hangs on the order shows.
void run(const Grid& grid, int threads, std::size_t shared_bytes, const char* kernel,
         const std::function<void(const Block&)>& body);
}  // namespace emulated

template <class Kernel>
void launch(const Grid& grid, std::size_t shared_bytes, Stream stream, const Kernel& kernel) {
  static_assert(std::is_trivially_copyable_v<Kernel> && sizeof(Kernel) <= 4096);
  static_assert(Kernel::threads % warp_size == 0 && Kernel::threads <= 1024);
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  check_grid(grid, typeid(Kernel).name());
  // A graph keeps the arguments as they are now.
  if (emulated::only_noted(stream, [=] { launch(grid, shared_bytes, stream, kernel); })) return;
  emulated::run(grid, Kernel::threads, shared_bytes, typeid(Kernel).name(), kernel);
}

}  // namespace lathe::cuda
