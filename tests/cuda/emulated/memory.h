// The emulator's device memory: pages that nobody can touch but kernels and copies. A backend that
// reads device memory from the host dies here as it would on a GPU.
#pragma once

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

}  // namespace lathe::cuda::emulated
