// The emulator's device memory: pages that nobody can touch but kernels and copies. A backend that
// reads device memory from the host dies here as it would on a GPU.
#pragma once

#include <functional>

namespace lathe::cuda::emulated {

// Device memory can be read and written while one of these lives.
class Opened {
 public:
  Opened();
  ~Opened();
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
};

// What `memory()` says is free from now on; for tests of running out.
void set_free_bytes(long long bytes);
// Blocks that were taken and not given back.
long long blocks_in_use();

// An Error unless the stream's device is this thread's: as a GPU has it. A null stream is of every
// device. Then: whether a graph is being made, which takes `again` and wants nothing done now.
bool only_noted(void* stream, const std::function<void()>& again);
// What waits, takes or gives memory must not come while a graph is being made.
void demand_no_graph(void* stream, const char* what);

}  // namespace lathe::cuda::emulated
