// Own matrix products beside oneDNN's matmul on the shapes of GPT-2 124M: forward, dX and dW at
// 1024 and at 256 tokens, and decoding at one token (its weights in panels, too); and on those of
// small networks (control tasks) at 128 rows.
//
// Both run in one process, in turns; a sample counts only between two probes of the machine that
// reach 90 % of the best (probe.h). "kept" says how many did: 0 means a busy machine. The medians
// are reported as GFLOP/s (or GB/s of weights for one token).
#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <dnnl.hpp>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "../../plugins/backends/onednn/kernels/gemm.h"
#include "probe.h"

namespace {

using lathe::bf16;
using lathe::DType;
using lathe::kernels::Gemm;

template <class T>
std::vector<T> random_values(std::int64_t count) {
  std::vector<T> values(static_cast<std::size_t>(count));
  std::minstd_rand generator(1);
  for (T& value : values) {
    value = T(static_cast<float>(generator() % 2000) / 1000.0f - 1.0f);
  }
  return values;
}

struct Matmul {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::matmul primitive;
  dnnl::memory a, b, c;

  Matmul(const Gemm& of) {
    const auto type = [](DType t) {
      return t == DType::f32 ? dnnl::memory::data_type::f32 : dnnl::memory::data_type::bf16;
    };
    const dnnl::memory::desc a_desc({of.m, of.k}, type(of.ab_type), {of.a_row, of.a_column});
    const dnnl::memory::desc b_desc({of.k, of.n}, type(of.ab_type), {of.b_row, of.b_column});
    const dnnl::memory::desc c_desc({of.m, of.n}, type(of.c_type), {of.c_row, 1});
#if DNNL_VERSION_MAJOR < 3
    const dnnl::matmul::primitive_desc description({a_desc, b_desc, c_desc}, engine);
#else
    const dnnl::matmul::primitive_desc description(engine, a_desc, b_desc, c_desc);
#endif
    primitive = dnnl::matmul(description);
    a = dnnl::memory(a_desc, engine, const_cast<void*>(of.a));
    b = dnnl::memory(b_desc, engine, const_cast<void*>(of.b));
    c = dnnl::memory(c_desc, engine, of.c);
  }
  void operator()() {
    primitive.execute(stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
    stream.wait();
  }
};

enum Pass { forward, input_gradient, weight_gradient };

// y = x W^T, dx = dy W, dW = dy^T x for W [out, in].
Gemm product_of(Pass pass, std::int64_t tokens, std::int64_t in, std::int64_t out, DType type) {
  Gemm g;
  g.ab_type = type;
  g.c_type = pass == weight_gradient ? DType::f32 : type;
  if (pass == forward) {
    g.m = tokens, g.n = out, g.k = in;
    g.a_row = in, g.a_column = 1, g.b_row = 1, g.b_column = in;
  } else if (pass == input_gradient) {
    g.m = tokens, g.n = in, g.k = out;
    g.a_row = out, g.a_column = 1, g.b_row = in, g.b_column = 1;
  } else {
    g.m = out, g.n = in, g.k = tokens;
    g.a_row = 1, g.a_column = out, g.b_row = in, g.b_column = 1;
  }
  g.c_row = g.n;
  return g;
}

template <class T>
void compare(benchmark::State& state, Pass pass, std::int64_t tokens, std::int64_t in,
             std::int64_t out) {
  const DType type = lathe::dtype_of<T>::value;
  Gemm own = product_of(pass, tokens, in, out, type);
  const auto a = random_values<T>(own.m * own.k), b = random_values<T>(own.k * own.n);
  std::vector<float> c(static_cast<std::size_t>(own.m * own.n));
  own.a = a.data(), own.b = b.data(), own.c = c.data();
  Matmul theirs(own);
  const int repeats = in * out * tokens < 1 << 24 ? 200 : 1;  // so that a clock can see it
  const auto repeated = [repeats](const auto& run) {
    return [run, repeats] {
      for (int i = 0; i < repeats; ++i) run();
    };
  };
  for (auto _ : state) {
    const lathe::bench::TimedPair pair = lathe::bench::gated_pair(
        repeated([&] { lathe::kernels::gemm(own); }), repeated([&] { theirs(); }));
    state.SetIterationTime(pair.first.seconds);
    const double work = repeats * (tokens == 1 ? static_cast<double>(in * out) * sizeof(T) / 1e9
                                               : 2e-9 * static_cast<double>(own.m * own.n) *
                                                     static_cast<double>(own.k));
    const std::string unit = tokens == 1 ? "GB/s" : "GF/s";
    state.counters[unit + " own"] = work / pair.first.seconds;
    state.counters[unit + " oneDNN"] = work / pair.second.seconds;
    state.counters["kept"] = static_cast<double>(pair.first.kept);
  }
}

using Block = std::unique_ptr<void, void (*)(void*)>;

Block huge_pages(std::size_t bytes) {
  constexpr std::size_t page = std::size_t{2} << 20;
  Block block(std::aligned_alloc(page, (bytes + page - 1) / page * page), std::free);
  if (!block) throw std::bad_alloc();
  madvise(block.get(), bytes, MADV_HUGEPAGE);
  return block;
}

// One token through 256 MB of such weights, more than any cache holds: in panels, where they lie,
// and only read and summed.
template <class T>
void compare_panels(benchmark::State& state, Pass pass, std::int64_t tokens, std::int64_t in,
                    std::int64_t out) {
  const DType type = lathe::dtype_of<T>::value;
  Gemm one = product_of(pass, tokens, in, out, type);
  const std::size_t size = lathe::kernels::panel_floats(out, in, type);
  if (size == 0) return state.SkipWithError("no panels of this type with this instruction set");
  const std::size_t weights = std::max<std::size_t>(1, (std::size_t{64} << 20) / size);
  const auto a = random_values<T>(in);
  const auto values = random_values<T>(in * out);
  std::vector<float> c(static_cast<std::size_t>(out));
  const auto lying = huge_pages(weights * values.size() * sizeof(T));
  const auto panels = huge_pages(weights * size * sizeof(float));
  const auto weight = [&](std::size_t i) {
    return static_cast<T*>(lying.get()) + i * values.size();
  };
  const auto in_panels = [&](std::size_t i) {
    return static_cast<float*>(panels.get()) + i * size;
  };
  for (std::size_t i = 0; i < weights; ++i) {
    std::copy(values.begin(), values.end(), weight(i));
    lathe::kernels::pack_panels({out, in, weight(i), 1, in, type, in_panels(i)});
  }
  one.a = a.data(), one.c = c.data();
  const auto all = [&](bool ready) {
    return [&, ready] {
      for (std::size_t i = 0; i < weights; ++i) {
        one.b = weight(i);
        one.b_panels = ready ? in_panels(i) : nullptr;
        lathe::kernels::gemm(one);
      }
    };
  };
  const auto read = [&] { lathe::bench::read_bandwidth({{in_panels(0), weights * size}}); };
  for (auto _ : state) {
    const lathe::bench::TimedPair plain = lathe::bench::gated_pair(all(true), all(false), 15, 6);
    const lathe::bench::TimedPair limit = lathe::bench::gated_pair(all(true), read, 15, 6);
    state.SetIterationTime(plain.first.seconds);
    const double bytes = 1e-9 * static_cast<double>(weights * values.size() * sizeof(T));
    state.counters["GB/s panels"] = bytes / plain.first.seconds;
    state.counters["GB/s lying"] = bytes / plain.second.seconds;
    state.counters["of reading"] = 1 / limit.ratio;
    state.counters["kept"] = static_cast<double>(plain.first.kept);
  }
}

void add(const std::string& name,
         void (*body)(benchmark::State&, Pass, std::int64_t, std::int64_t, std::int64_t), Pass pass,
         std::int64_t tokens, std::int64_t in, std::int64_t out) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [=](benchmark::State& state) { body(state, pass, tokens, in, out); })
      ->UseManualTime()
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond);
}

}  // namespace

