#include "unary.h"

#include "loops.h"

namespace lathe::kernels::LATHE_ISA {
namespace {

template <Unary function>
static inline __attribute__((always_inline)) vfloat value_of(vfloat x) {
  if constexpr (function == Unary::exp) return exp(x);
  if constexpr (function == Unary::log) return log(x);
  if constexpr (function == Unary::tanh) return tanh(x);
  if constexpr (function == Unary::erf) return erf(x);
  if constexpr (function == Unary::sigmoid) return sigmoid(x);
  return sqrt(x);
}

template <class T, Unary function>
void run(const UnaryForward& a) {
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  each_vector_parallel(
      a.count, [=](std::size_t i, auto n) { store(y + i, value_of<function>(load(x + i, n)), n); });
}

template <class T>
void run_function(const UnaryForward& a) {
  switch (a.function) {
    case Unary::exp:
      return run<T, Unary::exp>(a);
    case Unary::log:
      return run<T, Unary::log>(a);
    case Unary::tanh:
      return run<T, Unary::tanh>(a);
    case Unary::erf:
      return run<T, Unary::erf>(a);
    case Unary::sigmoid:
      return run<T, Unary::sigmoid>(a);
    case Unary::sqrt:
      return run<T, Unary::sqrt>(a);
  }
}

}  // namespace

void unary(const UnaryForward& arguments) {
  arguments.dtype == DType::bf16 ? run_function<bf16>(arguments) : run_function<float>(arguments);
}

}  // namespace lathe::kernels::LATHE_ISA
