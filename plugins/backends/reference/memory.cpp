#include <cstdlib>
#include <cstring>

#include "reference.h"

namespace lathe {

std::string ReferenceBackend::device() const { return "host memory, plain loops, 1 thread"; }

bool ReferenceBackend::supports(DType) const { return true; }

void* ReferenceBackend::allocate(std::size_t bytes) {
  // One line at the least: an empty tensor still has an address, for a view without one is "none".
  const std::size_t line = alignment();
  const std::size_t size = bytes == 0 ? line : (bytes + line - 1) / line * line;
  void* data = size < bytes ? nullptr : std::aligned_alloc(line, size);
  if (data == nullptr) fail("reference backend: no memory for ", bytes, " bytes");
  std::memset(data, 0, size);
  return data;
}

void ReferenceBackend::release(void* data, std::size_t) { std::free(data); }

void ReferenceBackend::upload(void* to, const void* host, std::size_t bytes) {
  if (bytes != 0) std::memcpy(to, host, bytes);
}

void ReferenceBackend::download(void* host, const void* from, std::size_t bytes) {
  if (bytes != 0) std::memcpy(host, from, bytes);
}

void ReferenceBackend::synchronise() {}  // every op has ended when it returns

}  // namespace lathe
