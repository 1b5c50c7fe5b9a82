#include "activation_kernel.h"

#include "loops.h"

namespace lathe::kernels::LATHE_ISA {
namespace {

template <class T, Activation kind>
void forward(const ActivationForward& a) {
  const T* pre = static_cast<const T*>(a.pre);
  T* y = static_cast<T*>(a.y);
  each_vector_parallel(a.rows * a.width, [=](std::size_t i, auto n) {
    store(y + i, activate<kind>(load(pre + i, n)), n);
  });
}

template <class T, Activation kind>
void backward(const ActivationBackward& a) {
  const T* pre = static_cast<const T*>(a.pre);
  const T* dy = static_cast<const T*>(a.dy);
  T* dpre = static_cast<T*>(a.dpre);
  each_vector_parallel(a.rows * a.width, [=](std::size_t i, auto n) {
    store(dpre + i, load(dy + i, n) * activation_derivative<kind>(load(pre + i, n)), n);
  });
}

// Rows [begin, end) of `vectors` vectors of columns from column i on, the last with `n` lanes;
// their sums stay in registers, each in the order of the rows.
template <class T, Activation kind, int vectors, class Count>
void backward_columns(const ActivationBackward& a, std::size_t begin, std::size_t end,
                      std::size_t i, Count n, float* partial) {
  vfloat sums[vectors];
  for (vfloat& sum : sums) sum = broadcast(0);
  for (std::size_t row = begin; row < end; ++row) {
    const std::size_t at = row * a.width + i;
    const auto one = [&](int v, auto count) {
      const std::size_t place = at + static_cast<std::size_t>(v) * lanes;
      const vfloat pre = load(static_cast<const T*>(a.pre) + place, count);
      const vfloat value =
          load(static_cast<const T*>(a.dy) + place, count) * activation_derivative<kind>(pre);
      store(static_cast<T*>(a.dpre) + place, value, count);
      sums[v] = sums[v] + value;
    };
#pragma GCC unroll 4
    for (int v = 0; v + 1 < vectors; ++v) one(v, whole{});
    one(vectors - 1, n);
  }
#pragma GCC unroll 4
  for (int v = 0; v + 1 < vectors; ++v) {
    store(partial + i + static_cast<std::size_t>(v) * lanes, sums[v]);
  }
  store(partial + i + static_cast<std::size_t>(vectors - 1) * lanes, sums[vectors - 1], n);
}

template <class T, Activation kind>
void backward_block(const ActivationBackward& a, std::size_t block, float* partial) {
  const std::size_t begin = block * row_block;
  const std::size_t end = begin + row_block < a.rows ? begin + row_block : a.rows;
  std::size_t i = 0;
  for (; i + 4 * lanes <= a.width; i += 4 * lanes) {
    backward_columns<T, kind, 4>(a, begin, end, i, whole{}, partial);
  }
  each_vector(i, a.width, [&](std::size_t j, auto n) {
    backward_columns<T, kind, 1>(a, begin, end, j, n, partial);
  });
}

template <class T, Activation kind>
void backward_with_bias(const ActivationBackwardTask& task) {
  const ActivationBackward& a = task.arguments;
  const std::size_t blocks = blocks_of(a.rows, row_block);
  each_block(blocks, a.rows * a.width, [&](std::size_t block) {
    backward_block<T, kind>(a, block, task.partials + block * a.width);
  });
  if (a.rows > 0) add_partials(a.dbias, task.partials, blocks, a.width, a.width);
}

template <class T, Activation kind>
void backward_of(const ActivationBackwardTask& task) {
  if (task.partials != nullptr) {
    backward_with_bias<T, kind>(task);
  } else {
    backward<T, kind>(task.arguments);
  }
}

template <class T>
void forward_of_kind(const ActivationForward& a) {
  switch (a.kind) {
    case Activation::none:
      return forward<T, Activation::none>(a);
    case Activation::gelu_tanh:
      return forward<T, Activation::gelu_tanh>(a);
    case Activation::gelu_erf:
      return forward<T, Activation::gelu_erf>(a);
    case Activation::relu:
      return forward<T, Activation::relu>(a);
    case Activation::silu:
      return forward<T, Activation::silu>(a);
  }
}

template <class T>
void backward_of_kind(const ActivationBackwardTask& task) {
  switch (task.arguments.kind) {
    case Activation::none:
      return backward_of<T, Activation::none>(task);
    case Activation::gelu_tanh:
      return backward_of<T, Activation::gelu_tanh>(task);
    case Activation::gelu_erf:
      return backward_of<T, Activation::gelu_erf>(task);
    case Activation::relu:
      return backward_of<T, Activation::relu>(task);
    case Activation::silu:
      return backward_of<T, Activation::silu>(task);
  }
}

template <class T>
void gate_forward(const SwigluForward& a) {
#pragma omp parallel for schedule(static) if (a.rows * a.width >= parallel_from)
  for (std::size_t row = 0; row < a.rows; ++row) {
    const T* gate = static_cast<const T*>(a.pre) + row * 2 * a.width;
    const T* linear = gate + a.width;
    T* y = static_cast<T*>(a.y) + row * a.width;
    each_vector(0, a.width, [&](std::size_t i, auto n) {
      store(y + i, silu(load(gate + i, n)) * load(linear + i, n), n);
    });
  }
}

template <class T>
void gate_backward(const SwigluBackward& a) {
#pragma omp parallel for schedule(static) if (a.rows * a.width >= parallel_from)
  for (std::size_t row = 0; row < a.rows; ++row) {
    const T* gate = static_cast<const T*>(a.pre) + row * 2 * a.width;
    const T* linear = gate + a.width;
    const T* dy = static_cast<const T*>(a.dy) + row * a.width;
    T* dgate = static_cast<T*>(a.dpre) + row * 2 * a.width;
    T* dlinear = dgate + a.width;
    each_vector(0, a.width, [&](std::size_t i, auto n) {
      const vfloat x = load(gate + i, n);
      const vfloat from = load(dy + i, n);
      const vfloat s = sigmoid(x);
      const vfloat slope = fma(x * s, broadcast(1) - s, s);
      const vfloat da = from * load(linear + i, n) * slope;
      store(dgate + i, da, n);
      store(dlinear + i, from * x * s, n);
    });
  }
}

}  // namespace

void activation_forward(const ActivationForward& arguments) {
  arguments.dtype == DType::bf16 ? forward_of_kind<bf16>(arguments)
                                 : forward_of_kind<float>(arguments);
}

void activation_backward(const ActivationBackwardTask& task) {
  task.arguments.dtype == DType::bf16 ? backward_of_kind<bf16>(task)
                                      : backward_of_kind<float>(task);
}

void swiglu_forward(const SwigluForward& arguments) {
  arguments.dtype == DType::bf16 ? gate_forward<bf16>(arguments) : gate_forward<float>(arguments);
}

void swiglu_backward(const SwigluBackward& arguments) {
  arguments.dtype == DType::bf16 ? gate_backward<bf16>(arguments) : gate_backward<float>(arguments);
}

}  // namespace lathe::kernels::LATHE_ISA
