// Optimizers and sums over flat buffers.
//
// "Nearest" rounds the bf16 copy of the weights to the nearest; "stochastic" rounds up with the
// probability that keeps its mean at the f32 weight. The bits come from Philox, keyed by the step
// and the element, so that a resumed run draws the same.
#include <device/launch.h>
#include <device/range.h>

#include <cmath>
#include <vector>

#include "collect.h"
#include "cuda.h"
#include "element.h"
#include "row.h"
#include "types.h"
#include "walk.h"

namespace lathe {
namespace {
using namespace cuda;

constexpr int flat_threads = 256;
constexpr int pack = 4;  // elements that a thread takes, as many as one Philox block has words
using Floats = Row<float, pack>;

// Up or down with the probability of the distance, by 16 random bits; what is not finite stays.
LATHE_DEVICE bf16 rounded_stochastically(float value, std::uint32_t random) {
  const std::uint32_t bits = bits_of_float(value);
  if ((bits & 0x7f800000u) == 0x7f800000u) return from_float<bf16>(value);
  bf16 result;
  result.bits = static_cast<std::uint16_t>((bits + (random & 0xffffu)) >> 16);
  return result;
}

struct Buffers {
  float* parameter;
  const float* gradient;
  float* first;
  float* second;
  bf16* shadow;
  std::int64_t parameter_step, gradient_step, first_step, second_step, shadow_step;
  std::int64_t count;
  float gradient_scale;
  bool stochastic;
  RandomStream random;

  // The bf16 copy of the pack that begins at `begin`.
  LATHE_DEVICE void refresh(std::int64_t begin, const float (&values)[pack]) const {
    if (shadow == nullptr) return;
    float rounded[pack];
    if (stochastic) {
      const PhiloxBlock words = random.block(static_cast<std::uint64_t>(begin) / pack);
      for (int i = 0; i < pack; ++i) {
        rounded[i] = to_float(rounded_stochastically(values[i], words[static_cast<unsigned>(i)]));
      }
    } else {
      for (int i = 0; i < pack; ++i) rounded[i] = values[i];
    }
    Row<bf16, pack>(shadow, shadow_step, count).write(begin, rounded);
  }
};

Buffers buffers_of(const OptimizerArguments& arguments, bool stochastic) {
  const auto floats = [](const View& view) { return view ? view.as<float>() : nullptr; };
  const auto step = [](const View& view) { return view ? view.stride(0) : 0; };
  return {
      .parameter = floats(arguments.parameter),
      .gradient = floats(arguments.gradient),
      .first = floats(arguments.first),
      .second = floats(arguments.second),
      .shadow = arguments.shadow ? arguments.shadow.as<bf16>() : nullptr,
      .parameter_step = step(arguments.parameter),
      .gradient_step = step(arguments.gradient),
      .first_step = step(arguments.first),
      .second_step = step(arguments.second),
      .shadow_step = step(arguments.shadow),
      .count = arguments.parameter.shape[0],
      .gradient_scale = static_cast<float>(arguments.gradient_scale),
      .stochastic = stochastic,
      .random = RandomStream(0, "stochastic rounding", static_cast<std::uint64_t>(arguments.step))};
}

// m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= rate decay p;
// p -= rate / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + epsilon)
struct AdamwRule {
  float b1, b2, other1, other2, decay, rate, root_scale, epsilon;

  LATHE_DEVICE float operator()(float p, float g, float& m, float& v) const {
    m = b1 * m + other1 * g;
    v = b2 * v + other2 * g * g;
    return p * decay - rate * m / (sqrtf(v) * root_scale + epsilon);
  }
};

// g += decay p; momentum: m = b m + g (m = g on the first step), then m or, Nesterov, g + b m.
struct SgdRule {
  float momentum, weight_decay, rate;
  bool fresh, nesterov;

  LATHE_DEVICE float operator()(float p, float g, float& m, float&) const {
    g += weight_decay * p;
    if (momentum == 0) return p - rate * g;
    m = fresh ? g : momentum * m + g;
    return p - rate * (nesterov ? g + momentum * m : m);
  }
};

// p = p (1 - rate decay) - rate sign(b1 m + (1 - b1) g); m = b2 m + (1 - b2) g
struct LionRule {
  float b1, b2, other1, other2, decay, rate;

