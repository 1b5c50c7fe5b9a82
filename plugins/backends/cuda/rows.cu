// Reductions and softmax along axes, in f32; 16 bytes at a time where rows lie together.
#include <device/launch.h>
#include <device/range.h>

#include <lathe/base/error.h>

#include <algorithm>
#include <type_traits>

#include "collect.h"
#include "cuda.h"
#include "element.h"
#include "row.h"
#include "types.h"
#include "walk.h"

namespace lathe {
namespace {
using namespace cuda;

constexpr int row_threads = 256;
constexpr std::size_t row_shared = row_threads / warp_size * sizeof(float);

// y[o] = x[o, 0] + x[o, 1] + ... (or the maximum). `team` threads share an output: 1 where
// neighbouring outputs lie together in memory, 32 where the terms of one sum do, 256 where there
// are few outputs. The terms are cut into `parts`, each with its own result. A thread of a team
// takes a pack of neighbouring terms at a time; one alone, where `columns`, a pack of neighbouring
// outputs.
template <class T, class Out, class Combine>
struct ReduceAxes {
  static constexpr int threads = row_threads;
  static constexpr int pack = pack_of<T>;
  Walk<2> outputs;  // x, y
  Walk<1> terms;
  const T* x;
  Out* y;
  float* partial;  // [parts, outputs] instead of y
  int team;
  std::int64_t each;  // terms of a part
  bool columns;       // see takes_columns()

  LATHE_DEVICE void operator()(const Block& block) const {
    if (columns) return outputs_together(block);
    const std::int64_t number = std::int64_t{block.x()} * (threads / team) + block.thread() / team;
    const bool exists = number < outputs.count;
    if (team == 1 && !exists) return;  // larger teams must meet below
    const auto places = outputs.places(exists ? number : 0);
    const std::int64_t begin = block.y() * each;
    const std::int64_t end = begin + each < terms.count ? begin + each : terms.count;
    const Combine combine;
    float result = Combine::neutral();
    const T* from = x + places.at[0];
    if (exists && team == 1) {
      for (std::int64_t term = begin; term < end; ++term) {
        result = combine(result, to_float(from[terms.places(term).at[0]]));
      }
    } else if (exists) {
      result = of_thread(from, begin + block.thread() % team * pack, end);
    }
    if (team > 1) result = over_row(block, team > warp_size, result, combine);
    if (!exists || block.thread() % team != 0) return;
    if (partial != nullptr) {
      partial[block.y() * outputs.count + number] = result;
    } else {
      y[places.at[1]] = from_float<Out>(result);
    }
  }

  // The packs of terms of one thread of a team.
  LATHE_DEVICE float of_thread(const T* from, std::int64_t first, std::int64_t end) const {
    const Combine combine;
    float result = Combine::neutral();
    const Row<const T, pack> row(from, terms.stride[0][0], terms.rank == 1 ? end : 0);
    for (std::int64_t term = first; term < end; term += team * pack) {
      float values[pack];
      if (terms.rank == 1) {
        row.read(term, values, Combine::neutral());
      } else {
        for (int i = 0; i < pack; ++i) {
          values[i] =
              term + i < end ? to_float(from[terms.places(term + i).at[0]]) : Combine::neutral();
        }
      }
      for (int i = 0; i < pack; ++i) result = combine(result, values[i]);
    }
    return result;
  }

