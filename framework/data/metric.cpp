#include <lathe/data/metric.h>

#include <algorithm>

namespace lathe {

void add_metrics(std::vector<Metric>& all, const std::vector<Metric>& some) {
  for (const Metric& metric : some) {
    const auto known = std::find_if(all.begin(), all.end(),
                                    [&](const Metric& other) { return other.name == metric.name; });
    if (known == all.end()) {
      all.push_back(metric);
    } else {
      known->sum += metric.sum;
      known->weight += metric.weight;
    }
  }
}

}  // namespace lathe
