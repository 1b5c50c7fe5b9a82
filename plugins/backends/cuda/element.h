// Elements of tensors inside of kernels: conversions, and loads and stores of 16 bytes at a time.
#pragma once

#include <device/block.h>
#include <lathe/tensor/dtype.h>

#include <cstdint>

namespace lathe::cuda {

// bf16's own conversions are for the host.
LATHE_DEVICE float to_float(float value) { return value; }
LATHE_DEVICE float to_float(std::int32_t value) { return static_cast<float>(value); }
LATHE_DEVICE float to_float(bf16 value) {
  return float_of_bits(static_cast<std::uint32_t>(value.bits) << 16);
}

template <class To>
LATHE_DEVICE To from_float(float value) {
  if constexpr (sizeof(To) == 2) {
    bf16 rounded;
    rounded.bits = nearest_bf16_bits(value);
    return rounded;
  } else {
    return static_cast<To>(value);
  }
}

template <class To, class From>
struct Conversion {
  LATHE_DEVICE static To of(From value) { return from_float<To>(to_float(value)); }
};
// What needs no conversion keeps its bits (a NaN's, an i32 above 2^24).
template <class Same>
struct Conversion<Same, Same> {
  LATHE_DEVICE static Same of(Same value) { return value; }
};

template <class To, class From>
LATHE_DEVICE To converted(From value) {
  return Conversion<To, From>::of(value);
}

// Overwrites an element, or adds to it with one rounding.
template <class T>
LATHE_DEVICE void put(T& element, float value, bool add) {
  element = from_float<T>(add ? to_float(element) + value : value);
}

// Some elements that lie together, moved by one instruction of `count * sizeof(T)` bytes.
template <class T, int count>
struct alignas(sizeof(T) * count) Pack {
  T at[count];
};

// How many elements of T are 16 bytes.
template <class T>
inline constexpr int pack_of = 16 / static_cast<int>(sizeof(T));

template <int count, class T>
LATHE_DEVICE Pack<T, count> load(const T* from) {
  return *reinterpret_cast<const Pack<T, count>*>(from);
}
template <int count, class T>
LATHE_DEVICE void store(T* to, const Pack<T, count>& pack) {
  *reinterpret_cast<Pack<T, count>*>(to) = pack;
}

inline bool is_aligned(const void* data, std::size_t bytes = 16) {
  return reinterpret_cast<std::uintptr_t>(data) % bytes == 0;
}

}  // namespace lathe::cuda
