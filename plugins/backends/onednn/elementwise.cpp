// Fine-grained elementwise ops, on any strides.
#include <algorithm>
#include <cmath>
#include <optional>

#include "kernels/activation.h"
#include "kernels/elementwise.h"
#include "kernels/unary.h"
#include "onednn.h"
#include "strided.h"

namespace lathe {
namespace {

constexpr double gelu_slope = 0.7978845608028654;  // sqrt(2 / pi)

float apply(Unary op, float x) {
  switch (op) {
    case Unary::negate:
      return -x;
    case Unary::exp:
      return std::exp(x);
    case Unary::log:
      return std::log(x);
    case Unary::sqrt:
      return std::sqrt(x);
    case Unary::rsqrt:
      return 1 / std::sqrt(x);
    case Unary::square:
      return x * x;
    case Unary::tanh:
      return std::tanh(x);
    case Unary::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Unary::relu:
      return x > 0 ? x : 0;
    case Unary::abs:
      return std::abs(x);
    case Unary::gelu_tanh: {
      const double wide = static_cast<double>(x);
      return static_cast<float>(
          0.5 * wide * (1 + std::tanh(gelu_slope * (wide + 0.044715 * wide * wide * wide))));
    }
    case Unary::gelu_erf:
      return static_cast<float>(0.5 * static_cast<double>(x) *
                                std::erfc(-static_cast<double>(x) * 0.7071067811865476));
    case Unary::silu:
      return x / (1 + std::exp(-x));
  }
  return 0;
}

float apply(Binary op, float a, float b) {
  switch (op) {
    case Binary::add:
      return a + b;
    case Binary::subtract:
      return a - b;
    case Binary::multiply:
      return a * b;
    case Binary::divide:
      return a / b;
    case Binary::maximum:
      return std::isnan(a) || a > b ? a : b;
    case Binary::minimum:
      return std::isnan(a) || a < b ? a : b;
    case Binary::power:
      return std::pow(a, b);
    case Binary::less:
      return a < b ? 1 : 0;
    case Binary::equal:
      return a == b ? 1 : 0;
  }
  return 0;
}

bool dense_floats(const View& a, const View& b, const View& y) {
  return a.dtype != DType::i32 && a.dtype == b.dtype && a.dtype == y.dtype && a.is_dense() &&
         b.is_dense() && y.is_dense() && a.shape == y.shape && b.shape == y.shape;
}

// How far one element is from the next when all are gone through in order: 1 when they lie densely,
// 0 when there is only one, nothing when it is not the same everywhere.
std::optional<std::int64_t> even_step(const View& view) {
  if (view.is_dense()) return 1;
  for (int axis = 0; axis < view.shape.rank(); ++axis) {
    if (view.shape[axis] > 1 && view.stride(axis) != 0) return std::nullopt;
  }
  return 0;
}

constexpr std::int64_t even_grain = 16384;  // elements

// y[i] = f(a[i], b[i]) in f32; the operation is fixed outside of the loop, and so are the steps
// where they are the usual ones: then the compiler makes vectors of it.
template <class T, class F>
void binary_line(const T* a, std::int64_t a_step, const T* b, std::int64_t b_step, T* y,
                 std::int64_t y_step, std::int64_t count, const F& f) {
  if (y_step == 1 && a_step == 1 && b_step == 1) {
    for (std::int64_t i = 0; i < count; ++i)
      y[i] = from_float<T>(f(to_float(a[i]), to_float(b[i])));
  } else if (y_step == 1 && a_step == 1 && b_step == 0) {
    const float right = to_float(*b);
    for (std::int64_t i = 0; i < count; ++i) y[i] = from_float<T>(f(to_float(a[i]), right));
  } else if (y_step == 1 && a_step == 0 && b_step == 1) {
    const float left = to_float(*a);
    for (std::int64_t i = 0; i < count; ++i) y[i] = from_float<T>(f(left, to_float(b[i])));
  } else {
    for (std::int64_t i = 0; i < count; ++i) {
      y[i * y_step] = from_float<T>(f(to_float(a[i * a_step]), to_float(b[i * b_step])));
    }
  }
}

template <class T, class F>
void binary_loop(const View& a, const View& b, const View& y, const F& f) {
  const auto a_even = even_step(a), b_even = even_step(b);
  if (a_even && b_even && y.is_dense()) {
    parallel_for(y.count(), even_grain, [&](std::int64_t begin, std::int64_t end) {
      binary_line(a.as<T>() + begin * *a_even, *a_even, b.as<T>() + begin * *b_even, *b_even,
                  y.as<T>() + begin, 1, end - begin, f);
    });
    return;
  }
  const std::int64_t inner = inner_size(y.shape);
  for_each_row<3>(y.shape, {&a.strides, &b.strides, &y.strides},
                  [&](const std::array<std::int64_t, 3>& at, std::int64_t) {
                    binary_line(a.as<T>() + at[0], inner_stride(a), b.as<T>() + at[1],
                                inner_stride(b), y.as<T>() + at[2], inner_stride(y), inner, f);
                  });
}

template <class T>
void binary_of(Binary op, const View& a, const View& b, const View& y) {
  switch (op) {
    case Binary::add:
      return binary_loop<T>(a, b, y, [](float l, float r) { return l + r; });
    case Binary::subtract:
      return binary_loop<T>(a, b, y, [](float l, float r) { return l - r; });
    case Binary::multiply:
      return binary_loop<T>(a, b, y, [](float l, float r) { return l * r; });
    case Binary::maximum:
      return binary_loop<T>(a, b, y, [](float l, float r) { return apply(Binary::maximum, l, r); });
    case Binary::minimum:
      return binary_loop<T>(a, b, y, [](float l, float r) { return apply(Binary::minimum, l, r); });
    case Binary::less:
      return binary_loop<T>(a, b, y, [](float l, float r) { return apply(Binary::less, l, r); });
    default:
      return binary_loop<T>(a, b, y, [op](float l, float r) { return apply(op, l, r); });
  }
}

// Functions simple enough for the compiler, on dense f32; false for the others.
bool by_loop(Unary op, const View& x, const View& y) {
  const auto each = [&](const auto& f) {
    parallel_for(x.count(), even_grain, [&](std::int64_t begin, std::int64_t end) {
      const float* in = x.as<float>();
      float* out = y.as<float>();
      for (std::int64_t i = begin; i < end; ++i) out[i] = f(in[i]);
    });
    return true;
  };
  switch (op) {
    case Unary::negate:
      return each([](float v) { return -v; });
    case Unary::square:
      return each([](float v) { return v * v; });
    case Unary::abs:
      return each([](float v) { return std::abs(v); });
    default:
      return false;
  }
}

// The functions that have a vectorised kernel; false for the others.
bool by_kernel(Unary op, const View& x, const View& y) {
  const auto count = static_cast<std::size_t>(x.count());
  const auto elementary = [&](kernels::Unary function) {
    kernels::unary(
        {.dtype = x.dtype, .function = function, .count = count, .x = x.data, .y = y.data});
    return true;
  };
  const auto activation = [&](kernels::Activation kind) {
    kernels::activation_forward(
        {.dtype = x.dtype, .kind = kind, .rows = 1, .width = count, .pre = x.data, .y = y.data});
    return true;
  };
  switch (op) {
    case Unary::exp:
      return elementary(kernels::Unary::exp);
    case Unary::log:
      return elementary(kernels::Unary::log);
    case Unary::tanh:
      return elementary(kernels::Unary::tanh);
    case Unary::sigmoid:
      return elementary(kernels::Unary::sigmoid);
    case Unary::sqrt:
      return elementary(kernels::Unary::sqrt);
    case Unary::gelu_tanh:
      return activation(kernels::Activation::gelu_tanh);
    case Unary::gelu_erf:
      return activation(kernels::Activation::gelu_erf);
    case Unary::relu:
      return activation(kernels::Activation::relu);
    case Unary::silu:
      return activation(kernels::Activation::silu);
    default:
      return false;
  }
}

template <class From, class To>
To converted(From value) {
  if constexpr (std::is_same_v<From, To>) {
    return value;
  } else if constexpr (std::is_same_v<From, bf16>) {
    return static_cast<To>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, bf16>) {
    return bf16(static_cast<float>(value));
  } else {
    return static_cast<To>(value);
  }
}
}  // namespace

void OnednnBackend::copy(const View& from, const View& to) {
  const bool dense = from.is_dense() && to.is_dense();
  if (dense && from.dtype != to.dtype && from.dtype != DType::i32 && to.dtype != DType::i32 &&
      from.dtype != DType::f64 && to.dtype != DType::f64) {
    kernels::cast({.from = from.dtype,
                   .to = to.dtype,
                   .count = static_cast<std::size_t>(from.count()),
                   .x = from.data,
                   .y = to.data});
    return;
  }
  const std::int64_t inner = inner_size(to.shape);
  const std::int64_t from_step = inner_stride(from);
  const std::int64_t to_step = inner_stride(to);
  with_type(from.dtype, [&](auto source) {
    with_type(to.dtype, [&](auto target) {
      using From = decltype(source);
      using To = decltype(target);
      for_each_row<2>(to.shape, {&from.strides, &to.strides},
                      [&](const std::array<std::int64_t, 2>& at, std::int64_t) {
                        const From* in = from.as<From>() + at[0];
                        To* out = to.as<To>() + at[1];
                        for (std::int64_t i = 0; i < inner; ++i) {
                          out[i * to_step] = converted<From, To>(in[i * from_step]);
                        }
                      });
    });
  });
}

void OnednnBackend::fill(const View& to, double value) {
  if (to.is_dense() && (to.dtype == DType::f32 || to.dtype == DType::bf16)) {
    kernels::fill({.dtype = to.dtype,
                   .count = static_cast<std::size_t>(to.count()),
                   .value = static_cast<float>(value),
                   .y = to.data});
    return;
  }
  const std::int64_t inner = inner_size(to.shape);
  const std::int64_t step = inner_stride(to);
  with_type(to.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T filling = converted<double, T>(value);
    for_each_row<1>(to.shape, {&to.strides},
                    [&](const std::array<std::int64_t, 1>& at, std::int64_t) {
                      T* out = to.as<T>() + at[0];
                      for (std::int64_t i = 0; i < inner; ++i) out[i * step] = filling;
                    });
  });
}

