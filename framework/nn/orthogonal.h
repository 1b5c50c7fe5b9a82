// Random orthogonal matrices for initial weights.
#pragma once

#include <lathe/base/random.h>

#include <cstdint>
#include <vector>

namespace lathe {

// A matrix [R, C] whose rows (R <= C) or columns are orthonormal, drawn uniformly among all such
// (Haar measure): Q of the QR decomposition of a matrix of standard normals with R's diagonal
// positive (Mezzadri, 2007). In double precision, O(R C min(R, C)).
std::vector<double> random_orthogonal(std::int64_t rows, std::int64_t columns,
                                      const RandomStream& random);

}  // namespace lathe
