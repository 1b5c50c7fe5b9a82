// Reductions and softmax along axes, in f32.
#include <device/launch.h>
#include <device/range.h>

#include <lathe/base/error.h>

#include <algorithm>
#include <type_traits>

#include "collect.h"
#include "cuda.h"
#include "element.h"
#include "types.h"
#include "walk.h"

namespace lathe {
namespace {
using namespace cuda;

constexpr int row_threads = 256;
constexpr std::size_t row_shared = row_threads / warp_size * sizeof(float);

// y[o] = x[o, 0] + x[o, 1] + ... (or the maximum). `team` threads share an output: 1 where
// neighbouring outputs lie together in memory, 32 where the terms of one sum do, 256 where there
// are few outputs. The terms are cut into `parts`, each with its own result.
template <class T, class Out, class Combine>
struct ReduceAxes {
  static constexpr int threads = row_threads;
  Walk<2> outputs;  // x, y
  Walk<1> terms;
  const T* x;
  Out* y;
  float* partial;  // [parts, outputs] instead of y
  int team;
  std::int64_t each;  // terms of a part

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t number = std::int64_t{block.x()} * (threads / team) + block.thread() / team;
    const bool exists = number < outputs.count;
    if (team == 1 && !exists) return;  // larger teams must meet below
    const auto places = outputs.places(exists ? number : 0);
    const std::int64_t begin = block.y() * each;
    const std::int64_t end = begin + each < terms.count ? begin + each : terms.count;
    const Combine combine;
    float result = Combine::neutral();
    if (exists) {
      for (std::int64_t term = begin + block.thread() % team; term < end; term += team) {
        result = combine(result, to_float(x[places.at[0] + terms.places(term).at[0]]));
      }
    }
    if (team > 1) result = over_row(block, team > warp_size, result, combine);
    if (!exists || block.thread() % team != 0) return;
    if (partial != nullptr) {
      partial[block.y() * outputs.count + number] = result;
    } else {
      y[places.at[1]] = from_float<Out>(result);
    }
  }
};

// How a reduction is spread: by its shape alone, so that every device adds in the same order.
struct Spread {
  int team = 1;
  std::int64_t parts = 1;
};

Spread spread_of(const Walk<2>& outputs, const Walk<1>& terms) {
  constexpr std::int64_t enough_threads = 1 << 17;
  constexpr std::int64_t least_terms = 64;  // of a thread
  const auto inner = [](std::int64_t stride) { return stride < 0 ? -stride : stride; };
  const bool terms_lie_together =
      terms.rank > 0 && (outputs.rank == 0 || inner(terms.stride[0][terms.rank - 1]) <
                                                  inner(outputs.stride[0][outputs.rank - 1]));
  Spread spread;
  if (outputs.count < 64 && terms.count >= 1024) {
    spread.team = row_threads;
  } else if (terms_lie_together && terms.count >= warp_size) {
    spread.team = warp_size;
  }
  const std::int64_t busy = std::max<std::int64_t>(outputs.count * spread.team, 1);
  const std::int64_t wanted = blocks_for(enough_threads, busy);
  const std::int64_t possible =
      std::max<std::int64_t>(terms.count / (least_terms * spread.team), 1);
  spread.parts = std::clamp<std::int64_t>(std::min(wanted, possible), 1, 1024);
  return spread;
}

template <class T, class Combine, class Take>
void reduce_with(Stream stream, const View& x, const View& y, const Take& take) {
  Shape kept, inner;
  Strides kept_x{}, kept_y{}, inner_x{};
  for (int axis = 0; axis < x.shape.rank(); ++axis) {
    const bool reduced = y.shape[axis] == 1;
    const auto at = static_cast<std::size_t>(axis);
    kept.push_back(reduced ? 1 : x.shape[axis]);
    inner.push_back(reduced ? x.shape[axis] : 1);
    kept_x[at] = inner_x[at] = x.strides[at];
    kept_y[at] = y.strides[at];
  }
  ReduceAxes<T, T, Combine> kernel{.outputs = walk_of<2>(kept, {&kept_x, &kept_y}),
                                   .terms = walk_of<1>(inner, {&inner_x}),
                                   .x = x.as<T>(),
                                   .y = y.as<T>(),
                                   .partial = nullptr,
                                   .team = 1,
                                   .each = 0};
  const Spread spread = spread_of(kernel.outputs, kernel.terms);
  kernel.team = spread.team;
  kernel.each = blocks_for(kernel.terms.count, spread.parts);
  const std::int64_t count = kernel.outputs.count;
  const std::int64_t blocks = blocks_for(count, row_threads / kernel.team);
  if (spread.parts == 1) return launch({blocks}, row_shared, stream, kernel);

  take(static_cast<std::size_t>(spread.parts * count) * sizeof(float), [&](float* partial) {
    kernel.partial = partial;
    launch({blocks, spread.parts}, row_shared, stream, kernel);
    // The parts of an output lie `count` apart.
    ReduceAxes<float, T, Combine> last{.outputs = kernel.outputs,
                                       .terms = {},
                                       .x = partial,
                                       .y = kernel.y,
                                       .partial = nullptr,
                                       .team = 1,
                                       .each = spread.parts};
    std::int64_t step = 1;
    for (int axis = last.outputs.rank - 1; axis >= 0; --axis) {
      last.outputs.stride[0][axis] = step;
      step *= last.outputs.extent[axis];
    }
    last.terms.count = spread.parts;
    last.terms.rank = 1;
    last.terms.extent[0] = spread.parts;
    last.terms.stride[0][0] = count;
    launch({blocks_for(count, row_threads)}, row_shared, stream, last);
  });
}

// Rows along the last axis: a warp each, or a block where they are long.
struct Rows {
  std::int64_t width;
  bool wide;

