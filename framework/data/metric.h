// A reported number.
#pragma once

#include <string>
#include <vector>

namespace lathe {

// A sum and what to divide it by, so that micro-batches and ranks add up.
struct Metric {
  std::string name;
  double sum = 0;
  double weight = 0;
};

// Sums and weights of the same name add up; new names are appended.
void add_metrics(std::vector<Metric>& all, const std::vector<Metric>& some);

}  // namespace lathe