void OnednnBackend::unary(Unary op, const View& x, const View& y) {
  const bool dense = x.is_dense() && y.is_dense() && x.dtype == y.dtype;
  if (dense && (x.dtype == DType::f32 || x.dtype == DType::bf16) && by_kernel(op, x, y)) return;
  if (dense && x.dtype == DType::f32 && by_loop(op, x, y)) return;
  const std::int64_t inner = inner_size(y.shape);
  const std::int64_t x_step = inner_stride(x);
  const std::int64_t y_step = inner_stride(y);
  with_type(y.dtype, [&](auto tag) {
    using T = decltype(tag);
    for_each_row<2>(y.shape, {&x.strides, &y.strides},
                    [&](const std::array<std::int64_t, 2>& at, std::int64_t) {
                      const T* in = x.as<T>() + at[0];
                      T* out = y.as<T>() + at[1];
                      for (std::int64_t i = 0; i < inner; ++i) {
                        out[i * y_step] = from_float<T>(apply(op, to_float(in[i * x_step])));
                      }
                    });
  });
}

void OnednnBackend::binary(Binary op, const View& a, const View& b, const View& y) {
  if (op == Binary::add && dense_floats(a, b, y)) {
    kernels::add({.dtype = a.dtype,
                  .count = static_cast<std::size_t>(a.count()),
                  .a = a.data,
                  .b = b.data,
                  .y = y.data});
    return;
  }
  with_type(y.dtype, [&](auto tag) { binary_of<decltype(tag)>(op, a, b, y); });
}

