// Attention forward, backward and cached decode, beside softmax(Q K^T) V composed from plain loops.
// Shapes: 12 heads of 64 values; q, k and v are slices of one packed [B,T,3C], as in GPT-2.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include <sys/mman.h>

#include "../../plugins/backends/onednn/kernels/attention.h"

namespace lathe::kernels {
namespace {

constexpr std::int64_t heads = 12, width = 64, channels = heads * width;

std::vector<float> random_values(std::int64_t count) {
  const RandomStream random(1, "attention-bench");
  std::vector<float> values(static_cast<std::size_t>(count));
  std::uint64_t i = 0;
  for (float& x : values) x = 2.0f * random.uniform(i++) - 1.0f;
  return values;
}

struct Layer {
  Layer(std::int64_t batch, std::int64_t time, bool bf)
      : qkv(random_values(batch * time * 3 * channels)),
        out(random_values(batch * time * channels)),
        dout(out),
        dqkv(qkv.size()),
        lse(static_cast<std::size_t>(batch * heads * time)) {
    if (bf) {  // the same memory, used as bf16 by half
      for (std::vector<float>* all : {&qkv, &out, &dout}) {
        auto* halves = reinterpret_cast<bf16*>(all->data());
        for (std::size_t i = 0; i < all->size(); ++i) halves[i] = bf16((*all)[i]);
      }
    }
    Attention& a = call.forward;
    a.batch = batch;
    a.queries = a.keys = time;
    a.heads = a.key_heads = heads;
    a.width = width;
    a.type = bf ? DType::bf16 : DType::f32;
    a.q = slice(qkv, 0, time);
    a.k = slice(qkv, 1, time);
    a.v = slice(qkv, 2, time);
    a.out = {out.data(), time * channels, channels, width};
    a.lse = lse.data();
    a.scale = 0.125f;
    a.causal = true;
    call.out_gradient = {dout.data(), time * channels, channels, width};
    call.q_gradient = slice(dqkv, 0, time);
    call.k_gradient = slice(dqkv, 1, time);
    call.v_gradient = slice(dqkv, 2, time);
  }
  AttentionOperand slice(std::vector<float>& all, std::int64_t part, std::int64_t time) const {
    const bool half = call.forward.type == DType::bf16;
    void* data = half ? static_cast<void*>(reinterpret_cast<bf16*>(all.data()) + part * channels)
                      : static_cast<void*>(all.data() + part * channels);
    return {data, time * 3 * channels, 3 * channels, width};
  }
  // Multiplications and additions of `products` causal products.
  double work(double products) const {
    const auto time = static_cast<double>(call.forward.queries);
    return products * static_cast<double>(call.forward.batch * channels) * time * (time + 1.0);
  }