  explicit Rows(const Shape& shape) : width(shape.rank() == 0 ? 0 : shape[-1]) {
    if (shape.rank() == 0) fail("softmax needs at least one axis");
    wide = width > 4096;
  }
  Shape starts(const Shape& shape) const {
    Shape rows = shape;
    rows[-1] = std::min<std::int64_t>(width, 1);
    return rows;
  }
  Grid grid(std::int64_t count) const {
    return {blocks_for(count, wide ? 1 : row_threads / warp_size)};
  }
};

// The row of this thread's team, and where in it the thread begins and how far it steps.
struct RowPart {
  std::int64_t row;
  int begin;
  int step;
};
LATHE_DEVICE RowPart row_part(const Block& block, bool wide) {
  if (wide) return {block.x(), block.thread(), block.threads()};
  return {std::int64_t{block.x()} * (block.threads() / warp_size) + block.warp(), block.lane(),
          warp_size};
}

// y = exp(x - max) / sum of exp(x - max); a row of -infinity alone gives zeros.
template <class T>
struct Softmax {
  static constexpr int threads = row_threads;
  Walk<2> rows;  // x, y
  const T* x;
  T* y;
  std::int64_t width, x_step, y_step;
  bool wide;

  LATHE_DEVICE void operator()(const Block& block) const {
    const RowPart part = row_part(block, wide);
    if (part.row >= rows.count) return;  // the whole team
    const auto places = rows.places(part.row);
    const T* in = x + places.at[0];
    T* out = y + places.at[1];
    float most = -INFINITY;
    for (std::int64_t i = part.begin; i < width; i += part.step) {
      most = fmaxf(most, to_float(in[i * x_step]));
    }
    most = over_row(block, wide, most, Larger{});
    if (most == -INFINITY) most = 0;
    float sum = 0;
    for (std::int64_t i = part.begin; i < width; i += part.step) {
      sum += expf(to_float(in[i * x_step]) - most);
    }
    sum = over_row(block, wide, sum, Add{});
    const float scale = sum == 0 ? 0 : 1 / sum;
    for (std::int64_t i = part.begin; i < width; i += part.step) {
      out[i * y_step] = from_float<T>(expf(to_float(in[i * x_step]) - most) * scale);
    }
  }
};

// dx = y (dy - sum(y dy))
template <class T>
struct SoftmaxGradient {
  static constexpr int threads = row_threads;
  Walk<3> rows;  // y, dy, dx
  const T* y;
  const T* dy;
  T* dx;
  std::int64_t width, y_step, dy_step, dx_step;
  bool wide, add;

  LATHE_DEVICE void operator()(const Block& block) const {
    const RowPart part = row_part(block, wide);
    if (part.row >= rows.count) return;
    const auto places = rows.places(part.row);
    const T* value = y + places.at[0];
    const T* up = dy + places.at[1];
    T* down = dx + places.at[2];
    float sum = 0;
    for (std::int64_t i = part.begin; i < width; i += part.step) {
      sum += to_float(value[i * y_step]) * to_float(up[i * dy_step]);
    }
    sum = over_row(block, wide, sum, Add{});
    for (std::int64_t i = part.begin; i < width; i += part.step) {
      const float slope = to_float(value[i * y_step]) * (to_float(up[i * dy_step]) - sum);
      put(down[i * dx_step], slope, add);
    }
  }
};
}  // namespace

void CudaBackend::reduce(Reduce op, const View& x, const View& y) {
  const Range range("reduce");
  const auto take = [&](std::size_t bytes, const auto& use) {
    const Space space(*this, bytes);
    use(space.template as<float>());
  };
  with_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    if (op == Reduce::sum) {
      reduce_with<T, Add>(stream_, x, y, take);
    } else {
      reduce_with<T, Larger>(stream_, x, y, take);
    }
  });
}

void CudaBackend::softmax(const View& x, const View& y) {
  const Range range("softmax");
  const Rows rows(x.shape);
  with_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    const Softmax<T> kernel{.rows = walk_of<2>(rows.starts(x.shape), {&x.strides, &y.strides}),
                            .x = x.as<T>(),
                            .y = y.as<T>(),
                            .width = rows.width,
                            .x_step = x.stride(-1),
                            .y_step = y.stride(-1),
                            .wide = rows.wide};
    launch(rows.grid(kernel.rows.count), row_shared, stream_, kernel);
  });
}

void CudaBackend::softmax_gradient(const View& y, const View& dy, const Target& dx) {
  const Range range("softmax_gradient");
  const Rows rows(y.shape);
  with_floating(y.dtype, [&]<class T>(std::type_identity<T>) {
    const SoftmaxGradient<T> kernel{
        .rows = walk_of<3>(rows.starts(y.shape), {&y.strides, &dy.strides, &dx.view.strides}),
        .y = y.as<T>(),
        .dy = dy.as<T>(),
        .dx = dx.view.as<T>(),
        .width = rows.width,
        .y_step = y.stride(-1),
        .dy_step = dy.stride(-1),
        .dx_step = dx.view.stride(-1),
        .wide = rows.wide,
        .add = dx.add};
    launch(rows.grid(kernel.rows.count), row_shared, stream_, kernel);
  });
}

}  // namespace lathe
