// Rotary positions and the gated unit; 16 bytes at a time where rows lie together.
#include <device/launch.h>
#include <device/range.h>

#include <cmath>
#include <type_traits>

#include "cuda.h"
#include "element.h"
#include "functions.h"
#include "row.h"
#include "tiles.h"
#include "types.h"

namespace lathe {
namespace {
using namespace cuda;

constexpr int layer_threads = 256;

// Angles in double: at position 100,000 a float has lost a hundredth of a turn. As many threads as
// a pack has angles compute one each, tell each other, and share the heads among them.
template <class T, int pack>
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
    const int member = block.lane() % pack;
    const bool exists = number < count * half;  // all must meet in the shuffles
    const std::int64_t n = exists ? number / half : 0;
    const std::int64_t i = number % half;
    const double turn = -static_cast<double>(i) / static_cast<double>(half);
    const double angle = positions[n * position_step] * exp(log_base * turn);
    const auto own_cosine = static_cast<float>(cos(angle));
    const auto own_sine = static_cast<float>(inverse ? -sin(angle) : sin(angle));
    float cosine[pack], sine[pack];
    for (int j = 0; j < pack; ++j) {
      cosine[j] = block.shuffle(own_cosine, block.lane() - member + j);
      sine[j] = block.shuffle(own_sine, block.lane() - member + j);
    }
    if (!exists) return;
    LATHE_LOOP
    for (std::int64_t h = member; h < heads; h += pack) {
      const T* from = x + n * x_stride[0] + h * x_stride[1] + (i - member) * x_stride[2];
      T* to = y + n * y_stride[0] + h * y_stride[1] + (i - member) * y_stride[2];
      turn_pack(from, from + half * x_stride[2], to, to + half * y_stride[2], cosine, sine);
    }
  }

  LATHE_DEVICE void turn_pack(const T* left, const T* right, T* to_left, T* to_right,
                              const float (&cosine)[pack], const float (&sine)[pack]) const {
    const auto a = load<pack>(left);
    const auto b = load<pack>(right);
    Pack<T, pack> first{}, second{};
    if (add) {
      first = load<pack>(to_left);
      second = load<pack>(to_right);
    }
    for (int j = 0; j < pack; ++j) {
      const float u = to_float(a.at[j]), v = to_float(b.at[j]);
      put(first.at[j], u * cosine[j] - v * sine[j], add);
      put(second.at[j], v * cosine[j] + u * sine[j], add);
    }
    store(to_left, first);
    store(to_right, second);
  }
};

template <int pack>
bool halves_take_packs(const View& view) {
  return is_aligned(view.data) && view.stride(2) == 1 && view.stride(0) % pack == 0 &&
         view.stride(1) % pack == 0 && view.shape[2] / 2 % pack == 0;
}

// y [N, F] = silu(x[:, :F]) x[:, F:]
template <class T>
struct Swiglu {
  static constexpr int threads = layer_threads;
  static constexpr int pack = pack_of<T>;
  const T* x;
  T* y;
  std::int64_t x_row, x_column, y_row, y_column, count, width;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t number = std::int64_t{block.x()} * threads + block.thread();
    const std::int64_t packs = (width + pack - 1) / pack;
    if (number >= count * packs) return;
    const std::int64_t n = number / packs;
    const std::int64_t f = number % packs * pack;
    const T* row = x + n * x_row;
    float gate[pack], value[pack];
    Row<const T, pack>(row, x_column, width).read(f, gate);
    Row<const T, pack>(row + width * x_column, x_column, width).read(f, value);
    for (int i = 0; i < pack; ++i) value[i] = gate[i] * sigmoid(gate[i]) * value[i];
    Row<T, pack>(y + n * y_row, y_column, width).write(f, value);
  }
};

template <class T>
struct SwigluGradient {
  static constexpr int threads = layer_threads;
  static constexpr int pack = pack_of<T>;
  const T* x;
  const T* dy;
  T* dx;
  std::int64_t x_row, x_column, dy_row, dy_column, dx_row, dx_column, count, width;
  bool add;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t number = std::int64_t{block.x()} * threads + block.thread();
    const std::int64_t packs = (width + pack - 1) / pack;
    if (number >= count * packs) return;
    const std::int64_t n = number / packs;
    const std::int64_t f = number % packs * pack;
    const T* row = x + n * x_row;
    T* down = dx + n * dx_row;
    float gate[pack], value[pack], up[pack];
    Row<const T, pack>(row, x_column, width).read(f, gate);
    Row<const T, pack>(row + width * x_column, x_column, width).read(f, value);
    Row<const T, pack>(dy + n * dy_row, dy_column, width).read(f, up);
    for (int i = 0; i < pack; ++i) {
      value[i] = up[i] * value[i] * slope(Activation::silu, gate[i]);
      up[i] = up[i] * gate[i] * sigmoid(gate[i]);
    }
    Row<T, pack>(down, dx_column, width).write(f, value, add);
    Row<T, pack>(down + width * dx_column, dx_column, width).write(f, up, add);
  }
};
}  // namespace

void CudaBackend::rotary(const RotaryArguments& arguments) {
  const Range range("rotary");
  const View& x = arguments.x;
  const View& y = arguments.y.view;
  with_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    const auto start = [&]<int pack>(std::integral_constant<int, pack>) {
      launch({blocks_for(x.shape[0] * (x.shape[2] / 2), layer_threads)}, 0, stream_,
             Rotary<T, pack>{.x = x.as<T>(),
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
    };
    if (halves_take_packs<pack_of<T>>(x) && halves_take_packs<pack_of<T>>(y)) {
      start(std::integral_constant<int, pack_of<T>>{});
    } else {
      start(std::integral_constant<int, 1>{});
    }
  });
}

void CudaBackend::swiglu(const View& x, const View& y) {
  const Range range("swiglu");
  with_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    launch({blocks_for(y.shape[0] * blocks_for(y.shape[1], pack_of<T>), layer_threads)}, 0, stream_,
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
    launch({blocks_for(dy.shape[0] * blocks_for(dy.shape[1], pack_of<T>), layer_threads)}, 0,
           stream_,
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
