#include <lathe/base/threads.h>

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "kernels/isa.h"
#include "onednn.h"

namespace lathe {
namespace {
constexpr std::size_t huge_page = std::size_t{2} << 20;

// Small blocks come from malloc; a page for each would waste most of it.
bool is_large(std::size_t bytes) { return bytes >= huge_page / 2; }

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  std::string line;
  while (std::getline(info, line)) {
    if (line.starts_with("model name")) return line.substr(line.find(": ") + 2);
  }
  return "CPU";
}
}  // namespace

void* allocate_pages(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  if (!is_large(bytes)) {
    void* data = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (data == nullptr) fail("out of memory: ", bytes, " bytes could not be had");
    std::memset(data, 0, bytes);
    return data;
  }
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    fail("out of memory: ", bytes / 1048576, " MiB could not be had (", std::strerror(errno),
         "): lower train.batch, train.length or the model's size");
  }
  madvise(data, bytes, MADV_HUGEPAGE);  // a refusal costs speed only
  return data;
}

void release_pages(void* data, std::size_t bytes) {
  if (data == nullptr) return;
  if (is_large(bytes)) {
    munmap(data, bytes);
  } else {
    std::free(data);
  }
}

OnednnBackend::OnednnBackend(const Config& config)
    : with_(config), own_products_(with_.matmul == "own") {
  kernels::best_isa();  // throws where the processor is too old
}

std::string OnednnBackend::device() const {
  return cat(processor(), ", ", threads(), threads() == 1 ? " thread, " : " threads, ",
             kernels::name_of(kernels::best_isa()));
}

void* OnednnBackend::allocate(std::size_t bytes) { return allocate_pages(bytes); }
void OnednnBackend::release(void* data, std::size_t bytes) { release_pages(data, bytes); }

}  // namespace lathe
