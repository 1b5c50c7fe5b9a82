#include <lathe/learn/sum_tree.h>

namespace lathe {

SumTree::SumTree(std::int64_t count) {
  while (leaves_ < count) leaves_ *= 2;
  nodes_.resize(static_cast<std::size_t>(2 * leaves_));
}

void SumTree::set(std::int64_t leaf, double weight) {
  std::size_t node = at(leaf);
  nodes_[node] = weight;
  for (node /= 2; node >= 1; node /= 2) nodes_[node] = nodes_[2 * node] + nodes_[2 * node + 1];
}

std::int64_t SumTree::find(double along) const {
  std::size_t node = 1;
  while (node < static_cast<std::size_t>(leaves_)) {
    const double left = nodes_[2 * node];
    // Rounding may lead past the last weight: never into a branch without any.
    if (along < left || nodes_[2 * node + 1] == 0) {
      node = 2 * node;
    } else {
      along -= left;
      node = 2 * node + 1;
    }
  }
  return static_cast<std::int64_t>(node) - leaves_;
}

}  // namespace lathe
