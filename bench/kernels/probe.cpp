#include "probe.h"

#include <immintrin.h>
#include <omp.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <new>
#include <vector>

namespace lathe::bench {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double seconds_of(const std::function<void()>& work) {
  const double begin = now();
  work();
  return now() - begin;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Twelve independent chains cover the latency on every current processor. They are separate
// variables, since an array would live in memory; the empty asm keeps the loop as it stands.
constexpr int chains = 12;

#define LATHE_REPEAT_CHAINS(step) \
  step(a) step(b) step(c) step(d) step(e) step(f) step(g) step(h) step(i) step(j) step(k) step(l)

#define LATHE_CHAINS(vector, zero, step)                                                   \
  vector a = zero, b = zero, c = zero, d = zero, e = zero, f = zero;                       \
  vector g = zero, h = zero, i = zero, j = zero, k = zero, l = zero;                       \
  for (int round = 0; round < rounds; ++round) {                                           \
    LATHE_REPEAT_CHAINS(step)                                                              \
    asm volatile(""                                                                        \
                 : "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(f), "+v"(g), "+v"(h), \
                   "+v"(i), "+v"(j), "+v"(k), "+v"(l));                                    \
  }

__attribute__((target("avx2,fma"))) void multiply_add_avx2(int rounds) {
  const __m256 factor = _mm256_set1_ps(0.999f);
#define LATHE_STEP(x) x = _mm256_fmadd_ps(x, factor, factor);
  LATHE_CHAINS(__m256, _mm256_setzero_ps(), LATHE_STEP)
#undef LATHE_STEP
}

__attribute__((target("avx512f"))) void multiply_add_avx512(int rounds) {
  const __m512 factor = _mm512_set1_ps(0.999f);
#define LATHE_STEP(x) x = _mm512_fmadd_ps(x, factor, factor);
  LATHE_CHAINS(__m512, _mm512_setzero_ps(), LATHE_STEP)
#undef LATHE_STEP
}

__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) void dot_bf16(int rounds) {
  const __m512bh pairs = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1.0f), _mm512_set1_ps(1.0f));
#define LATHE_STEP(x) x = _mm512_dpbf16_ps(x, pairs, pairs);
  LATHE_CHAINS(__m512, _mm512_setzero_ps(), LATHE_STEP)
#undef LATHE_STEP
}

// GFLOP/s of `kernel` on all threads; 9 million vector instructions take about 2.5 ms at one a
// cycle.
double rate_of(void (*kernel)(int), double operations_each) {
  constexpr int rounds = 9000000 / chains;
  const double begin = now();
#pragma omp parallel
  kernel(rounds);
  const double seconds = now() - begin;
  return operations_each * rounds * chains * omp_get_max_threads() / seconds * 1e-9;
}

constexpr std::size_t stream_floats = std::size_t{64} << 20;

// Huge pages, touched first by the threads that use it; never given back.
float* stream_buffer() {
  static float* const memory = [] {
    constexpr std::size_t huge_page = std::size_t{2} << 20;
    void* buffer = std::aligned_alloc(huge_page, stream_floats * sizeof(float));
    if (buffer == nullptr) throw std::bad_alloc();
    madvise(buffer, stream_floats * sizeof(float), MADV_HUGEPAGE);
    auto* data = static_cast<float*>(buffer);
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < stream_floats; ++i) data[i] = 1;
    return data;
  }();
  return memory;
}

// Four independent sums, or the latency of the additions would be the limit.
__attribute__((target("avx512f"))) float sum_avx512(const float* data, std::size_t count) {
  __m512 sums[4] = {};
  for (std::size_t i = 0; i < count; i += 64) {
    for (int k = 0; k < 4; ++k) {
      sums[k] = _mm512_add_ps(sums[k], _mm512_loadu_ps(data + i + 16 * k));
    }
  }
  float lanes[16];
  _mm512_storeu_ps(lanes, (sums[0] + sums[1]) + (sums[2] + sums[3]));
  float total = 0;
  for (const float lane : lanes) total += lane;
  return total;
}

float sum_plain(const float* data, std::size_t count) {
  float sums[32] = {};
  for (std::size_t i = 0; i < count; i += 32) {
    for (std::size_t lane = 0; lane < 32; ++lane) sums[lane] += data[i + lane];
  }
  float total = 0;
  for (const float sum : sums) total += sum;
  return total;
}

