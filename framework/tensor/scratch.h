// A temporary of a composed op: a dense view that owns its memory on a backend.
#pragma once

#include <lathe/tensor/backend.h>

#include <cstddef>
#include <utility>

namespace lathe {

class Scratch {
 public:
  Scratch(Backend& backend, DType dtype, const Shape& shape)
      : backend_(&backend),
        bytes_(static_cast<std::size_t>(shape.count()) * size_of(dtype)),
        view_(dense_view(backend.allocate(bytes_), dtype, shape)) {}
  ~Scratch() {
    if (view_.data != nullptr) backend_->release(view_.data, bytes_);
  }
  Scratch(Scratch&& other) noexcept
      : backend_(other.backend_), bytes_(other.bytes_), view_(std::exchange(other.view_, View{})) {}
  Scratch& operator=(Scratch&& other) noexcept {
    std::swap(backend_, other.backend_);
    std::swap(bytes_, other.bytes_);
    std::swap(view_, other.view_);
    return *this;
  }

  const View& view() const { return view_; }
  operator const View&() const { return view_; }

 private:
  Backend* backend_;
  std::size_t bytes_;
  View view_;
};

}  // namespace lathe
