#include "linear.h"

#include <device/launch.h>

#include <type_traits>

#include "element.h"
#include "functions.h"
#include "types.h"

namespace lathe::cuda {
namespace {
constexpr int linear_threads = 128;
constexpr int rows_each = 128;  // that a block of the column sum takes

template <class T>
struct RowMajor {
  T* data;
  std::int64_t row;

  LATHE_DEVICE T* at(std::int64_t n, std::int64_t c) const { return data + n * row + c; }
};
template <class T>
RowMajor<T> rows_of(const View& view) {
  if (!view) return {nullptr, 0};
  return {view.as<std::remove_const_t<T>>(), view.stride(0)};
}
template <class T>
bool takes_packs(const View& view) {
  return !view || (is_aligned(view.data) && view.stride(0) % pack_of<T> == 0 &&
                   view.shape[1] % pack_of<T> == 0);
}
bool bias_takes_packs(const View& bias) { return !bias || is_aligned(bias.data, 4); }

template <class T, int pack>
struct FinishLinear {
  static constexpr int threads = linear_threads;
  RowMajor<const T> pre, residual;
  const float* bias;
  RowMajor<T> before, y;
  Activation activation;
  std::int64_t count, width;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t number = std::int64_t{block.x()} * threads + block.thread();
    const std::int64_t packs = width / pack;
    if (number >= count * packs) return;
    const std::int64_t n = number / packs;
    const std::int64_t c = number % packs * pack;
    auto values = load<pack>(pre.at(n, c));
    Pack<T, pack> more{};
    if (residual.data != nullptr) more = load<pack>(residual.at(n, c));
    Pack<T, pack> result;
    for (int i = 0; i < pack; ++i) {
      const float sum = to_float(values.at[i]) + (bias != nullptr ? bias[c + i] : 0.0f);
      values.at[i] = from_float<T>(sum);
      const float other = residual.data != nullptr ? to_float(more.at[i]) : 0.0f;
      // The activation of what is kept: see LinearArguments.
      const float active =
          activation == Activation::none ? sum : activate(activation, to_float(values.at[i]));
      result.at[i] = from_float<T>(active + other);
    }
    if (before.data != nullptr) store(before.at(n, c), values);
    store(y.at(n, c), result);
  }
};

// A thread goes down `rows_each` rows of its columns.
template <class T, int pack>
struct ActivationGradient {
  static constexpr int threads = linear_threads;
  RowMajor<const T> before, dy;
  RowMajor<T> dpre;
  float* partial;  // [blocks_x, width], or null
  Activation activation;
  std::int64_t count, width;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t c = (std::int64_t{block.y()} * threads + block.thread()) * pack;
    if (c >= width) return;
    const std::int64_t begin = std::int64_t{block.x()} * rows_each;
    const std::int64_t end = begin + rows_each < count ? begin + rows_each : count;
    float sums[pack];
    for (int i = 0; i < pack; ++i) sums[i] = 0;
    for (std::int64_t n = begin; n < end; ++n) {
      auto up = load<pack>(dy.at(n, c));
      if (activation != Activation::none) {
        const auto pre = load<pack>(before.at(n, c));
        for (int i = 0; i < pack; ++i) {
          const float value = to_float(up.at[i]) * slope(activation, to_float(pre.at[i]));
          up.at[i] = from_float<T>(value);
          sums[i] += value;
        }
        store(dpre.at(n, c), up);
      } else {
        for (int i = 0; i < pack; ++i) sums[i] += to_float(up.at[i]);
      }
    }
    if (partial == nullptr) return;
    for (int i = 0; i < pack; ++i) partial[block.x() * width + c + i] = sums[i];
  }
};

// A block sums 32 columns: each warp some of the rows, then the first warp over the warps.
struct AddColumns {
  static constexpr int threads = 256;
  static constexpr int groups = threads / warp_size;
  const float* parts;
  float* target;
  std::int64_t target_step;
  std::int64_t count, width, step;
  bool add;

  LATHE_DEVICE void operator()(const Block& block) const {
    auto* sums = block.shared<float>();
    const std::int64_t c = std::int64_t{block.x()} * warp_size + block.lane();
    float sum = 0;
    if (c < width) {
      for (std::int64_t row = block.warp(); row < count; row += groups) {
        sum += parts[row * step + c];
      }
    }
    sums[block.thread()] = sum;
    block.barrier();
    if (block.warp() != 0 || c >= width) return;
    for (int group = 1; group < groups; ++group) sum += sums[group * warp_size + block.lane()];
    put(target[c * target_step], sum, add);
  }
};
}  // namespace

void finish_linear(const View& pre, const LinearArguments& arguments, Stream stream) {
  const View& y = arguments.y;
  with_floating(y.dtype, [&]<class T>(std::type_identity<T>) {
    const auto start = [&]<int pack>(std::integral_constant<int, pack>) {
      launch({blocks_for(y.count() / pack, linear_threads)}, 0, stream,
             FinishLinear<T, pack>{.pre = rows_of<const T>(pre),
                                   .residual = rows_of<const T>(arguments.residual),
                                   .bias = arguments.bias ? arguments.bias.as<float>() : nullptr,
                                   .before = rows_of<T>(arguments.before),
                                   .y = rows_of<T>(y),
                                   .activation = arguments.activation,
                                   .count = y.shape[0],
                                   .width = y.shape[1]});
    };
    if (takes_packs<T>(pre) && takes_packs<T>(arguments.residual) &&
        takes_packs<T>(arguments.before) && takes_packs<T>(y) && bias_takes_packs(arguments.bias)) {
      start(std::integral_constant<int, pack_of<T>>{});
    } else {
      start(std::integral_constant<int, 1>{});
    }
  });
}

std::size_t column_sum_bytes(std::int64_t rows, std::int64_t width) {
  return static_cast<std::size_t>(blocks_for(rows, rows_each) * width) * sizeof(float);
}

void activation_gradient(const LinearGradients& arguments, const View& dpre, float* partial,
                         Stream stream) {
  const View& dy = arguments.dy;
  const std::int64_t count = dy.shape[0];
  const std::int64_t width = dy.shape[1];
  const std::int64_t parts = blocks_for(count, rows_each);
  with_floating(dy.dtype, [&]<class T>(std::type_identity<T>) {
    const auto start = [&]<int pack>(std::integral_constant<int, pack>) {
      launch({parts, blocks_for(width, std::int64_t{linear_threads} * pack)}, 0, stream,
             ActivationGradient<T, pack>{.before = rows_of<const T>(arguments.before),
                                         .dy = rows_of<const T>(dy),
                                         .dpre = rows_of<T>(dpre),
                                         .partial = partial,
                                         .activation = arguments.activation,
                                         .count = count,
                                         .width = width});
    };
    if (takes_packs<T>(arguments.before) && takes_packs<T>(dy) && takes_packs<T>(dpre)) {
      start(std::integral_constant<int, pack_of<T>>{});
    } else {
      start(std::integral_constant<int, 1>{});
    }
  });
  if (partial == nullptr) return;
  add_columns(partial, parts, width, width, arguments.dbias.view, arguments.dbias.add, stream);
}

void add_columns(const float* parts, std::int64_t count, std::int64_t width, std::int64_t step,
                 const View& target, bool add, Stream stream) {
  launch({blocks_for(width, warp_size)}, AddColumns::threads * sizeof(float), stream,
         AddColumns{.parts = parts,
                    .target = target.as<float>(),
                    .target_step = target.stride(0),
                    .count = count,
                    .width = width,
                    .step = step,
                    .add = add});
}

}  // namespace lathe::cuda