double best_rate = 0;

// How often another process took a core from this one.
long interruptions() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nivcsw;
}

// Runs work between two probes; whether both reached the gate and no other process ran meanwhile
// (a long sample may be interrupted once in 20 ms: a quiet system does that, too).
bool passes(const std::function<void()>& work, double& seconds) {
  const double before = fma_rate();
  const long interrupted = interruptions();
  seconds = seconds_of(work);
  const bool alone = interruptions() - interrupted <= static_cast<long>(seconds / 0.02);
  const double after = fma_rate();
  best_rate = std::max({best_rate, before, after});
  return alone && before >= 0.9 * best_rate && after >= 0.9 * best_rate;
}

void warm_up() {
  if (best_rate > 0) return;
  for (int i = 0; i < 20; ++i) best_rate = std::max(best_rate, fma_rate());
}

Timed timed(const std::vector<double>& kept, const std::vector<double>& all) {
  return {median(kept.empty() ? all : kept), kept.size()};
}

}  // namespace

bool passes(const std::function<void()>& work) {
  warm_up();
  double seconds = 0;
  return passes(work, seconds);
}

double fma_rate() {
  static const bool wide = __builtin_cpu_supports("avx512f");
  return wide ? rate_of(multiply_add_avx512, 32) : rate_of(multiply_add_avx2, 16);
}

double bf16_dot_rate() {
  if (!__builtin_cpu_supports("avx512bf16")) return 0;
  return rate_of(dot_bf16, 64);
}

double read_bandwidth(const std::vector<std::span<const float>>& pieces) {
  static const auto sum = __builtin_cpu_supports("avx512f") ? sum_avx512 : sum_plain;
  double total = 0, bytes = 0;
  for (const auto& piece : pieces) bytes += static_cast<double>(piece.size_bytes());
  const double begin = now();
#pragma omp parallel reduction(+ : total)
  {
    const auto thread = static_cast<std::size_t>(omp_get_thread_num());
    const auto threads = static_cast<std::size_t>(omp_get_num_threads());
    for (const auto& piece : pieces) {
      const std::size_t blocks = piece.size() / 64;
      const std::size_t first = blocks * thread / threads, last = blocks * (thread + 1) / threads;
      total += static_cast<double>(sum(piece.data() + 64 * first, 64 * (last - first)));
    }
  }
  const double seconds = now() - begin;
  asm volatile("" : : "g"(total));
  return bytes / seconds * 1e-9;
}

double read_bandwidth() { return read_bandwidth({{stream_buffer(), stream_floats}}); }

double update_bandwidth() {
  float* data = stream_buffer();
  const double begin = now();
#pragma omp parallel for simd schedule(static)
  for (std::size_t i = 0; i < stream_floats; ++i) data[i] *= 1.0001f;
  return 2 * stream_floats * 4.0 / (now() - begin) * 1e-9;
}

Timed gated(const std::function<void()>& work, std::size_t wanted, double limit_seconds) {
  warm_up();
  work();
  std::vector<double> kept;
  std::vector<double> all;
  const double end = now() + limit_seconds;
  while (kept.size() < wanted && (all.size() < 3 || now() < end)) {
    double seconds = 0;
    if (passes(work, seconds)) kept.push_back(seconds);
    all.push_back(seconds);
  }
  return timed(kept, all);
}

TimedPair gated_pair(const std::function<void()>& first, const std::function<void()>& second,
                     std::size_t wanted, double limit_seconds) {
  warm_up();
  first();
  second();
  std::vector<double> kept[2];
  std::vector<double> all[2];
  std::vector<double> kept_ratios;
  std::vector<double> all_ratios;
  const double end = now() + limit_seconds;
  while (kept_ratios.size() < wanted && (all_ratios.size() < 3 || now() < end)) {
    double seconds[2];
    const bool good[2] = {passes(first, seconds[0]), passes(second, seconds[1])};
    for (const int i : {0, 1}) {
      all[i].push_back(seconds[i]);
      if (good[i]) kept[i].push_back(seconds[i]);
    }
    all_ratios.push_back(seconds[0] / seconds[1]);
    if (good[0] && good[1]) kept_ratios.push_back(all_ratios.back());
  }
  return {timed(kept[0], all[0]), timed(kept[1], all[1]),
          median(kept_ratios.empty() ? all_ratios : kept_ratios)};
}

}  // namespace lathe::bench
