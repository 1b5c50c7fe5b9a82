// runtime.h on the emulator.
#include "runtime.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include <lathe/base/error.h>

#include "memory.h"

namespace lathe::cuda {
namespace {
constexpr std::size_t pool_bytes = std::size_t{8} << 30;  // of addresses; pages come when touched
constexpr std::size_t red_zone = 256;
constexpr int red = 0xA7;

// One region of addresses, cut up in order, in blocks of powers of two that are used again: the
// fewer pages were ever touched, the cheaper it is to close and open them.
class Pool {
 public:
  Pool() {
    void* region =
        mmap(nullptr, pool_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED) fail("the emulator found no addresses for device memory");
    base_ = static_cast<std::byte*>(region);
  }

  // Closing costs two calls of the system, so it is done one time in eight: what an op's host code
  // touches, it touches on all of the hundreds of calls that the contract makes.
  void open() {
    if (openings_++ == 0 && closed_) protect(false);
  }
  void close() {
    if (--openings_ == 0 && ++closings_ % 8 == 0) protect(true);
  }

  void* take(std::size_t bytes) {
    const std::size_t size = std::bit_ceil(bytes + red_zone);
    if (size > free_) return nullptr;
    std::byte* block = nullptr;
    const auto found = unused_.find(size);
    if (found != unused_.end()) {
      block = found->second;
      unused_.erase(found);
    } else {
      if (used_ + size > pool_bytes) return nullptr;
      block = base_ + used_;
      used_ += size;
    }
    blocks_[block] = {bytes, size};
    free_ -= size;
    const emulated::Opened opened;
    std::memset(block, 0xff, bytes);  // no number
    std::memset(block + bytes, red, size - bytes);
    return block;
  }

  void give(void* data) {
    const auto found = blocks_.find(static_cast<std::byte*>(data));
    if (found == blocks_.end()) fail("the emulator was given back what it never gave");
    const auto [bytes, size] = found->second;
    {
      const emulated::Opened opened;
      for (std::size_t i = bytes; i < size; ++i) {
        if (found->first[i] == std::byte{red}) continue;
        fail("a kernel wrote ", i - bytes, " bytes behind a block of ", bytes, " bytes");
      }
    }
    unused_.emplace(size, found->first);
    free_ += size;
    blocks_.erase(found);
  }

  std::size_t free_bytes() const { return free_; }
  void set_free(std::size_t bytes) { free_ = bytes; }
  std::size_t blocks() const { return blocks_.size(); }

 private:
  void protect(bool closes) {
    closed_ = closes;
    if (mprotect(base_, pool_bytes, closes ? PROT_NONE : PROT_READ | PROT_WRITE) != 0) {
      fail("the emulator could not protect device memory");
    }
  }

