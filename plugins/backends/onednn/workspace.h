// Memory that an op needs while it runs: grows to the largest use, is kept, and never cleared.
#pragma once

#include <cstddef>
#include <memory>

namespace lathe {

// Pages for large blocks, huge where the system allows it; zero-filled. Error names the size.
void* allocate_pages(std::size_t bytes);
void release_pages(void* data, std::size_t bytes);

class Workspace {
 public:
  Workspace() = default;
  ~Workspace() { release_pages(data_, bytes_); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  void* get(std::size_t bytes) {
    if (bytes > bytes_) {
      release_pages(data_, bytes_);
      data_ = nullptr;
      bytes_ = 0;
      data_ = allocate_pages(bytes);
      bytes_ = bytes;
    }
    return data_;
  }
  std::size_t size() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace lathe
