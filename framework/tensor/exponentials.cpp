// Written once with vectors of eight doubles and compiled for each instruction set. No product is
// fused with a sum (framework/CMakeLists.txt), so that all of them give the same bits.
#include <lathe/tensor/exponentials.h>

#include <lathe/base/threads.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

namespace lathe {
namespace {
constexpr std::size_t lanes = 8;
constexpr std::int64_t piece = 8192;  // what one thread sums; a multiple of the lanes

using Doubles = double __attribute__((vector_size(8 * lanes)));
using Words = std::int64_t __attribute__((vector_size(8 * lanes)));

#define LATHE_INSIDE [[gnu::always_inline]] inline

// (sum x + c0) x + c1 ...; recursive, since a loop over constants is not unrolled at -O2.
template <class... Rest>
LATHE_INSIDE void multiply_add(Doubles& sum, const Doubles& x, double c0, Rest... rest) {
  sum = sum * x + c0;
  if constexpr (sizeof...(rest) > 0) multiply_add(sum, x, rest...);
}

// e^x = 2^n e^r with |r| <= ln(2) / 2, where the Taylor polynomial of degree 13 is exact to 4e-18.
LATHE_INSIDE void exponentiate(Doubles& x) {
  constexpr double least = -708, to_whole = 0x1.8p52;  // adding this rounds to a whole number
  const auto vanishes = x < least;
  const Doubles inside = vanishes ? Doubles{} + least : x;
  const Doubles shifted = inside * 0x1.71547652b82fep+0 + to_whole;
  const Doubles n = shifted - to_whole;
  const Doubles r = (inside - n * 0x1.62e42feep-1) - n * 0x1.a39ef35793c76p-33;  // ln 2, two parts
  Doubles sum = Doubles{} + 1.0 / 6227020800;
  multiply_add(sum, r, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
               1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5);
  sum = (sum * r * r + r) + 1.0;
  Words bits, power;
  std::memcpy(&bits, &sum, sizeof bits);
  std::memcpy(&power, &shifted, sizeof power);
  bits += power << 52;
  std::memcpy(&sum, &bits, sizeof bits);
  x = vanishes ? Doubles{} : sum;
}

// Up to eight values; -infinity in the lanes after them.
LATHE_INSIDE void read(const double* from, std::size_t count, Doubles& to) {
  to = Doubles{} - std::numeric_limits<double>::infinity();
  std::memcpy(&to, from, count * sizeof(double));
}
LATHE_INSIDE void read(const float* from, std::size_t count, Doubles& to) {
  using Floats = float __attribute__((vector_size(4 * lanes)));
  Floats values = Floats{} - std::numeric_limits<float>::infinity();
  std::memcpy(&values, from, count * sizeof(float));
  to = __builtin_convertvector(values, Doubles);
}

template <class T>
LATHE_INSIDE double sum_of(const T* row, std::size_t count, double most, double factor,
                           double* out) {
  Doubles sum{};
  const auto add = [&](std::size_t i, std::size_t here) __attribute__((always_inline)) {
    Doubles x;
    read(row + i, here, x);
    x = (x - most) * factor;
    exponentiate(x);
    sum += x;
    if (out != nullptr) std::memcpy(out + i, &x, here * sizeof(double));
  };
  const std::size_t whole = count / lanes * lanes;
  for (std::size_t i = 0; i < whole; i += lanes) add(i, lanes);
  if (whole < count) add(whole, count - whole);
  return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

LATHE_INSIDE float largest_of(const float* row, std::size_t count) {
  constexpr std::size_t wide = 16;
  using Floats = float __attribute__((vector_size(4 * wide)));
  Floats most = Floats{} - std::numeric_limits<float>::infinity();
  std::size_t i = 0;
  for (; i + wide <= count; i += wide) {
    Floats here;
    std::memcpy(&here, row + i, sizeof here);
    most = here > most ? here : most;
  }
  float result = -std::numeric_limits<float>::infinity();
  for (std::size_t lane = 0; lane < wide; ++lane) result = std::max(result, most[lane]);
  for (; i < count; ++i) result = std::max(result, row[i]);
  return result;
}

// One function for each instruction set, chosen once.
template <class T>
using Sum = double (*)(const T*, std::size_t, double, double, double*);
using Largest = float (*)(const float*, std::size_t);

template <class T>
double sum_plain(const T* row, std::size_t count, double most, double factor, double* out) {
  return sum_of(row, count, most, factor, out);
}
float largest_plain(const float* row, std::size_t count) { return largest_of(row, count); }

#ifdef __x86_64__
template <class T>
[[gnu::target("avx2")]] double sum_avx2(const T* row, std::size_t count, double most, double factor,
                                        double* out) {
  return sum_of(row, count, most, factor, out);
}
template <class T>
[[gnu::target("avx512f,prefer-vector-width=512")]] double sum_avx512(const T* row,
                                                                     std::size_t count, double most,
                                                                     double factor, double* out) {
  return sum_of(row, count, most, factor, out);
}
[[gnu::target("avx2")]] float largest_avx2(const float* row, std::size_t count) {
  return largest_of(row, count);
}
[[gnu::target("avx512f,prefer-vector-width=512")]] float largest_avx512(const float* row,
                                                                        std::size_t count) {
  return largest_of(row, count);
}
template <class F>
F chosen(F avx512, F avx2, F plain) {
  if (__builtin_cpu_supports("avx512f")) return avx512;
  return __builtin_cpu_supports("avx2") ? avx2 : plain;
}
template <class T>
const Sum<T> best_sum = chosen<Sum<T>>(sum_avx512<T>, sum_avx2<T>, sum_plain<T>);
const Largest best_largest = chosen<Largest>(largest_avx512, largest_avx2, largest_plain);
#else
template <class T>
constexpr Sum<T> best_sum = sum_plain<T>;
constexpr Largest best_largest = largest_plain;
#endif

template <class T>
double exponentials_of(std::span<const T> row, double most, double factor, std::span<double> out) {
  const auto count = static_cast<std::int64_t>(row.size());
  std::vector<double> sums(static_cast<std::size_t>((count + piece - 1) / piece));
  parallel_for(count, piece, [&](std::int64_t begin, std::int64_t end) {
    const auto first = static_cast<std::size_t>(begin);
    sums[static_cast<std::size_t>(begin / piece)] =
        best_sum<T>(row.data() + first, static_cast<std::size_t>(end - begin), most, factor,
                    out.empty() ? nullptr : out.data() + first);
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}
}  // namespace

std::size_t largest_index(std::span<const float> row) {
  constexpr std::size_t stretch = 1024;
  std::size_t first = 0;
  float most = -std::numeric_limits<float>::infinity();
  for (std::size_t begin = 0; begin < row.size(); begin += stretch) {
    const float here = best_largest(row.data() + begin, std::min(stretch, row.size() - begin));
    if (here <= most) continue;
    most = here;
    first = begin;
  }
  const auto found = std::find(row.begin() + static_cast<std::ptrdiff_t>(first), row.end(), most);
  return found == row.end() ? 0 : static_cast<std::size_t>(found - row.begin());
}

double exponentials(std::span<const float> row, double most, double factor, std::span<double> out) {
  return exponentials_of(row, most, factor, out);
}
double exponentials(std::span<const double> row, double most, double factor,
                    std::span<double> out) {
  return exponentials_of(row, most, factor, out);
}

}  // namespace lathe
