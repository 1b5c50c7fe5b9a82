// The row and elementwise kernels on the shapes of GPT-2 124M at 1024 tokens, each alternated with
// something else: _plain with the scalar loop a compiler is given, _onednn with oneDNN's primitive,
// the backward of the norm with its forward, that of GELU with itself plus the gradient of the
// bias. Times are gated (probe.h). The counters give the payload rate, the other's time, how many
// times faster ours is (gain), and how many samples passed the gate: 0 means a busy machine.
#include <benchmark/benchmark.h>

#include <cmath>
#include <dnnl.hpp>
#include <functional>
#include <unordered_map>
#include <vector>

#include "../../plugins/backends/onednn/kernels/activation.h"
#include "../../plugins/backends/onednn/kernels/cross_entropy.h"
#include "../../plugins/backends/onednn/kernels/elementwise.h"
#include "../../plugins/backends/onednn/kernels/norm.h"
#include "../../plugins/backends/onednn/kernels/optimizer.h"
#include "../../plugins/backends/onednn/kernels/softmax.h"
#include "probe.h"

namespace {

using namespace lathe;
using namespace lathe::kernels;
using Work = std::function<void()>;

std::vector<float> numbers(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>((i * 2654435761u) % 4001) / 1000.0f - 2.0f;
  }
  return values;
}

// One gated round of ours against the other.
void compare(benchmark::State& state, double bytes, const Work& ours, const Work& other) {
  for (auto _ : state) {
    const bench::TimedPair pair = bench::gated_pair(ours, other);
    state.SetIterationTime(pair.first.seconds);
    state.counters["GB/s"] = bytes / pair.first.seconds * 1e-9;
    state.counters["other_ms"] = pair.second.seconds * 1e3;
    state.counters["gain"] = 1 / pair.ratio;
    state.counters["kept"] = static_cast<double>(pair.first.kept);
  }
}

void each_row(std::size_t rows, const std::function<void(std::size_t)>& row) {
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < rows; ++i) row(i);
}

// A oneDNN primitive with its buffers bound; run() blocks until it is done.
class Primitive {
 public:
  using Arguments = std::unordered_map<int, dnnl::memory>;
  static dnnl::engine& engine() {
    static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
    return cpu;
  }
  static dnnl::memory::desc matrix(std::size_t rows, std::size_t width) {
    return {{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(width)},
            dnnl::memory::data_type::f32,
            dnnl::memory::format_tag::ab};
  }
  static dnnl::memory bind(const dnnl::memory::desc& shape, std::vector<float>& data) {
    return dnnl::memory(shape, engine(), data.data());
  }
  Primitive(dnnl::primitive primitive, Arguments arguments)
      : primitive_(std::move(primitive)), arguments_(std::move(arguments)), stream_(engine()) {}
  void run() {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  dnnl::primitive primitive_;
  Arguments arguments_;
  dnnl::stream stream_;
};

constexpr std::size_t tokens = 1024, width = 768, hidden = 3072, vocabulary = 50257;

void norm_forward_plain(benchmark::State& state) {
  std::vector<float> x = numbers(tokens * width), y(x), weight(width, 1), bias(width, 0);
  std::vector<float> mean(tokens), rstd(tokens);
  NormForward a{.rows = tokens, .width = width, .x = x.data()};
  a.weight = weight.data();
  a.bias = bias.data();
  a.y = y.data();
  a.mean = mean.data();
  a.rstd = rstd.data();
  compare(
      state, 8.0 * tokens * width, [&] { norm_forward(a); },
      [&] {
        each_row(tokens, [&](std::size_t row) {
          const float* in = x.data() + row * width;
          float total = 0, squares = 0;
          for (std::size_t i = 0; i < width; ++i) total += in[i];
          const float centre = total / width;
          for (std::size_t i = 0; i < width; ++i) squares += (in[i] - centre) * (in[i] - centre);
          const float scale = 1 / std::sqrt(squares / width + 1e-5f);
          for (std::size_t i = 0; i < width; ++i) {
            y[row * width + i] = (in[i] - centre) * scale * weight[i] + bias[i];
          }
        });
      });
}
BENCHMARK(norm_forward_plain)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);

