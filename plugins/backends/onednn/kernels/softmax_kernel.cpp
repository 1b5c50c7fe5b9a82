#include "softmax.h"

#include "log_sum.h"

namespace lathe::kernels::LATHE_ISA {
namespace {

template <class T>
void plain_row(const T* x, T* y, std::size_t width) {
  const float top = maximum_of(x, width);
  four total = all_four(0);
  const vfloat shift = broadcast(top);
  // f32 keeps the exponentials in y; bf16 would round them twice, so it takes them again.
  each_vector_of_four(width, [&](std::size_t i, auto n, int k) {
    const vfloat power = keep(exp(load(x + i, n) - shift), n, broadcast(0));
    if constexpr (sizeof(T) == 4) store(y + i, power, n);
    total.at[k] = total.at[k] + power;
  });
  const vfloat factor = broadcast(1.0f / sum(total));
  each_vector(0, width, [&](std::size_t i, auto n) {
    if constexpr (sizeof(T) == 4) {
      store(y + i, load(y + i, n) * factor, n);
    } else {
      store(y + i, exp(load(x + i, n) - shift) * factor, n);
    }
  });
}

template <class T>
void log_row(const T* x, T* y, std::size_t width) {
  const float top = maximum_of(x, width);
  four total = all_four(0);
  const vfloat shift = broadcast(top);
  each_vector_of_four(width, [&](std::size_t i, auto n, int k) {
    total.at[k] = total.at[k] + keep(exp(load(x + i, n) - shift), n, broadcast(0));
  });
  const vfloat log_total = broadcast(log_of(sum(total)));
  each_vector(0, width, [&](std::size_t i, auto n) {
    store(y + i, (load(x + i, n) - shift) - log_total, n);
  });
}

template <class T>
void forward(const SoftmaxForward& a) {
#pragma omp parallel for schedule(static) if (a.rows * a.width >= parallel_from)
  for (std::size_t row = 0; row < a.rows; ++row) {
    const T* x = static_cast<const T*>(a.x) + row * a.x_stride;
    T* y = static_cast<T*>(a.y) + row * a.y_stride;
    a.log ? log_row(x, y, a.width) : plain_row(x, y, a.width);
  }
}

template <class T>
void backward_row(const SoftmaxBackward& a, std::size_t row) {
  const T* y = static_cast<const T*>(a.y) + row * a.width;
  const T* dy = static_cast<const T*>(a.dy) + row * a.width;
  T* dx = static_cast<T*>(a.dx) + row * a.width;
  four total = all_four(0);
  each_vector_of_four(a.width, [&](std::size_t i, auto n, int k) {
    const vfloat from = load(dy + i, n);
    total.at[k] = a.log ? total.at[k] + from : fma(from, load(y + i, n), total.at[k]);
  });
  const vfloat common = broadcast(sum(total));
  each_vector(0, a.width, [&](std::size_t i, auto n) {
    const vfloat from = load(dy + i, n);
    const vfloat out = load(y + i, n);
    store(dx + i, a.log ? fma(-exp(out), common, from) : out * (from - common), n);
  });
}

template <class T>
void backward(const SoftmaxBackward& a) {
#pragma omp parallel for schedule(static) if (a.rows * a.width >= parallel_from)
  for (std::size_t row = 0; row < a.rows; ++row) backward_row<T>(a, row);
}

}  // namespace

void softmax_forward(const SoftmaxForward& arguments) {
  arguments.dtype == DType::bf16 ? forward<bf16>(arguments) : forward<float>(arguments);
}

void softmax_backward(const SoftmaxBackward& arguments) {
  arguments.dtype == DType::bf16 ? backward<bf16>(arguments) : backward<float>(arguments);
}

}  // namespace lathe::kernels::LATHE_ISA
