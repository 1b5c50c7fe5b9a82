// LayerNorm and RMSNorm with the residual addition before them, forward and backward.
//
// A warp takes a row. It goes over the row three times, of which the second and third find it in
// the cache; with a residual, the statistics are those of the sum as it is stored, so that fused
// and separate agree and the backward pass sees the same row.
#include <device/launch.h>
#include <device/range.h>

#include <type_traits>

#include "collect.h"
#include "cuda.h"
#include "element.h"
#include "linear.h"
#include "types.h"

namespace lathe {
namespace {
using namespace cuda;

constexpr int norm_threads = 256;
constexpr int norm_warps = norm_threads / warp_size;

template <class T>
struct Rows {
  T* data;
  std::int64_t row;

  LATHE_DEVICE T* at(std::int64_t n, std::int64_t c) const { return data + n * row + c; }
};
template <class T>
Rows<T> rows_of(const View& view) {
  if (!view) return {nullptr, 0};
  return {view.as<std::remove_const_t<T>>(), view.stride(0)};
}
template <class T>
bool takes_packs(const View& view) {
  return !view || (is_aligned(view.data) && view.stride(0) % pack_of<T> == 0 &&
                   view.shape[1] % pack_of<T> == 0);
}
bool lies_together(const View& view) {
  return !view || view.stride(-1) == 1 || view.shape[-1] == 1;
}

template <class T, int pack>
struct NormRows {
  static constexpr int threads = norm_threads;
  Rows<const T> x, residual;
  const float* weight;
  const float* bias;
  Rows<T> sum, y;
  float* mean;
  float* rstd;
  std::int64_t mean_step, rstd_step, count, width;
  float epsilon;
  bool centred;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t n = std::int64_t{block.x()} * norm_warps + block.warp();
    if (n >= count) return;  // the whole warp
    const std::int64_t begin = std::int64_t{block.lane()} * pack;
    constexpr std::int64_t step = warp_size * pack;
    float total = 0;
    for (std::int64_t c = begin; c < width; c += step) {
      const auto values = added(n, c);
      for (int i = 0; i < pack; ++i) total += to_float(values.at[i]);
    }
    const auto size = static_cast<float>(width);
    const float centre = centred ? over_warp(block, total, Add{}) / size : 0.0f;
    float squares = 0;
    for (std::int64_t c = begin; c < width; c += step) {
      const auto values = row_at(n, c);
      for (int i = 0; i < pack; ++i) {
        const float apart = to_float(values.at[i]) - centre;
        squares += apart * apart;
      }
    }
    const float scale = 1.0f / sqrtf(over_warp(block, squares, Add{}) / size + epsilon);
    for (std::int64_t c = begin; c < width; c += step) {
      auto values = row_at(n, c);
      for (int i = 0; i < pack; ++i) {
        const float unit = (to_float(values.at[i]) - centre) * scale;
        values.at[i] = from_float<T>(unit * weight[c + i] + (bias != nullptr ? bias[c + i] : 0.0f));
      }
      store(y.at(n, c), values);
    }
    if (block.lane() != 0) return;
    if (mean != nullptr) mean[n * mean_step] = centre;
    if (rstd != nullptr) rstd[n * rstd_step] = scale;
  }

  // x + residual, which also goes to `sum`.
  LATHE_DEVICE Pack<T, pack> added(std::int64_t n, std::int64_t c) const {
    auto values = load<pack>(x.at(n, c));
    if (residual.data == nullptr) return values;
    const auto more = load<pack>(residual.at(n, c));
    for (int i = 0; i < pack; ++i) {
      values.at[i] = from_float<T>(to_float(values.at[i]) + to_float(more.at[i]));
    }
    store(sum.at(n, c), values);
    return values;
  }
  LATHE_DEVICE Pack<T, pack> row_at(std::int64_t n, std::int64_t c) const {
    return residual.data == nullptr ? load<pack>(x.at(n, c)) : load<pack>(sum.at(n, c));
  }
};

// With u = (sum - mean) rstd and g = dy weight:
//   dx = rstd (g - mean(g) - u mean(g u)) + dsum, without mean(g) for Norm::rms;
//   parts[block] = [sum_n dy u, sum_n dy] over the block's rows.
// A block takes `tiles` times eight rows: first each warp its row, then each thread its columns of
// the eight rows, which are in the cache by then.
template <class T, int pack>
struct NormRowsGradient {
  static constexpr int threads = norm_threads;
  static constexpr std::int64_t tiles = 16;
  Rows<const T> sum, dy, dsum;
  const float* weight;
  const float* mean;  // or null
  const float* rstd;
  std::int64_t mean_step, rstd_step;
  Rows<T> dx;  // or no data
  bool add;
  float* parts;  // [blocks, 2, width], or null
  std::int64_t count, width;

