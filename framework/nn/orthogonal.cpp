#include <lathe/nn/orthogonal.h>

#include <algorithm>
#include <cmath>
#include <span>

namespace lathe {
namespace {
using Vector = std::span<double>;

double dot(Vector a, Vector b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
}  // namespace

// Gram-Schmidt, where "twice is enough" (Giraud et al., 2005) for orthogonality to rounding.
std::vector<double> random_orthogonal(std::int64_t rows, std::int64_t columns,
                                      const RandomStream& random) {
  const auto count = static_cast<std::size_t>(std::min(rows, columns));
  const auto length = static_cast<std::size_t>(std::max(rows, columns));
  std::vector<double> vectors(count * length);  // [count, length]
  for (std::size_t i = 0; i < vectors.size(); ++i) vectors[i] = random.normal(i);
  const auto vector = [&](std::size_t k) { return Vector(vectors).subspan(k * length, length); };
  for (std::size_t k = 0; k < count; ++k) {
    const Vector own = vector(k);
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t j = 0; j < k; ++j) {
        const Vector earlier = vector(j);
        const double along = dot(own, earlier);
        for (std::size_t i = 0; i < length; ++i) own[i] -= along * earlier[i];
      }
    }
    const double norm = std::sqrt(dot(own, own));
    for (double& value : own) value /= norm;
  }
  if (rows <= columns) return vectors;
  std::vector<double> transposed(vectors.size());
  for (std::size_t k = 0; k < count; ++k) {
    for (std::size_t i = 0; i < length; ++i) transposed[i * count + k] = vectors[k * length + i];
  }
  return transposed;
}

}  // namespace lathe
