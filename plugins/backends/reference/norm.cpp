#include <cmath>
#include <vector>

#include "elements.h"
#include "reference.h"

namespace lathe {
using namespace reference;

void ReferenceBackend::norm(const NormArguments& arguments) {
  const std::int64_t N = arguments.x.shape[0];
  const std::int64_t C = arguments.x.shape[1];
  const bool centred = arguments.kind == Norm::layer;
  for_floating(arguments.x.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> x(arguments.x), residual(arguments.residual);  // [N, C]
    const At<Wide<T>> weight(arguments.weight), bias(arguments.bias);
    const At<T> sum(arguments.sum), y(arguments.y);
    const At<Wide<T>> mean_out(arguments.mean), rstd_out(arguments.rstd);
    std::vector<double> row(static_cast<std::size_t>(C));
    const auto width = static_cast<double>(C);
    for (std::int64_t n = 0; n < N; ++n) {
      double mean = 0;
      for (std::int64_t c = 0; c < C; ++c) {
        double& value = row[static_cast<std::size_t>(c)];
        value = residual ? x(n, c) + residual(n, c) : x(n, c);
        if (sum) sum(n, c) = value;
        if (centred) mean += value / width;
      }
      double variance = 0;
      for (const double value : row) variance += (value - mean) * (value - mean) / width;
      const double rstd = 1 / std::sqrt(variance + arguments.epsilon);
      for (std::int64_t c = 0; c < C; ++c) {
        const double unit = (row[static_cast<std::size_t>(c)] - mean) * rstd;
        y(n, c) = unit * weight(c) + (bias ? bias(c) : 0.0);
      }
      if (mean_out) mean_out(n) = mean;
      if (rstd_out) rstd_out(n) = rstd;
    }
  });
}

// With u = (sum - mean) rstd and g = dy weight:
//   dx = rstd (g - mean(g) - u mean(g u)) + dsum, without mean(g) for Norm::rms;
//   dweight = sum_n dy u; dbias = sum_n dy.
void ReferenceBackend::norm_gradient(const NormGradients& arguments) {
  const std::int64_t N = arguments.sum.shape[0];
  const std::int64_t C = arguments.sum.shape[1];
  const bool centred = arguments.kind == Norm::layer;
  const auto width = static_cast<double>(C);
  for_floating(arguments.sum.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> sum(arguments.sum), dy(arguments.dy), dsum(arguments.dsum);
    const At<Wide<T>> weight(arguments.weight), mean(arguments.mean), rstd(arguments.rstd);
    const At<T> dx(arguments.dx.view);
    const At<Wide<T>> dweight(arguments.dweight.view), dbias(arguments.dbias.view);
    const auto unit = [&](std::int64_t n, std::int64_t c) -> double {
      return (centred ? sum(n, c) - mean(n) : sum(n, c)) * rstd(n);
    };
    for (std::int64_t n = 0; dx && n < N; ++n) {
      double mean_g = 0;
      double mean_gu = 0;
      for (std::int64_t c = 0; c < C; ++c) {
        const double g = dy(n, c) * weight(c);
        if (centred) mean_g += g / width;
        mean_gu += g * unit(n, c) / width;
      }
      for (std::int64_t c = 0; c < C; ++c) {
        const double g = dy(n, c) * weight(c);
        const double other = dsum ? dsum(n, c) : 0.0;
        put(dx(n, c), rstd(n) * (g - mean_g - unit(n, c) * mean_gu) + other, arguments.dx.add);
      }
    }
    for (std::int64_t c = 0; c < C; ++c) {
      double weight_sum = 0;
      double bias_sum = 0;
      for (std::int64_t n = 0; n < N; ++n) {
        weight_sum += dy(n, c) * unit(n, c);
        bias_sum += dy(n, c);
      }
      if (dweight) put(dweight(c), weight_sum, arguments.dweight.add);
      if (dbias) put(dbias(c), bias_sum, arguments.dbias.add);
    }
  });
}

}  // namespace lathe