  LATHE_DEVICE void operator()(const Block& block) const {
    auto* columns = block.shared<float>();  // [2, width]: each thread keeps to its own columns
    if (parts != nullptr) {
      for (std::int64_t c = block.thread(); c < 2 * width; c += threads) columns[c] = 0;
      block.barrier();
    }
    const std::int64_t first = std::int64_t{block.x()} * tiles * norm_warps;
    for (std::int64_t begin = first; begin < first + tiles * norm_warps && begin < count;
         begin += norm_warps) {
      const std::int64_t n = begin + block.warp();
      if (dx.data != nullptr && n < count) one_row(block, n);
      if (parts != nullptr) add_rows(block, columns, begin);
    }
    if (parts == nullptr) return;
    block.barrier();
    for (std::int64_t c = block.thread(); c < 2 * width; c += threads) {
      parts[block.x() * 2 * width + c] = columns[c];
    }
  }

  LATHE_DEVICE float centre(std::int64_t n) const {
    return mean != nullptr ? mean[n * mean_step] : 0.0f;
  }

  LATHE_DEVICE void one_row(const Block& block, std::int64_t n) const {
    const float at = centre(n);
    const float scale = rstd[n * rstd_step];
    const std::int64_t lane_begin = std::int64_t{block.lane()} * pack;
    constexpr std::int64_t step = warp_size * pack;
    float sum_g = 0;
    float sum_gu = 0;
    for (std::int64_t c = lane_begin; c < width; c += step) {
      const auto values = load<pack>(sum.at(n, c));
      const auto up = load<pack>(dy.at(n, c));
      for (int i = 0; i < pack; ++i) {
        const float g = to_float(up.at[i]) * weight[c + i];
        sum_g += g;
        sum_gu += g * (to_float(values.at[i]) - at) * scale;
      }
    }
    const auto size = static_cast<float>(width);
    const float mean_g = mean != nullptr ? over_warp(block, sum_g, Add{}) / size : 0.0f;
    const float mean_gu = over_warp(block, sum_gu, Add{}) / size;
    for (std::int64_t c = lane_begin; c < width; c += step) {
      const auto values = load<pack>(sum.at(n, c));
      const auto up = load<pack>(dy.at(n, c));
      Pack<T, pack> other{};
      Pack<T, pack> result{};
      if (dsum.data != nullptr) other = load<pack>(dsum.at(n, c));
      if (add) result = load<pack>(dx.at(n, c));
      for (int i = 0; i < pack; ++i) {
        const float g = to_float(up.at[i]) * weight[c + i];
        const float unit = (to_float(values.at[i]) - at) * scale;
        const float more = dsum.data != nullptr ? to_float(other.at[i]) : 0.0f;
        put(result.at[i], scale * (g - mean_g - unit * mean_gu) + more, add);
      }
      store(dx.at(n, c), result);
    }
  }

  LATHE_DEVICE void add_rows(const Block& block, float* columns, std::int64_t begin) const {
    const std::int64_t end = begin + norm_warps < count ? begin + norm_warps : count;
    for (std::int64_t c = std::int64_t{block.thread()} * pack; c < width; c += threads * pack) {
      float weights[pack], biases[pack];
      for (int i = 0; i < pack; ++i) weights[i] = biases[i] = 0;
      for (std::int64_t n = begin; n < end; ++n) {
        const float at = centre(n);
        const float scale = rstd[n * rstd_step];
        const auto values = load<pack>(sum.at(n, c));
        const auto up = load<pack>(dy.at(n, c));
        for (int i = 0; i < pack; ++i) {
          weights[i] += to_float(up.at[i]) * (to_float(values.at[i]) - at) * scale;
          biases[i] += to_float(up.at[i]);
        }
      }
      for (int i = 0; i < pack; ++i) {
        columns[c + i] += weights[i];
        columns[width + c + i] += biases[i];
      }
    }
  }
};
}  // namespace