int main(int count, char** arguments) {
  const std::pair<std::int64_t, std::int64_t> layers[] = {
      {768, 768}, {768, 2304}, {768, 3072}, {3072, 768}, {768, 50257}};
  const char* passes[] = {"forward", "dX", "dW"};
  for (const auto& [in, out] : layers) {
    const std::string layer = std::to_string(in) + "->" + std::to_string(out);
    for (const Pass pass : {forward, input_gradient, weight_gradient}) {
      for (const std::int64_t tokens : {1024, 256}) {
        const std::string rest = layer + "/" + passes[pass] + "/" + std::to_string(tokens);
        add("f32/" + rest, compare<float>, pass, tokens, in, out);
        add("bf16/" + rest, compare<bf16>, pass, tokens, in, out);
      }
    }
    add("f32/" + layer + "/decode", compare<float>, forward, 1, in, out);
    add("bf16/" + layer + "/decode", compare<bf16>, forward, 1, in, out);
    add("f32/" + layer + "/panels", compare_panels<float>, forward, 1, in, out);
    add("bf16/" + layer + "/panels", compare_panels<bf16>, forward, 1, in, out);
  }
  const std::pair<std::int64_t, std::int64_t> small[] = {{4, 120}, {120, 84}, {84, 2},
                                                         {64, 64}, {64, 2},   {256, 256}};
  for (const auto& [in, out] : small) {
    const std::string layer = std::to_string(in) + "->" + std::to_string(out);
    for (const Pass pass : {forward, input_gradient, weight_gradient}) {
      add("small/" + layer + "/" + passes[pass], compare<float>, pass, 128, in, out);
    }
    add("small/" + layer + "/one", compare<float>, forward, 1, in, out);
  }
  benchmark::Initialize(&count, arguments);
  benchmark::RunSpecifiedBenchmarks();
}