  LATHE_DEVICE float operator()(float p, float g, float& m, float&) const {
    const float c = b1 * m + other1 * g;
    m = b2 * m + other2 * g;
    const float sign = c > 0 ? 1.0f : c < 0 ? -1.0f : 0.0f;
    return p * decay - rate * sign;
  }
};

// Moments that a rule does not have are not there.
template <class Rule>
struct OptimizerStep {
  static constexpr int threads = flat_threads;
  Buffers buffers;
  Rule rule;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t begin = (std::int64_t{block.x()} * threads + block.thread()) * pack;
    const Buffers& with = buffers;
    if (begin >= with.count) return;
    const Floats parameter(with.parameter, with.parameter_step, with.count);
    const Floats first(with.first, with.first_step, with.count);
    const Floats second(with.second, with.second_step, with.count);
    float p[pack], g[pack], m[pack] = {}, v[pack] = {};
    parameter.read(begin, p);
    Row<const float, pack>(with.gradient, with.gradient_step, with.count).read(begin, g);
    if (with.first != nullptr) first.read(begin, m);
    if (with.second != nullptr) second.read(begin, v);
    for (int i = 0; i < pack; ++i) p[i] = rule(p[i], g[i] * with.gradient_scale, m[i], v[i]);
    parameter.write(begin, p);
    if (with.first != nullptr) first.write(begin, m);
    if (with.second != nullptr) second.write(begin, v);
    with.refresh(begin, p);
  }
};

template <class Rule>
void step_with(Stream stream, const Buffers& buffers, const Rule& rule) {
  launch({blocks_for(buffers.count, flat_threads * pack)}, 0, stream,
         OptimizerStep<Rule>{.buffers = buffers, .rule = rule});
}

constexpr std::int64_t squares_each = 16384;  // elements of a block

struct AddDoubles {
  LATHE_DEVICE double operator()(double a, double b) const { return a + b; }
};

// partial[block] = the sum of the squares of its elements, in double.
template <class T>
struct SumSquares {
  static constexpr int threads = flat_threads;
  Walk<1> walk;
  const T* x;
  double* partial;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t begin = std::int64_t{block.x()} * squares_each;
    const std::int64_t end = begin + squares_each < walk.count ? begin + squares_each : walk.count;
    double sum = 0;
    const Row<const T, pack> row(x, walk.stride[0][0], end);
    for (std::int64_t i = begin + block.thread() * pack; i < end; i += threads * pack) {
      float values[pack];
      if (walk.rank == 1) {
        row.read(i, values);
      } else {
        for (int j = 0; j < pack; ++j)
          values[j] = i + j < end ? to_float(x[walk.places(i + j).at[0]]) : 0.0f;
      }
      for (const float value : values)
        sum += static_cast<double>(value) * static_cast<double>(value);
    }
    sum = over_block(block, sum, 0.0, block.shared<double>(), AddDoubles{});
    if (block.thread() == 0) partial[block.x()] = sum;
  }
};

template <class T>
struct Interpolate {
  static constexpr int threads = flat_threads;
  Walk<2> walk;
  const T* from;
  T* to;
  float amount;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t begin = (std::int64_t{block.x()} * threads + block.thread()) * pack;
    if (begin >= walk.count) return;
    if (walk.rank == 1) {
      const Row<T, pack> target(to, walk.stride[1][0], walk.count);
      float goal[pack], values[pack];
      Row<const T, pack>(from, walk.stride[0][0], walk.count).read(begin, goal);
      target.read(begin, values);
      for (int i = 0; i < pack; ++i) values[i] += amount * (goal[i] - values[i]);
      return target.write(begin, values);
    }
    for (std::int64_t i = begin; i < begin + pack && i < walk.count; ++i) {
      const auto places = walk.places(i);
      T& at = to[places.at[1]];
      const float value = to_float(at);
      at = from_float<T>(value + amount * (to_float(from[places.at[0]]) - value));
    }
  }
};

float narrow(double value) { return static_cast<float>(value); }
}  // namespace

void CudaBackend::adamw(const OptimizerArguments& arguments) {
  const Range range("adamw");
  const auto step = static_cast<double>(arguments.step);
  step_with(stream_, buffers_of(arguments, with_.rounding == "stochastic"),
            AdamwRule{.b1 = narrow(arguments.beta1),
                      .b2 = narrow(arguments.beta2),
                      .other1 = narrow(1 - arguments.beta1),
                      .other2 = narrow(1 - arguments.beta2),
                      .decay = narrow(1 - arguments.rate * arguments.weight_decay),
                      .rate = narrow(arguments.rate / (1 - std::pow(arguments.beta1, step))),
                      .root_scale = narrow(1 / std::sqrt(1 - std::pow(arguments.beta2, step))),
                      .epsilon = narrow(arguments.epsilon)});
}

void CudaBackend::sgd(const OptimizerArguments& arguments) {
  const Range range("sgd");
  step_with(stream_, buffers_of(arguments, with_.rounding == "stochastic"),
            SgdRule{.momentum = narrow(arguments.beta1),
                    .weight_decay = narrow(arguments.weight_decay),
                    .rate = narrow(arguments.rate),
                    .fresh = arguments.step == 1,
                    .nesterov = arguments.nesterov});
}

void CudaBackend::lion(const OptimizerArguments& arguments) {
  const Range range("lion");
  step_with(stream_, buffers_of(arguments, with_.rounding == "stochastic"),
            LionRule{.b1 = narrow(arguments.beta1),
                     .b2 = narrow(arguments.beta2),
                     .other1 = narrow(1 - arguments.beta1),
                     .other2 = narrow(1 - arguments.beta2),
                     .decay = narrow(1 - arguments.rate * arguments.weight_decay),
                     .rate = narrow(arguments.rate)});
}

// The partial sums are few: the host adds them, in order.
double CudaBackend::sum_of_squares(const View& x) {
  const Range range("sum_of_squares");
  const std::int64_t blocks = blocks_for(x.count(), squares_each);
  const auto bytes = static_cast<std::size_t>(blocks) * sizeof(double);
  const Space space(*this, bytes);
  with_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    launch({blocks}, flat_threads / warp_size * sizeof(double), stream_,
           SumSquares<T>{.walk = walk_of<1>(x.shape, {&x.strides}),
                         .x = x.as<T>(),
                         .partial = space.as<double>()});
  });
  std::vector<double> partial(static_cast<std::size_t>(blocks));
  download(partial.data(), space.as<void>(), bytes);
  double sum = 0;
  for (const double part : partial) sum += part;
  return sum;
}

void CudaBackend::interpolate(const View& from, double amount, const View& to) {
  const Range range("interpolate");
  with_floating(to.dtype, [&]<class T>(std::type_identity<T>) {
    const Interpolate<T> kernel{.walk = walk_of<2>(to.shape, {&from.strides, &to.strides}),
                                .from = from.as<T>(),
                                .to = to.as<T>(),
                                .amount = narrow(amount)};
    launch({blocks_for(kernel.walk.count, flat_threads * pack)}, 0, stream_, kernel);
  });
}

}  // namespace lathe
