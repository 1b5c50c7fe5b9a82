// Rotary positions and the gated unit.
#include <device/launch.h>
#include <device/range.h>

#include <cmath>
#include <type_traits>

#include "cuda.h"
#include "element.h"
#include "functions.h"
#include "types.h"

namespace lathe {
namespace {
using namespace cuda;

constexpr int layer_threads = 256;

// Angles in double: at position 100,000 a float has lost a hundredth of a turn.
template <class T>
struct Rotary {
  static constexpr int threads = layer_threads;
  const T* x;
  T* y;
  const std::int32_t* positions;
  std::int64_t x_stride[3], y_stride[3], position_step;
  std::int64_t count, heads, half;
  double log_base;
  bool inverse, add;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t number = std::int64_t{block.x()} * threads + block.thread();
    if (number >= count * half) return;
    const std::int64_t n = number / half;
    const std::int64_t i = number % half;
    const double turn = -static_cast<double>(i) / static_cast<double>(half);
    const double angle = positions[n * position_step] * exp(log_base * turn);
    const auto cosine = static_cast<float>(cos(angle));
    const auto sine = static_cast<float>(inverse ? -sin(angle) : sin(angle));
    for (std::int64_t h = 0; h < heads; ++h) {
      const T* from = x + n * x_stride[0] + h * x_stride[1];
      T* to = y + n * y_stride[0] + h * y_stride[1];
      const float a = to_float(from[i * x_stride[2]]);
      const float b = to_float(from[(half + i) * x_stride[2]]);
      put(to[i * y_stride[2]], a * cosine - b * sine, add);
      put(to[(half + i) * y_stride[2]], b * cosine + a * sine, add);
    }
  }
};

// y [N, F] = silu(x[:, :F]) x[:, F:]
template <class T>
struct Swiglu {
  static constexpr int threads = layer_threads;
  const T* x;
  T* y;
  std::int64_t x_row, x_column, y_row, y_column, count, width;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t number = std::int64_t{block.x()} * threads + block.thread();
    if (number >= count * width) return;
    const std::int64_t n = number / width;
    const std::int64_t f = number % width;
    const T* row = x + n * x_row;
    const float gate = to_float(row[f * x_column]);
    const float value = to_float(row[(width + f) * x_column]);
    y[n * y_row + f * y_column] = from_float<T>(gate * sigmoid(gate) * value);
  }
};

template <class T>
struct SwigluGradient {
  static constexpr int threads = layer_threads;
  const T* x;
  const T* dy;
  T* dx;
  std::int64_t x_row, x_column, dy_row, dy_column, dx_row, dx_column, count, width;
  bool add;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t number = std::int64_t{block.x()} * threads + block.thread();
    if (number >= count * width) return;
    const std::int64_t n = number / width;
    const std::int64_t f = number % width;
    const float gate = to_float(x[n * x_row + f * x_column]);
    const float value = to_float(x[n * x_row + (width + f) * x_column]);
    const float up = to_float(dy[n * dy_row + f * dy_column]);
    T* down = dx + n * dx_row;
    put(down[f * dx_column], up * value * slope(Activation::silu, gate), add);
    put(down[(width + f) * dx_column], up * gate * sigmoid(gate), add);
  }
};
}  // namespace

void CudaBackend::rotary(const RotaryArguments& arguments) {
  const Range range("rotary");
  const View& x = arguments.x;
  const View& y = arguments.y.view;
  with_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    launch({blocks_for(x.shape[0] * (x.shape[2] / 2), layer_threads)}, 0, stream_,
           Rotary<T>{.x = x.as<T>(),
                     .y = y.as<T>(),
                     .positions = arguments.positions.as<std::int32_t>(),
                     .x_stride = {x.stride(0), x.stride(1), x.stride(2)},
                     .y_stride = {y.stride(0), y.stride(1), y.stride(2)},
                     .position_step = arguments.positions.stride(0),
                     .count = x.shape[0],
                     .heads = x.shape[1],
                     .half = x.shape[2] / 2,
                     .log_base = std::log(arguments.base),
                     .inverse = arguments.inverse,
                     .add = arguments.y.add});
  });
}

void CudaBackend::swiglu(const View& x, const View& y) {
  const Range range("swiglu");
  with_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    launch({blocks_for(y.count(), layer_threads)}, 0, stream_,
           Swiglu<T>{.x = x.as<T>(),
                     .y = y.as<T>(),
                     .x_row = x.stride(0),
                     .x_column = x.stride(1),
                     .y_row = y.stride(0),
                     .y_column = y.stride(1),
                     .count = y.shape[0],
                     .width = y.shape[1]});
  });
}

void CudaBackend::swiglu_gradient(const View& x, const View& dy, const Target& dx) {
  const Range range("swiglu_gradient");
  with_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    launch({blocks_for(dy.count(), layer_threads)}, 0, stream_,
           SwigluGradient<T>{.x = x.as<T>(),
                             .dy = dy.as<T>(),
                             .dx = dx.view.as<T>(),
                             .x_row = x.stride(0),
                             .x_column = x.stride(1),
                             .dy_row = dy.stride(0),
                             .dy_column = dy.stride(1),
                             .dx_row = dx.view.stride(0),
                             .dx_column = dx.view.stride(1),
                             .count = dy.shape[0],
                             .width = dy.shape[1],
                             .add = dx.add});
  });
}

}  // namespace lathe