void norm_backward_forward(benchmark::State& state) {
  std::vector<float> x = numbers(tokens * width), dy(x), dx(x), weight(width, 1), dweight(width);
  std::vector<float> dbias(width), mean(tokens, 0), rstd(tokens, 1);
  NormBackward a{.rows = tokens, .width = width, .dy = dy.data()};
  a.sum = x.data();
  a.weight = weight.data();
  a.mean = mean.data();
  a.rstd = rstd.data();
  a.dx = dx.data();
  a.dweight = dweight.data();
  a.dbias = dbias.data();
  NormForward forward{.rows = tokens, .width = width, .x = x.data()};
  forward.y = dy.data();
  compare(
      state, 12.0 * tokens * width, [&] { norm_backward(a); }, [&] { norm_forward(forward); });
}
BENCHMARK(norm_backward_forward)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);

void gelu_forward(benchmark::State& state, const Work& ours, const Work& other) {
  compare(state, 8.0 * tokens * hidden, ours, other);
}

void gelu_tanh_plain(benchmark::State& state) {
  std::vector<float> x = numbers(tokens * hidden), y(x);
  gelu_forward(
      state,
      [&] {
        activation_forward({DType::f32, Activation::gelu_tanh, tokens, hidden, x.data(), y.data()});
      },
      [&] {
        each_row(tokens, [&](std::size_t row) {
          for (std::size_t i = row * hidden; i < (row + 1) * hidden; ++i) {
            const float u = 0.79788456f * (x[i] + 0.044715f * x[i] * x[i] * x[i]);
            y[i] = 0.5f * x[i] * (1 + std::tanh(u));
          }
        });
      });
}
BENCHMARK(gelu_tanh_plain)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);

void gelu_tanh_backward_bias(benchmark::State& state) {
  std::vector<float> x = numbers(tokens * hidden), dy(x), dpre(x), dbias(hidden);
  compare(
      state, 12.0 * tokens * hidden,
      [&] {
        activation_backward({DType::f32, Activation::gelu_tanh, tokens, hidden, x.data(), dy.data(),
                             dpre.data(), nullptr});
      },
      [&] {
        activation_backward({DType::f32, Activation::gelu_tanh, tokens, hidden, x.data(), dy.data(),
                             dpre.data(), dbias.data()});
      });
}
BENCHMARK(gelu_tanh_backward_bias)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);

void cross_entropy_plain(benchmark::State& state) {
  std::vector<float> logits = numbers(tokens * vocabulary), other(logits), loss(tokens);
  std::vector<std::int32_t> targets(tokens, 17);
  CrossEntropy a{.rows = tokens, .vocabulary = vocabulary, .stride = vocabulary};
  a.logits = logits.data();
  a.targets = targets.data();
  a.loss = loss.data();
  a.gradient = true;
  compare(
      state, 8.0 * tokens * vocabulary, [&] { cross_entropy(a); },
      [&] {
        each_row(tokens, [&](std::size_t row) {
          float* x = other.data() + row * vocabulary;
          float top = x[0], total = 0;
          for (std::size_t v = 0; v < vocabulary; ++v) top = std::max(top, x[v]);
          for (std::size_t v = 0; v < vocabulary; ++v) total += std::exp(x[v] - top);
          loss[row] = top + std::log(total) - x[targets[row]];
          for (std::size_t v = 0; v < vocabulary; ++v) x[v] = std::exp(x[v] - top) / total;
          x[targets[row]] -= 1;
        });
      });
}
BENCHMARK(cross_entropy_plain)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);

