// Schedule "staircase": the rate is halved every `every` steps.
#include <lathe/learn/optimizer.h>
#include <lathe/plugin/plugin.h>

#include <cmath>

namespace lathe {

class Staircase final : public Schedule {
 public:
  struct Options : Keys {
    std::int64_t every = key("every", 10, "steps of one stair", at_least(1));
  };
  explicit Staircase(const Config& config) : with_(config) {}
  double factor(std::int64_t step, std::int64_t /*total*/) const override {
    return std::exp2(-std::floor(static_cast<double>(step) / static_cast<double>(with_.every)));
  }

 private:
  Options with_;
};

LATHE_PLUGIN(Schedule, Staircase, "staircase", "1.2.3")
}  // namespace lathe
