// The learning-rate schedules that come with the framework. Each begins with a linear warm-up over
// `warmup` steps: factor (step + 1) / (warmup + 1) as in nanoGPT, so that step 0 is not wasted.
#pragma once

#include <lathe/learn/optimizer.h>

namespace lathe {

struct WarmupOptions : Keys {
  std::int64_t warmup = key("warmup", 0, "steps over which the rate rises linearly", at_least(0));
  double floor = key("floor", 0.0, "last factor, as a share of the peak", between(0, 1));
};

class ConstantSchedule final : public Schedule {
 public:
  struct Options : Keys {
    std::int64_t warmup = key("warmup", 0, "steps over which the rate rises linearly", at_least(0));
  };
  explicit ConstantSchedule(const Config& config) : with_(config) {}
  double factor(std::int64_t step, std::int64_t total) const override;

 private:
  Options with_;
};

// From 1 down to `floor` along a line.
class LinearSchedule final : public Schedule {
 public:
  using Options = WarmupOptions;
  explicit LinearSchedule(const Config& config) : with_(config) {}
  double factor(std::int64_t step, std::int64_t total) const override;

 private:
  Options with_;
};

// floor + (1 - floor) (1 + cos(pi x)) / 2, x the share of the steps after warm-up (Loshchilov and
// Hutter, 2017).
class CosineSchedule final : public Schedule {
 public:
  using Options = WarmupOptions;
  explicit CosineSchedule(const Config& config) : with_(config) {}
  double factor(std::int64_t step, std::int64_t total) const override;

 private:
  Options with_;
};

// Warm-up, stable, decay (Hu et al., 2024): 1 until the last `decay` share of the steps, then
// 1 - sqrt(x) down to `floor`, or a line.
class WarmupStableDecay final : public Schedule {
 public:
  struct Options : Keys {
    std::int64_t warmup = key("warmup", 0, "steps over which the rate rises linearly", at_least(0));
    double decay = key("decay", 0.2, "share of all steps in which the rate falls", between(0, 1));
    double floor = key("floor", 0.0, "last factor, as a share of the peak", between(0, 1));
    std::string shape = key("shape", "sqrt", "how the rate falls", one_of({"sqrt", "linear"}));
  };
  explicit WarmupStableDecay(const Config& config) : with_(config) {}
  double factor(std::int64_t step, std::int64_t total) const override;

 private:
  Options with_;
};

}  // namespace lathe