void adamw_shadow_plain(benchmark::State& state) {
  const std::size_t count = std::size_t{40} << 20;
  std::vector<float> p = numbers(count), g(p), m(p), v(count, 1.0f);
  std::vector<bf16> shadow(count);
  AdamW a;
  a.buffers = {count, p.data(), g.data(), shadow.data()};
  a.first = m.data();
  a.second = v.data();
  compare(
      state, 30.0 * static_cast<double>(count), [&] { adamw(a); },
      [&] {
        each_row(count / 1024, [&](std::size_t row) {
          for (std::size_t i = row * 1024; i < row * 1024 + 1024; ++i) {
            m[i] += 0.1f * (g[i] - m[i]);
            v[i] = 0.999f * v[i] + 0.001f * g[i] * g[i];
            p[i] -= 1e-3f * m[i] / (std::sqrt(v[i]) + 1e-8f);
            shadow[i] = bf16(p[i]);
          }
        });
      });
}
BENCHMARK(adamw_shadow_plain)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);

void sum_of_squares_plain(benchmark::State& state) {
  const std::size_t count = std::size_t{40} << 20;
  std::vector<float> x = numbers(count);
  compare(
      state, 4.0 * static_cast<double>(count), [&] { sum_of_squares(x.data(), count); },
      [&] {
        double total = 0;
#pragma omp parallel for reduction(+ : total)
        for (std::size_t i = 0; i < count; ++i) total += static_cast<double>(x[i]) * x[i];
        benchmark::DoNotOptimize(total);
      });
}
BENCHMARK(sum_of_squares_plain)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);

void softmax_onednn(benchmark::State& state) {
  const std::size_t rows = 12288, columns = 256;
  std::vector<float> x = numbers(rows * columns), y(x), z(x);
  const auto shape = Primitive::matrix(rows, columns);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::softmax_forward::primitive_desc made(
      Primitive::engine(), dnnl::prop_kind::forward_inference, dnnl::algorithm::softmax_accurate,
      shape, shape, 1);
#else
  const dnnl::softmax_forward::primitive_desc made({dnnl::prop_kind::forward_inference, shape, 1},
                                                   Primitive::engine());
#endif
  Primitive theirs(dnnl::softmax_forward(made), {{DNNL_ARG_SRC, Primitive::bind(shape, x)},
                                                 {DNNL_ARG_DST, Primitive::bind(shape, z)}});
  compare(
      state, 8.0 * rows * columns,
      [&] {
        softmax_forward({DType::f32, false, rows, columns, columns, columns, x.data(), y.data()});
      },
      [&] { theirs.run(); });
}
BENCHMARK(softmax_onednn)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);

void gelu_tanh_onednn(benchmark::State& state) {
  std::vector<float> x = numbers(tokens * hidden), y(x), z(x);
  const auto shape = Primitive::matrix(tokens, hidden);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::eltwise_forward::primitive_desc made(
      Primitive::engine(), dnnl::prop_kind::forward_inference, dnnl::algorithm::eltwise_gelu_tanh,
      shape, shape);
#else
  const dnnl::eltwise_forward::primitive_desc made(
      {dnnl::prop_kind::forward_inference, dnnl::algorithm::eltwise_gelu_tanh, shape, 0, 0},
      Primitive::engine());
#endif
  Primitive theirs(dnnl::eltwise_forward(made), {{DNNL_ARG_SRC, Primitive::bind(shape, x)},
                                                 {DNNL_ARG_DST, Primitive::bind(shape, z)}});
  gelu_forward(
      state,
      [&] {
        activation_forward({DType::f32, Activation::gelu_tanh, tokens, hidden, x.data(), y.data()});
      },
      [&] { theirs.run(); });
}
BENCHMARK(gelu_tanh_onednn)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);

void machine_limits(benchmark::State& state) {
  for (auto _ : state) {
    double best[4] = {};
    double (*const probes[4])() = {bench::fma_rate, bench::bf16_dot_rate, bench::read_bandwidth,
                                   bench::update_bandwidth};
    for (int round = 0; round < 15; ++round) {
      for (int i = 0; i < 4; ++i) best[i] = std::max(best[i], probes[i]());
    }
    state.SetIterationTime(1);
    state.counters["f32_GFLOPs"] = best[0];
    state.counters["bf16_GFLOPs"] = best[1];
    state.counters["read_GBs"] = best[2];
    state.counters["update_GBs"] = best[3];
  }
}
BENCHMARK(machine_limits)->UseManualTime()->Iterations(1);

}  // namespace
