#include "rotary_kernel.h"

#include "loops.h"

namespace lathe::kernels::LATHE_ISA {
namespace {

template <class T>
void rotate_row(const RotaryTask& task, std::size_t row) {
  const Rotary& a = task.arguments;
  const std::size_t half = a.rotated / 2;
  const float* cosines = task.table + static_cast<std::size_t>(a.position[row]) * a.rotated;
  const float* sines = cosines + half;
  for (std::size_t head = 0; head < a.heads; ++head) {
    const T* x = static_cast<const T*>(a.x) + row * a.x_row_stride + head * a.x_head_stride;
    T* y = static_cast<T*>(a.y) + row * a.y_row_stride + head * a.y_head_stride;
    each_vector(0, half, [&](std::size_t i, auto n) {
      const vfloat first = load(x + i, n);
      const vfloat second = load(x + half + i, n);
      const vfloat cosine = load(cosines + i, n);
      const vfloat sine = a.inverse ? -load(sines + i, n) : load(sines + i, n);
      store(y + i, fma(first, cosine, -(second * sine)), n);
      store(y + half + i, fma(second, cosine, first * sine), n);
    });
    if (x != y) {
      each_vector(a.rotated, a.width,
                  [&](std::size_t i, auto n) { store(y + i, load(x + i, n), n); });
    }
  }
}

}  // namespace

void rotary(const RotaryTask& task) {
  const Rotary& a = task.arguments;
#pragma omp parallel for schedule(static) if (a.rows * a.heads * a.width >= parallel_from)
  for (std::size_t row = 0; row < a.rows; ++row) {
    a.dtype == DType::bf16 ? rotate_row<bf16>(task, row) : rotate_row<float>(task, row);
  }
}

}  // namespace lathe::kernels::LATHE_ISA