  struct Sizes {
    std::size_t bytes, size;
  };
  std::byte* base_ = nullptr;
  std::size_t used_ = 0;
  std::size_t free_ = pool_bytes;
  int openings_ = 0;
  std::uint64_t closings_ = 0;
  bool closed_ = true;
  std::map<std::byte*, Sizes> blocks_;
  std::multimap<std::size_t, std::byte*> unused_;
};

Pool& pool() {
  static Pool pool;
  return pool;
}
}  // namespace

namespace emulated {
Opened::Opened() { pool().open(); }
Opened::~Opened() { pool().close(); }
void set_free_bytes(long long bytes) { pool().set_free(static_cast<std::size_t>(bytes)); }
long long blocks_in_use() { return static_cast<long long>(pool().blocks()); }
}  // namespace emulated

std::vector<DeviceFacts> devices() {
  return {{.name = "emulated",
           .major = 9,
           .minor = 0,
           .multiprocessors = 4,
           .memory = pool_bytes,
           .driver = 13000,
           .runtime = 13000},
          {.name = "emulated, the second",
           .major = 9,
           .minor = 0,
           .multiprocessors = 4,
           .memory = pool_bytes,
           .driver = 13000,
           .runtime = 13000}};
}

namespace {
// What a stream was given since its graph was begun.
using Launches = std::vector<std::function<void()>>;

struct OneStream {
  int device = 0;
};
thread_local int current_device = 0;
thread_local std::unique_ptr<Launches> graph_in_the_making;
}  // namespace

namespace emulated {
bool only_noted(void* stream, const std::function<void()>& again) {
  const auto* one = static_cast<OneStream*>(stream);
  if (one != nullptr && one->device != current_device) {
    fail("a stream of device ", one->device, " was used while the thread's device is ",
         current_device);
  }
  if (one == nullptr || !graph_in_the_making) return false;
  graph_in_the_making->push_back(again);
  return true;
}
void demand_no_graph(void* stream, const char* what) {
  if (only_noted(stream, [] {})) fail(what, " while a graph is being made");
}
}  // namespace emulated

void use_device(int device) {
  if (device > 1) fail("the emulator has two devices, asked for ", device);
  current_device = device;
}
void choose_device(int device) { current_device = device; }

Stream make_stream() { return std::make_unique<OneStream>(OneStream{current_device}).release(); }
void drop_stream(Stream stream) {
  std::unique_ptr<OneStream>{static_cast<OneStream*>(stream)}.reset();
}
void wait(Stream stream) { emulated::demand_no_graph(stream, "waiting"); }

void begin_graph(Stream stream) {
  emulated::demand_no_graph(stream, "a graph was begun");
  graph_in_the_making = std::make_unique<Launches>();
}
Graph end_graph(Stream) { return graph_in_the_making.release(); }
void start_graph(Graph graph, Stream stream) {
  emulated::demand_no_graph(stream, "a graph was started");
  for (const auto& launch : *static_cast<Launches*>(graph)) launch();
}
void drop_graph(Graph graph) { std::unique_ptr<Launches>{static_cast<Launches*>(graph)}.reset(); }

MemoryFacts memory() { return {.free = pool().free_bytes(), .total = pool_bytes}; }
void* take(std::size_t bytes, Stream stream) {
  emulated::demand_no_graph(stream, "memory was taken");
  return pool().take(bytes);
}
void give(void* data, Stream stream) {
  emulated::demand_no_graph(stream, "memory was given back");
  pool().give(data);
}
void trim(Stream) {}

void copy_to_device(void* to, const void* host, std::size_t bytes, Stream stream) {
  emulated::demand_no_graph(stream, "an upload");
  const emulated::Opened opened;
  std::memcpy(to, host, bytes);
}
void copy_to_host(void* host, const void* from, std::size_t bytes, Stream stream) {
  emulated::demand_no_graph(stream, "a download");
  const emulated::Opened opened;
  std::memcpy(host, from, bytes);
}
void copy_on_device(void* to, const void* from, std::size_t bytes, Stream stream) {
  if (emulated::only_noted(stream, [=] { copy_on_device(to, from, bytes, stream); })) return;
  const emulated::Opened opened;
  std::memmove(to, from, bytes);
}
void set_bytes(void* to, int value, std::size_t bytes, Stream stream) {
  if (emulated::only_noted(stream, [=] { set_bytes(to, value, bytes, stream); })) return;
  const emulated::Opened opened;
  std::memset(to, value, bytes);
}

Finding* make_finding() { return std::make_unique<Finding>().release(); }
void drop_finding(Finding* finding) { std::unique_ptr<Finding>{finding}.reset(); }

void check_grid(const Grid& grid, const char* kernel) {
  constexpr std::int64_t most_x = (std::int64_t{1} << 31) - 1;
  if (grid.x > most_x || grid.y > 65535 || grid.z > 65535) {
    fail("kernel ", kernel, ": a grid of ", grid.x, " x ", grid.y, " x ", grid.z,
         " blocks is too large");
  }
}

}  // namespace lathe::cuda
