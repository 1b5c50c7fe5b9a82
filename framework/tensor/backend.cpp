#include <lathe/tensor/backend.h>

#include <cstring>

namespace lathe {

Backend::~Backend() = default;
Backend::Recording::~Recording() = default;

void Backend::upload(void* to, const void* host, std::size_t bytes) {
  if (bytes != 0) std::memcpy(to, host, bytes);
}

void Backend::download(void* host, const void* from, std::size_t bytes) {
  if (bytes != 0) std::memcpy(host, from, bytes);
}

void Backend::hold(const View&) {}
void Backend::let_go() {}

void Backend::repeat(std::unique_ptr<Recording>&, const std::function<std::vector<const void*>()>&,
                     const std::function<void()>& work) {
  work();
}

}  // namespace lathe
