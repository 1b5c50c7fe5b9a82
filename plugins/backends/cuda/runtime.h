// The little that this backend needs of the CUDA runtime, behind functions without its types: the
// emulator of the tests has its own runtime.
//
// Everything is asynchronous on a stream, in the order of the calls, but where it says "waits".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lathe::cuda {

using Stream = void*;  // a cudaStream_t

struct DeviceFacts {
  std::string name;
  int major = 0;  // compute capability
  int minor = 0;
  int multiprocessors = 0;
  std::size_t memory = 0;  // bytes
  int driver = 0;          // 13000: the CUDA version that the driver has
  int runtime = 0;         // and that this plugin was built with
};

// Of all devices; an Error that says what is missing where there is no driver or no device.
std::vector<DeviceFacts> devices();
// Makes a device the current one of this thread; an Error where it cannot be used.
void use_device(int device);
// The same for a device that use_device() has taken before; next to nothing when it is current.
void choose_device(int device);

Stream make_stream();
void drop_stream(Stream stream);
void wait(Stream stream);  // waits; an Error where a kernel failed

// What a stream was given between these two calls is not done but kept, to be started as a whole.
// Meanwhile nothing of this thread may wait, or take or give memory. Null: the runtime refused.
using Graph = void*;  // a cudaGraphExec_t
void begin_graph(Stream stream);
Graph end_graph(Stream stream);
void start_graph(Graph graph, Stream stream);
void drop_graph(Graph graph);

struct MemoryFacts {
  std::size_t free = 0;
  std::size_t total = 0;
};
MemoryFacts memory();
// Stream-ordered memory, 256-byte aligned and not initialised; null when there is none left.
void* take(std::size_t bytes, Stream stream);
void give(void* data, Stream stream);
// Gives unused memory back to the system; waits.
void trim(Stream stream);

// The host's bytes may be changed as soon as this returns.
void copy_to_device(void* to, const void* host, std::size_t bytes, Stream stream);
void copy_to_host(void* host, const void* from, std::size_t bytes, Stream stream);  // waits
void copy_on_device(void* to, const void* from, std::size_t bytes, Stream stream);
void set_bytes(void* to, int value, std::size_t bytes, Stream stream);

// What a kernel found wrong with its operands, in memory that host and device see. The first
// finding stays until the host has read it.
struct Finding {
  int what = 0;  // 0: nothing; else a number of `Place`
  std::int32_t index = 0;
  std::int64_t position = 0;
  std::int64_t rows = 0;
};
Finding* make_finding();
void drop_finding(Finding* finding);

// ---- For launch.h
struct Grid {
  std::int64_t x = 1;
  std::int64_t y = 1;
  std::int64_t z = 1;
};
inline constexpr std::size_t usual_shared_bytes = 48 * 1024;
inline constexpr std::size_t most_shared_bytes = 163 * 1024;  // of a block, compute capability 8.0

void check_grid(const Grid& grid, const char* kernel);
void allow_shared_bytes(const void* entry, std::size_t bytes);
void check_launch(const char* kernel);

// A stream and its device: whoever passes it on has the device chosen for the thread at work, since
// CUDA's current device is a thread's own.
class OwnStream {
 public:
  OwnStream() = default;
  OwnStream(int device, Stream stream) : device_(device), stream_(stream) {}

  operator Stream() const {
    choose();
    return stream_;
  }
  void choose() const { choose_device(device_); }

 private:
  int device_ = 0;
  Stream stream_ = nullptr;
};

}  // namespace lathe::cuda
