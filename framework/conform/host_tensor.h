// A tensor of a test: elements set and read as doubles, on any backend, in any layout, with guard
// bytes before, after and between the elements.
#pragma once

#include <lathe/tensor/backend.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lathe::conform {

enum class Layout : std::uint8_t {
  dense,
  sliced,      // a part of a tensor that is larger along every axis
  transposed,  // the axes lie in memory in reverse order
  inner_kept,  // the same, but the last axis stays innermost
  broadcast,   // stride 0 along the first axis
};
std::string name_of(Layout layout);

class HostTensor {
 public:
  HostTensor(Backend& backend, DType dtype, const Shape& shape, Layout layout);
  ~HostTensor();
  HostTensor(const HostTensor&) = delete;
  HostTensor& operator=(const HostTensor&) = delete;

  const View& view() const { return view_; }

  // Row-major; each value is rounded to the dtype.
  void set(const std::vector<double>& values);
  std::vector<double> get() const;
  // The bits of each element, row-major.
  std::vector<std::uint64_t> bits() const;
  // Whether every byte that is no element is as it was made.
  bool guards_intact() const;

 private:
  std::vector<std::byte> downloaded() const;

  Backend& backend_;
  void* memory_;
  std::size_t bytes_;
  std::vector<std::size_t> places_;  // byte offset of each element, row-major
  View view_;
};

}  // namespace lathe::conform
