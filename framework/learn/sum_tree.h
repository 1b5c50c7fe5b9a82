// Draws by weight in logarithmic time: a binary tree whose nodes hold the sum of their children.
#pragma once

#include <cstdint>
#include <vector>

namespace lathe {

// Each sum is computed from its two children alone, so it depends on the present weights and not on
// the order in which they were set.
class SumTree {
 public:
  explicit SumTree(std::int64_t count = 0);

  void set(std::int64_t leaf, double weight);  // weight >= 0
  double weight(std::int64_t leaf) const { return nodes_[at(leaf)]; }
  double total() const { return nodes_[1]; }
  // The leaf where the running sum of weights passes `along`, in [0, total()). Never one of weight
  // 0, unless all are.
  std::int64_t find(double along) const;

 private:
  std::size_t at(std::int64_t leaf) const { return static_cast<std::size_t>(leaves_ + leaf); }

  std::int64_t leaves_ = 1;    // a power of two
  std::vector<double> nodes_;  // node k has the children 2k and 2k + 1
};

}  // namespace lathe
