#include <lathe/base/error.h>
#include <lathe/study/statistics.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lathe {
namespace {

// The x at which a rising function reaches p: the interval is doubled until it holds x, then halved
// down to neighbouring numbers.
template <class Function>
double inverse(const Function& rising, double p) {
  double low = -1;
  double high = 1;
  while (rising(low) > p) low *= 2;
  while (rising(high) < p) high *= 2;
  for (;;) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return middle;
    (rising(middle) < p ? low : high) = middle;
  }
}

void demand_probability(double p) {
  if (!(p > 0 && p < 1)) fail("a quantile is asked at the probability ", p, ": it lies in (0, 1)");
}

// The continued fraction of I_x(a, b) (DLMF 8.17.22) by the method of Lentz; it converges quickly
// for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) {
  constexpr double tiny = 1e-300;
  const auto away_from_zero = [](double value) { return std::abs(value) < tiny ? tiny : value; };
  double c = 1;
  double d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
  double fraction = d;
  for (int m = 1; m < 10000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double change = 1;
    for (const double term : {even, odd}) {
      d = 1 / away_from_zero(1 + term * d);
      c = away_from_zero(1 + term / c);
      change = c * d;
      fraction *= change;
    }
    if (std::abs(change - 1) < 1e-16) break;
  }
  return fraction;
}

double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
                                   : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

}  // namespace

double normal_quantile(double p) {
  demand_probability(p);
  return inverse([](double z) { return std::erfc(-z / std::sqrt(2.0)) / 2; }, p);
}

double student_distribution(double t, double freedom) {
  const double squared = t * t;
  // Each form where it loses no digits: near the middle, and in the tails.
  if (squared < freedom) {
    const double half = incomplete_beta(0.5, freedom / 2, squared / (freedom + squared)) / 2;
    return t > 0 ? 0.5 + half : 0.5 - half;
  }
  const double tail = incomplete_beta(freedom / 2, 0.5, freedom / (freedom + squared)) / 2;
  return t > 0 ? 1 - tail : tail;
}

double student_quantile(double p, double freedom) {
  demand_probability(p);
  if (!(freedom > 0)) fail("Student's distribution has ", freedom, " degrees of freedom: above 0");
  // By symmetry in the lower half, where no digits are lost to 1 - tail.
  const double t =
      inverse([&](double x) { return student_distribution(x, freedom); }, std::min(p, 1 - p));
  return p > 0.5 ? -t : t;
}

Interval wilson_interval(std::int64_t k, std::int64_t n, double confidence) {
  if (n < 1 || k < 0 || k > n) fail("a share of ", k, " in ", n, " has no interval");
  const double z = normal_quantile(0.5 + confidence / 2);
  const auto wins = static_cast<double>(k);
  const auto all = static_cast<double>(n);
  const double middle = wins + z * z / 2;
  const double half = z * std::sqrt(wins * (all - wins) / all + z * z / 4);
  return {k == 0 ? 0 : (middle - half) / (all + z * z),
          k == n ? 1 : (middle + half) / (all + z * z)};
}

double sign_test(std::int64_t wins, std::int64_t n) {
  if (wins < 0 || wins > n) fail("there are no ", wins, " wins in ", n);
  const auto all = static_cast<double>(n);
  double tail = 0;
  for (std::int64_t i = 0; i <= std::min(wins, n - wins); ++i) {
    const auto count = static_cast<double>(i);
    tail += std::exp(std::lgamma(all + 1) - std::lgamma(count + 1) - std::lgamma(all - count + 1) -
                     all * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

MeanEstimate mean_estimate(std::span<const double> values, double confidence) {
  if (values.empty()) fail("there is no mean of no values");
  MeanEstimate estimate;
  estimate.n = static_cast<std::int64_t>(values.size());
  const auto n = static_cast<double>(values.size());
  estimate.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  if (values.size() == 1) return estimate;
  double squares = 0;
  for (const double value : values) squares += (value - estimate.mean) * (value - estimate.mean);
  estimate.deviation = std::sqrt(squares / (n - 1));
  const double half =
      student_quantile(0.5 + confidence / 2, n - 1) * estimate.deviation / std::sqrt(n);
  estimate.interval = Interval{estimate.mean - half, estimate.mean + half};
  return estimate;
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double highest = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    highest = std::max(highest, std::min(1.0, static_cast<double>(p.size() - i) * p[order[i]]));
    adjusted[order[i]] = highest;
  }
  return adjusted;
}

}  // namespace lathe
