// Rows of logits, many at a time in double precision: what choosing a token from a large vocabulary
// costs. The same bits on any processor and at any number of threads.
#pragma once

#include <cstddef>
#include <span>

namespace lathe {

// The index of the largest; among equal ones the lowest. NaN is never the largest of a row that has
// numbers. The row is not empty.
std::size_t largest_index(std::span<const float> row);

// exp((row[i] - most) * factor) into `out`, which has the row's length or is empty, and their sum.
// Within 2 units in the last place of exp; below e^-708 the result is 0. No difference is above 0:
// `most` is the largest of the row, the factor is positive.
double exponentials(std::span<const float> row, double most, double factor, std::span<double> out);
double exponentials(std::span<const double> row, double most, double factor, std::span<double> out);

}  // namespace lathe