  LATHE_DEVICE void outputs_together(const Block& block) const {
    const std::int64_t number = (std::int64_t{block.x()} * threads + block.thread()) * pack;
    if (number >= outputs.count) return;
    const auto places = outputs.places(number);
    const std::int64_t begin = block.y() * each;
    const std::int64_t end = begin + each < terms.count ? begin + each : terms.count;
    const Combine combine;
    float results[pack];
    for (int i = 0; i < pack; ++i) results[i] = Combine::neutral();
    for (std::int64_t term = begin; term < end; ++term) {
      const auto values = load<pack>(x + places.at[0] + terms.places(term).at[0]);
      for (int i = 0; i < pack; ++i) results[i] = combine(results[i], to_float(values.at[i]));
    }
    const std::int64_t step = outputs.stride[1][outputs.rank - 1];
    for (int i = 0; i < pack; ++i) {
      if (partial != nullptr) {
        partial[block.y() * outputs.count + number + i] = results[i];
      } else {
        y[places.at[1] + i * step] = from_float<Out>(results[i]);
      }
    }
  }
};

// Whether packs of neighbouring outputs are read from packs of neighbours, term by term.
template <int pack>
bool takes_columns(const Walk<2>& outputs, const Walk<1>& terms, const void* x) {
  if (outputs.rank == 0 || !is_aligned(x)) return false;
  const int last = outputs.rank - 1;
  if (outputs.stride[0][last] != 1 || outputs.extent[last] % pack != 0) return false;
  bool even = true;
  for (int axis = 0; axis < last; ++axis) even = even && outputs.stride[0][axis] % pack == 0;
  for (int axis = 0; axis < terms.rank; ++axis) even = even && terms.stride[0][axis] % pack == 0;
  return even;
}

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
                                   .each = 0,
                                   .columns = false};
  constexpr int pack = kernel.pack;
  const Spread spread = spread_of(kernel.outputs, kernel.terms);
  kernel.team = spread.team;
  kernel.each = blocks_for(blocks_for(kernel.terms.count, spread.parts), pack) * pack;
  kernel.columns = kernel.team == 1 && takes_columns<pack>(kernel.outputs, kernel.terms, kernel.x);
  const std::int64_t count = kernel.outputs.count;
  const std::int64_t blocks =
      blocks_for(count, kernel.columns ? row_threads * pack : row_threads / kernel.team);
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
                                       .each = spread.parts,
                                       .columns = false};
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
  static constexpr int pack = pack_of<T>;
  Walk<2> rows;  // x, y
  const T* x;
  T* y;
  std::int64_t width, x_step, y_step;
  bool wide;

  LATHE_DEVICE void operator()(const Block& block) const {
    const RowPart part = row_part(block, wide);
    if (part.row >= rows.count) return;  // the whole team
    const auto places = rows.places(part.row);
    const Row<const T, pack> in(x + places.at[0], x_step, width);
    const Row<T, pack> out(y + places.at[1], y_step, width);
    float values[pack];
    float most = -INFINITY;
    for (std::int64_t i = part.begin * pack; i < width; i += part.step * pack) {
      in.read(i, values, -INFINITY);
      for (const float value : values) most = fmaxf(most, value);
    }
    most = over_row(block, wide, most, Larger{});
    if (most == -INFINITY) most = 0;
    float sum = 0;
    for (std::int64_t i = part.begin * pack; i < width; i += part.step * pack) {
      in.read(i, values, -INFINITY);
      for (const float value : values) sum += expf(value - most);
    }
    sum = over_row(block, wide, sum, Add{});
    const float scale = sum == 0 ? 0 : 1 / sum;
    for (std::int64_t i = part.begin * pack; i < width; i += part.step * pack) {
      in.read(i, values, -INFINITY);
      for (float& value : values) value = expf(value - most) * scale;
      out.write(i, values);
    }
  }
};

// dx = y (dy - sum(y dy))
template <class T>
struct SoftmaxGradient {
  static constexpr int threads = row_threads;
  static constexpr int pack = pack_of<T>;
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
    const Row<const T, pack> value(y + places.at[0], y_step, width);
    const Row<const T, pack> up(dy + places.at[1], dy_step, width);
    const Row<T, pack> down(dx + places.at[2], dx_step, width);
    float values[pack], ups[pack];
    float sum = 0;
    for (std::int64_t i = part.begin * pack; i < width; i += part.step * pack) {
      value.read(i, values);
      up.read(i, ups);
      for (int j = 0; j < pack; ++j) sum += values[j] * ups[j];
    }
    sum = over_row(block, wide, sum, Add{});
    for (std::int64_t i = part.begin * pack; i < width; i += part.step * pack) {
      value.read(i, values);
      up.read(i, ups);
      for (int j = 0; j < pack; ++j) ups[j] = values[j] * (ups[j] - sum);
      down.write(i, ups, add);
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
