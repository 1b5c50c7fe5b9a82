// Elements in a row as kernels read and write them: some neighbours at a time.
#pragma once

#include "element.h"

namespace lathe::cuda {

// A row of `width` elements `step` apart, in groups of `count`, of which each begins at a multiple
// of `count`. A group goes by one instruction where it lies together, begins at a multiple of its
// size and is whole; else element by element. Which of both is never seen in a result: what a
// kernel adds up, and in which order, depends on the places alone.
template <class T, int count>
class Row {
 public:
  LATHE_DEVICE Row(T* data, std::int64_t step, std::int64_t width)
      : data_(data),
        step_(step),
        width_(width),
        together_(step == 1 && reinterpret_cast<std::uintptr_t>(data) % (sizeof(T) * count) == 0) {}

  // values[i] = element begin + i; past the end `beyond`.
  LATHE_DEVICE void read(std::int64_t begin, float (&values)[count], float beyond = 0) const {
    if (together_ && begin + count <= width_) {
      const auto pack = load<count>(data_ + begin);
      for (int i = 0; i < count; ++i) values[i] = to_float(pack.at[i]);
      return;
    }
    for (int i = 0; i < count; ++i) {
      values[i] = begin + i < width_ ? to_float(data_[(begin + i) * step_]) : beyond;
    }
  }

  // Overwrites, or adds with one rounding, up to the end.
  LATHE_DEVICE void write(std::int64_t begin, const float (&values)[count],
                          bool add = false) const {
    if (together_ && begin + count <= width_) {
      Pack<T, count> pack{};
      if (add) pack = load<count>(data_ + begin);
      for (int i = 0; i < count; ++i) put(pack.at[i], values[i], add);
      store(data_ + begin, pack);
      return;
    }
    for (int i = 0; i < count && begin + i < width_; ++i) {
      put(data_[(begin + i) * step_], values[i], add);
    }
  }

 private:
  T* data_;
  std::int64_t step_;
  std::int64_t width_;
  bool together_;
};

}  // namespace lathe::cuda
