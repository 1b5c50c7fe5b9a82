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

}  // namespace lathe
