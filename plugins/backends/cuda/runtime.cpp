// runtime.h on the CUDA runtime, which is linked statically and opens the driver's library itself:
// without a driver every call here fails with words, and nothing else changes.
#include "runtime.h"

#include <cuda_runtime_api.h>
#include <lathe/base/error.h>

#include <cxxabi.h>

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace lathe::cuda {
namespace {
void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  fail("cuda: ", what, ": ", cudaGetErrorString(error), " (", cudaGetErrorName(error), ")");
}

cudaStream_t of(Stream stream) { return static_cast<cudaStream_t>(stream); }

thread_local int current_device = -1;  // that was chosen here

std::string readable(const char* symbol) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(symbol, nullptr, nullptr, &status), &std::free);
  return text ? text.get() : symbol;
}

int count_devices() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorInsufficientDriver) {
    int driver = 0;
    cudaDriverGetVersion(&driver);
    if (driver == 0) {
      throw Unavailable("no NVIDIA driver (libcuda.so.1) was found");
    }
    throw Unavailable(cat("the NVIDIA driver is too old: it has CUDA ", driver / 1000, ".",
                          driver % 1000 / 10, ", this plugin was built with ",
                          CUDART_VERSION / 1000, ".", CUDART_VERSION % 1000 / 10,
                          "; install a newer driver"));
  }
  if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0)) {
    throw Unavailable("the NVIDIA driver sees no GPU (is CUDA_VISIBLE_DEVICES set?)");
  }
  check(error, "looking for devices");
  return count;
}
}  // namespace

std::vector<DeviceFacts> devices() {
  std::vector<DeviceFacts> all;
  const int count = count_devices();
  for (int device = 0; device < count; ++device) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), "reading the properties of a device");
    DeviceFacts facts{.name = properties.name,
                      .major = properties.major,
                      .minor = properties.minor,
                      .multiprocessors = properties.multiProcessorCount,
                      .memory = properties.totalGlobalMem,
                      .driver = 0,
                      .runtime = CUDART_VERSION};
    check(cudaDriverGetVersion(&facts.driver), "reading the driver's version");
    all.push_back(facts);
  }
  return all;
}

void use_device(int device) {
  const std::vector<DeviceFacts> all = devices();
  if (device < 0 || static_cast<std::size_t>(device) >= all.size()) {
    fail("backend.device is ", device, ", but there ",
         all.size() == 1 ? "is 1 device" : cat("are ", all.size(), " devices"),
         "; the first is number 0");
  }
  const DeviceFacts& facts = all[static_cast<std::size_t>(device)];
  if (facts.major < 8) {
    throw Unavailable(cat(facts.name, " has compute capability ", facts.major, ".", facts.minor,
                          "; 8.0 (Ampere) or newer is needed"));
  }
  check(cudaSetDevice(device), "choosing the device");
  current_device = device;
}

void choose_device(int device) {
  if (device == current_device) return;
  check(cudaSetDevice(device), "choosing the device");
  current_device = device;
}

Stream make_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  // What was given back stays with this process: asking the system costs far more.
  int device = 0;
  check(cudaGetDevice(&device), "asking for the device");
  cudaMemPool_t pool = nullptr;
  check(cudaDeviceGetDefaultMemPool(&pool, device), "asking for the memory pool");
  std::uint64_t all = UINT64_MAX;
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all),
        "setting the memory pool up");
  return stream;
}

void drop_stream(Stream stream) {
  if (stream != nullptr) cudaStreamDestroy(of(stream));
}

void wait(Stream stream) {
  check(cudaStreamSynchronize(of(stream)), "a kernel that was started before failed");
}

// Of this thread alone: what other threads do elsewhere meanwhile is theirs.
void begin_graph(Stream stream) {
  check(cudaStreamBeginCapture(of(stream), cudaStreamCaptureModeThreadLocal), "beginning a graph");
}

Graph end_graph(Stream stream) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t made = nullptr;
  bool good = cudaStreamEndCapture(of(stream), &graph) == cudaSuccess && graph != nullptr;
  if (good) good = cudaGraphInstantiate(&made, graph, 0) == cudaSuccess;
  if (graph != nullptr) cudaGraphDestroy(graph);
  if (good) return made;
  cudaGetLastError();  // it is no fault of the next call
  return nullptr;
}

void start_graph(Graph graph, Stream stream) {
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), of(stream)), "starting a graph");
}

void drop_graph(Graph graph) {
  if (graph != nullptr) cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
}

MemoryFacts memory() {
  MemoryFacts facts;
  check(cudaMemGetInfo(&facts.free, &facts.total), "asking for the free memory");
  return facts;
}

void* take(std::size_t bytes, Stream stream) {
  void* data = nullptr;
  const cudaError_t error = cudaMallocAsync(&data, bytes, of(stream));
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it is no fault of the next call
    return nullptr;
  }
  check(error, "taking memory");
  return data;
}

// Called by destructors, also while the error of a kernel unwinds: that error is the one to tell,
// and after it the device frees nothing.
void give(void* data, Stream stream) { cudaFreeAsync(data, of(stream)); }

void trim(Stream stream) {
  wait(stream);
  int device = 0;
  cudaMemPool_t pool = nullptr;
  check(cudaGetDevice(&device), "asking for the device");
  check(cudaDeviceGetDefaultMemPool(&pool, device), "asking for the memory pool");
  check(cudaMemPoolTrimTo(pool, 0), "giving memory back to the system");
}

// From pageable memory the copy goes through a staging buffer that is filled before the call
// returns (CUDA Runtime API, "API synchronization behavior").
void copy_to_device(void* to, const void* host, std::size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, of(stream)), "an upload");
}
void copy_to_host(void* host, const void* from, std::size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, of(stream)), "a download");
  wait(stream);
}
void copy_on_device(void* to, const void* from, std::size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, of(stream)), "a copy");
}
void set_bytes(void* to, int value, std::size_t bytes, Stream stream) {
  check(cudaMemsetAsync(to, value, bytes, of(stream)), "filling memory");
}

Finding* make_finding() {
  void* memory = nullptr;
  check(cudaHostAlloc(&memory, sizeof(Finding), cudaHostAllocMapped), "taking pinned memory");
  return new (memory) Finding;
}
void drop_finding(Finding* finding) {
  if (finding != nullptr) cudaFreeHost(finding);
}

void check_grid(const Grid& grid, const char* kernel) {
  constexpr std::int64_t most_x = (std::int64_t{1} << 31) - 1;
  if (grid.x > most_x || grid.y > 65535 || grid.z > 65535) {
    fail("cuda: ", readable(kernel), ": a grid of ", grid.x, " x ", grid.y, " x ", grid.z,
         " blocks is too large");
  }
}

void allow_shared_bytes(const void* entry, std::size_t bytes) {
  check(cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)),
        "asking for shared memory");
}

void check_launch(const char* kernel) {
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) check(error, readable(kernel).c_str());
}

}  // namespace lathe::cuda
