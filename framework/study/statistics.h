// Statistics of a study: shares and means with their intervals, exact tests, correction for many
// tests. Small samples are the rule here, so nothing rests on a normal approximation but where its
// name says so.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace lathe {

struct Interval {
  double low = 0;
  double high = 0;
};

// The z below which a standard normal number stays with probability p, and the t of Student's
// distribution with `freedom` > 0 degrees of freedom (a real number, as Welch needs); p in (0, 1).
double normal_quantile(double p);
double student_quantile(double p, double freedom);
// P(T <= t) = 1 - I_x(freedom / 2, 1 / 2) / 2 for t >= 0, x = freedom / (freedom + t^2), where I is
// the regularised incomplete beta function (DLMF 8.17).
double student_distribution(double t, double freedom);

// Wilson's score interval of a share k / n (Wilson, J. Am. Stat. Assoc. 22, 1927):
//   (k + z^2 / 2 +- z sqrt(k (n - k) / n + z^2 / 4)) / (n + z^2)
// Unlike k / n +- z s it stays in [0, 1] and is not empty at k = 0. n >= 1.
Interval wilson_interval(std::int64_t k, std::int64_t n, double confidence = 0.95);

// Two-sided exact binomial test of k wins in n against 1/2, P(X is at least as far from n / 2 as
// k): min(1, 2 P(X <= min(k, n - k))). 1 where n is 0.
double sign_test(std::int64_t wins, std::int64_t n);

struct MeanEstimate {
  std::int64_t n = 0;
  double mean = 0;
  double deviation = 0;              // of a single value: sqrt(sum (x - mean)^2 / (n - 1)), or 0
  std::optional<Interval> interval;  // mean +- t deviation / sqrt(n); none of a single value
};
// Student's interval, with n - 1 degrees of freedom. At least one value.
MeanEstimate mean_estimate(std::span<const double> values, double confidence = 0.95);

// Holm's step-down correction (Scand. J. Stat. 6, 1979): p-values, in their order, of which those
// at most alpha may all be called significant while the chance of even one false call stays alpha.
//   adjusted of the i-th smallest (i from 0) = max_{j <= i} min(1, (m - j) p_(j))
std::vector<double> holm(std::span<const double> p);

}  // namespace lathe
