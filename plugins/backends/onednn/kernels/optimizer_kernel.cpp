#include "optimizer_kernel.h"

#include "loops.h"

namespace lathe::kernels::LATHE_ISA {
namespace {

// The scaled gradient of the lanes from i; the buffer is cleared behind it on request.
template <class Count>
static inline __attribute__((always_inline)) vfloat take_gradient(const StepBuffers& b,
                                                                  std::size_t i, Count n) {
  const vfloat g = load(b.gradient + i, n) * broadcast(b.gradient_scale);
  if (b.zero_gradient) store(b.gradient + i, broadcast(0), n);
  return g;
}

template <class Count>
static inline __attribute__((always_inline)) void put_parameter(const StepBuffers& b, std::size_t i,
                                                                vfloat value, Count n) {
  store(b.parameter + i, value, n);
  if (b.shadow != nullptr) store(b.shadow + i, value, n);
}

// The same with a shadow that goes past the caches.
LATHE_INLINE void put_parameter_streaming(const StepBuffers& b, std::size_t i, vfloat value,
                                          whole n) {
  store(b.parameter + i, value, n);
  stream(b.shadow + i, value);
}
LATHE_INLINE void put_parameter_streaming(const StepBuffers& b, std::size_t i, vfloat value,
                                          std::size_t n) {
  put_parameter(b, i, value, n);
}

// Whether nothing of the shadow would be left in a cache when the step is over: then fetching its
// lines only to overwrite them is a waste.
LATHE_INLINE bool streams_shadow(const StepBuffers& b) {
  constexpr std::size_t beyond_caches = std::size_t{4} << 20;
  return b.shadow != nullptr && b.count >= beyond_caches &&
         reinterpret_cast<std::uintptr_t>(b.shadow) % 32 == 0;
}

LATHE_INLINE vfloat sign(vfloat x) {
  const vfloat zero = broadcast(0);
  const vfloat one = broadcast(1);
  const vfloat negative = select(less(x, zero), -one, x);  // a zero or a NaN stays itself
  return select(less(zero, x), one, negative);
}

// One vector of AdamW: updates the moments and returns the parameter.
template <class Count>
static inline __attribute__((always_inline)) vfloat adamw_at(const AdamWTask& a, std::size_t i,
                                                             Count n) {
  const vfloat g = take_gradient(a.buffers, i, n);
  vfloat m = load(a.first + i, n);
  m = fma(broadcast(a.one_minus_beta1), g - m, m);
  store(a.first + i, m, n);
  const vfloat v =
      fma(broadcast(a.one_minus_beta2) * g, g, broadcast(a.beta2) * load(a.second + i, n));
  store(a.second + i, v, n);
  const vfloat divisor = fma(sqrt(v), broadcast(a.second_scale), broadcast(a.epsilon));
  const vfloat p = load(a.buffers.parameter + i, n) * broadcast(a.shrink);
  return p - broadcast(a.step_size) * m / divisor;
}

}  // namespace

void adamw(const AdamWTask& task) {
  if (!streams_shadow(task.buffers)) {
    each_vector_parallel(task.buffers.count, [a = task](std::size_t i, auto n) {
      put_parameter(a.buffers, i, adamw_at(a, i, n), n);
    });
    return;
  }
  each_vector_parallel(
      task.buffers.count,
      [a = task](std::size_t i, auto n) {
        put_parameter_streaming(a.buffers, i, adamw_at(a, i, n), n);
      },
      [] { finish_streams(); });
}

void sgd(const SgdTask& task) {
  each_vector_parallel(task.buffers.count, [a = task](std::size_t i, auto n) {
    const vfloat p = load(a.buffers.parameter + i, n);
    vfloat g = fma(broadcast(a.decay), p, take_gradient(a.buffers, i, n));
    if (a.velocity != nullptr) {
      const vfloat momentum = broadcast(a.momentum);
      const vfloat b = fma(momentum, load(a.velocity + i, n), g);
      store(a.velocity + i, b, n);
      g = a.nesterov ? fma(momentum, b, g) : b;
    }
    put_parameter(a.buffers, i, fma(broadcast(-a.rate), g, p), n);
  });
}

void lion(const LionTask& task) {
  each_vector_parallel(task.buffers.count, [a = task](std::size_t i, auto n) {
    const vfloat g = take_gradient(a.buffers, i, n);
    const vfloat m = load(a.first + i, n);
    const vfloat mixed = fma(broadcast(a.beta1), m, broadcast(a.one_minus_beta1) * g);
    store(a.first + i, fma(broadcast(a.beta2), m, broadcast(a.one_minus_beta2) * g), n);
    const vfloat p = load(a.buffers.parameter + i, n) * broadcast(a.shrink);
    put_parameter(a.buffers, i, fma(broadcast(-a.rate), sign(mixed), p), n);
  });
}

void moving_average(const MovingAverageTask& task) {
  each_vector_parallel(task.count, [a = task](std::size_t i, auto n) {
    const vfloat average = load(a.average + i, n);
    const vfloat distance = load(a.parameter + i, n) - average;
    store(a.average + i, fma(broadcast(a.part), distance, average), n);
  });
}

}  // namespace lathe::kernels::LATHE_ISA
