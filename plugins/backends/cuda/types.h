// From a dtype at run time to a kernel's template argument, and small sums of sizes.
#pragma once

#include <lathe/base/error.h>
#include <lathe/tensor/dtype.h>

#include <cstdint>
#include <type_traits>

namespace lathe::cuda {

// Calls body(std::type_identity<T>{}) with the element type of a dtype.
template <class Body>
void with_floating(DType type, const Body& body) {
  switch (type) {
    case DType::f32:
      return body(std::type_identity<float>{});
    case DType::bf16:
      return body(std::type_identity<bf16>{});
    case DType::f64:
    case DType::i32:
      fail("cuda: an op on f32 or bf16 was given a tensor of ", name_of(type));
  }
}
template <class Body>
void with_any(DType type, const Body& body) {
  if (type == DType::i32) return body(std::type_identity<std::int32_t>{});
  with_floating(type, body);
}

// Blocks that are needed when each does `each` of them.
constexpr std::int64_t blocks_for(std::int64_t count, std::int64_t each) {
  return (count + each - 1) / each;
}

}  // namespace lathe::cuda