void CudaBackend::norm(const NormArguments& arguments) {
  const Range range("norm");
  const View& x = arguments.x;
  const bool fits = lies_together(x) && lies_together(arguments.residual) &&
                    lies_together(arguments.sum) && lies_together(arguments.y) &&
                    lies_together(arguments.weight) && lies_together(arguments.bias);
  if (!fits) return Backend::norm(arguments);
  with_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    const auto start = [&]<int pack>(std::integral_constant<int, pack>) {
      const auto wide = [](const View& view) { return view ? view.as<float>() : nullptr; };
      launch({blocks_for(x.shape[0], norm_warps)}, 0, stream_,
             NormRows<T, pack>{.x = rows_of<const T>(x),
                               .residual = rows_of<const T>(arguments.residual),
                               .weight = wide(arguments.weight),
                               .bias = wide(arguments.bias),
                               .sum = rows_of<T>(arguments.sum),
                               .y = rows_of<T>(arguments.y),
                               .mean = wide(arguments.mean),
                               .rstd = wide(arguments.rstd),
                               .mean_step = arguments.mean ? arguments.mean.stride(0) : 0,
                               .rstd_step = arguments.rstd ? arguments.rstd.stride(0) : 0,
                               .count = x.shape[0],
                               .width = x.shape[1],
                               .epsilon = static_cast<float>(arguments.epsilon),
                               .centred = arguments.kind == Norm::layer});
    };
    if (takes_packs<T>(x) && takes_packs<T>(arguments.residual) && takes_packs<T>(arguments.sum) &&
        takes_packs<T>(arguments.y)) {
      start(std::integral_constant<int, pack_of<T>>{});
    } else {
      start(std::integral_constant<int, 1>{});
    }
  });
}

void CudaBackend::norm_gradient(const NormGradients& arguments) {
  const Range range("norm_gradient");
  const std::int64_t count = arguments.sum.shape[0];
  const std::int64_t width = arguments.sum.shape[1];
  const bool sums = arguments.dweight || arguments.dbias;
  const std::size_t shared = sums ? 2 * static_cast<std::size_t>(width) * sizeof(float) : 0;
  const bool fits = lies_together(arguments.sum) && lies_together(arguments.dy) &&
                    lies_together(arguments.dsum) && lies_together(arguments.dx.view) &&
                    lies_together(arguments.weight) && shared <= most_shared_bytes;
  if (!fits) return Backend::norm_gradient(arguments);
  const std::int64_t blocks = blocks_for(count, NormRowsGradient<float, 1>::tiles * norm_warps);
  const Space space(*this, static_cast<std::size_t>(blocks) * shared);
  auto* parts = sums ? space.as<float>() : nullptr;
  with_floating(arguments.sum.dtype, [&]<class T>(std::type_identity<T>) {
    const auto start = [&]<int pack>(std::integral_constant<int, pack>) {
      launch({blocks}, shared, stream_,
             NormRowsGradient<T, pack>{
                 .sum = rows_of<const T>(arguments.sum),
                 .dy = rows_of<const T>(arguments.dy),
                 .dsum = rows_of<const T>(arguments.dsum),
                 .weight = arguments.weight.as<float>(),
                 .mean = arguments.kind == Norm::layer ? arguments.mean.as<float>() : nullptr,
                 .rstd = arguments.rstd.as<float>(),
                 .mean_step = arguments.kind == Norm::layer ? arguments.mean.stride(0) : 0,
                 .rstd_step = arguments.rstd.stride(0),
                 .dx = rows_of<T>(arguments.dx.view),
                 .add = arguments.dx.add,
                 .parts = parts,
                 .count = count,
                 .width = width});
    };
    if (takes_packs<T>(arguments.sum) && takes_packs<T>(arguments.dy) &&
        takes_packs<T>(arguments.dsum) && takes_packs<T>(arguments.dx.view)) {
      start(std::integral_constant<int, pack_of<T>>{});
    } else {
      start(std::integral_constant<int, 1>{});
    }
  });
  const auto finish = [&](const Target& target, std::int64_t offset) {
    if (!target) return;
    if (blocks == 0) {
      if (!target.add) fill(target.view, 0);
      return;
    }
    add_columns(parts + offset, blocks, width, 2 * width, target.view, target.add, stream_);
  };
  finish(arguments.dweight, 0);
  finish(arguments.dbias, width);
}

}  // namespace lathe