void OnednnBackend::where(const View& condition, const View& a, const View& b, const View& y) {
  const std::int64_t inner = inner_size(y.shape);
  with_type(condition.dtype, [&](auto truth) {
    with_type(y.dtype, [&](auto tag) {
      using Truth = decltype(truth);
      using T = decltype(tag);
      for_each_row<4>(y.shape, {&condition.strides, &a.strides, &b.strides, &y.strides},
                      [&](const std::array<std::int64_t, 4>& at, std::int64_t) {
                        const Truth* chosen = condition.as<Truth>() + at[0];
                        const T* left = a.as<T>() + at[1];
                        const T* right = b.as<T>() + at[2];
                        T* out = y.as<T>() + at[3];
                        for (std::int64_t i = 0; i < inner; ++i) {
                          const bool first = to_float(chosen[i * inner_stride(condition)]) != 0;
                          out[i * inner_stride(y)] =
                              first ? left[i * inner_stride(a)] : right[i * inner_stride(b)];
                        }
                      });
    });
  });
}

void OnednnBackend::dropout(const View& x, float probability, const RandomStream& random,
                            const Target& y) {
  const std::int64_t inner = inner_size(x.shape);
  const std::int64_t x_step = inner_stride(x);
  const std::int64_t y_step = inner_stride(y.view);
  const float kept = 1 / (1 - probability);
  with_type(x.dtype, [&](auto tag) {
    using T = decltype(tag);
    for_each_row<2>(x.shape, {&x.strides, &y.view.strides},
                    [&](const std::array<std::int64_t, 2>& at, std::int64_t row) {
                      const T* in = x.as<T>() + at[0];
                      T* out = y.view.as<T>() + at[1];
                      PhiloxBlock block{};
                      for (std::int64_t i = 0; i < inner; ++i) {
                        const auto index = static_cast<std::uint64_t>(row * inner + i);
                        if (i == 0 || index % 4 == 0) block = random.block(index / 4);
                        const bool drop =
                            static_cast<float>(block[index % 4] >> 8) * 0x1p-24F < probability;
                        const float value = drop ? 0 : to_float(in[i * x_step]) * kept;
                        const float before = y.add ? to_float(out[i * y_step]) : 0;
                        out[i * y_step] = from_float<T>(before + value);
                      }
                    });
  });
}

}  // namespace lathe