  std::vector<float> qkv, out, dout, dqkv, lse;
  AttentionBackward call;
};

void rate(benchmark::State& state, double work) {
  state.counters["GFLOP/s"] =
      benchmark::Counter(work * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void forward(benchmark::State& state) {
  Layer layer(state.range(0), state.range(1), state.range(2) != 0);
  for (auto _ : state) attention(layer.call.forward);
  rate(state, layer.work(2));
}

void backward(benchmark::State& state) {
  Layer layer(state.range(0), state.range(1), state.range(2) != 0);
  attention(layer.call.forward);
  for (auto _ : state) attention_backward(layer.call);
  rate(state, layer.work(5));
}

// The whole [T, T] of one head after another, causal, as loops that a compiler vectorises.
void composed_forward(benchmark::State& state) {
  const std::int64_t batch = state.range(0), time = state.range(1);
  Layer layer(batch, time, false);
  std::vector<float> weights(static_cast<std::size_t>(time));
  for (auto _ : state) {
    for (std::int64_t row = 0; row < batch * heads * time; ++row) {
      const std::int64_t b = row / (heads * time), h = row / time % heads, t = row % time;
      const float* base = layer.qkv.data() + b * time * 3 * channels + h * width;
      const float* q = base + t * 3 * channels;
      float peak = -INFINITY, sum = 0.0f;
      for (std::int64_t j = 0; j <= t; ++j) {
        const float* k = base + j * 3 * channels + channels;
        float score = 0.0f;
#pragma omp simd reduction(+ : score)
        for (std::int64_t d = 0; d < width; ++d) score += q[d] * k[d];
        weights[static_cast<std::size_t>(j)] = 0.125f * score;
        peak = std::max(peak, 0.125f * score);
      }
      float* out = layer.out.data() + (b * time + t) * channels + h * width;
      std::fill(out, out + width, 0.0f);
      for (std::int64_t j = 0; j <= t; ++j) {
        const float* v = base + j * 3 * channels + 2 * channels;
        const float p = std::exp(weights[static_cast<std::size_t>(j)] - peak);
        sum += p;
        for (std::int64_t d = 0; d < width; ++d) out[d] += p * v[d];
      }
      for (std::int64_t d = 0; d < width; ++d) out[d] /= sum;
    }
    benchmark::DoNotOptimize(layer.out.data());
  }
  rate(state, layer.work(2));
}

// One query a row against `length` keys of each of 12 layers' caches, so that they come from
// memory; laid out as a model's cache, [B, H, S, D], in large pages as the backend's memory.
void decode(benchmark::State& state) {
  const std::int64_t batch = state.range(0), length = state.range(1);
  const std::size_t layers = 12;
  const bool bf = state.range(2) != 0;
  std::vector<float> query(static_cast<std::size_t>(batch * channels)), out(query.size());
  const std::int64_t cached = batch * length * channels;
  const std::size_t part = static_cast<std::size_t>(cached) * (bf ? 2 : 4);
  const std::size_t page = std::size_t{2} << 20;
  const std::size_t bytes = (2 * layers * part + page - 1) / page * page;
  const std::unique_ptr<void, decltype(&std::free)> cache(std::aligned_alloc(page, bytes),
                                                          std::free);
  madvise(cache.get(), bytes, MADV_HUGEPAGE);
  std::memset(cache.get(), 0, bytes);
  const std::vector<std::int32_t> offset(static_cast<std::size_t>(batch),
                                         static_cast<std::int32_t>(length - 1));
  Attention a;
  a.batch = batch;
  a.queries = 1;
  a.keys = length;
  a.heads = a.key_heads = heads;
  a.width = width;
  a.type = bf ? DType::bf16 : DType::f32;
  a.q = {query.data(), channels, channels, width};
  a.out = {out.data(), channels, channels, width};
  a.causal = true;
  a.offset = offset.data();
  for (auto _ : state) {
    for (std::size_t layer = 0; layer < layers; ++layer) {
      std::byte* at = static_cast<std::byte*>(cache.get()) + layer * 2 * part;
      a.k = {at, length * channels, width, length * width};
      a.v = {at + part, length * channels, width, length * width};
      attention(a);
    }
  }
  state.counters["GB/s"] = benchmark::Counter(static_cast<double>(2 * layers * part) * 1e-9,
                                              benchmark::Counter::kIsIterationInvariantRate);
}

// batch, time, bf16
void shapes(benchmark::internal::Benchmark* all) {
  for (const std::int64_t bf : {0, 1}) {
    all->Args({4, 64, bf})->Args({4, 256, bf})->Args({1, 1024, bf});
  }
  all->ArgNames({"B", "T", "bf16"})->UseRealTime()->Unit(benchmark::kMillisecond);
}

BENCHMARK(forward)->Apply(shapes);
BENCHMARK(backward)->Apply(shapes);
BENCHMARK(composed_forward)
    ->Args({4, 64})
    ->Args({4, 256})
    ->Args({1, 1024})
    ->ArgNames({"B", "T"})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(decode)
    ->Args({1, 1024, 0})
    ->Args({1, 1024, 1})
    ->Args({4, 1024, 0})
    ->Args({4, 1024, 1})
    ->ArgNames({"B", "keys", "bf16"})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace lathe::kernels
