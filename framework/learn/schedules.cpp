#include <lathe/learn/schedules.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lathe {
namespace {
double warm(std::int64_t step, std::int64_t warmup) {
  return static_cast<double>(step + 1) / static_cast<double>(warmup + 1);
}

// How far a step is on its way from `from` to the end, 0 to 1.
double share(std::int64_t step, std::int64_t from, std::int64_t total) {
  if (total <= from) return 1;
  const double way = static_cast<double>(step - from) / static_cast<double>(total - from);
  return std::clamp(way, 0.0, 1.0);
}
}  // namespace

Schedule::~Schedule() = default;

double ConstantSchedule::factor(std::int64_t step, std::int64_t) const {
  return step < with_.warmup ? warm(step, with_.warmup) : 1;
}

double LinearSchedule::factor(std::int64_t step, std::int64_t total) const {
  if (step < with_.warmup) return warm(step, with_.warmup);
  return 1 - (1 - with_.floor) * share(step, with_.warmup, total);
}

double CosineSchedule::factor(std::int64_t step, std::int64_t total) const {
  if (step < with_.warmup) return warm(step, with_.warmup);
  const double x = share(step, with_.warmup, total);
  return with_.floor + (1 - with_.floor) * 0.5 * (1 + std::cos(std::numbers::pi * x));
}

double WarmupStableDecay::factor(std::int64_t step, std::int64_t total) const {
  if (step < with_.warmup) return warm(step, with_.warmup);
  const auto fall =
      static_cast<std::int64_t>(std::llround(with_.decay * static_cast<double>(total)));
  const std::int64_t from = std::max(with_.warmup, total - fall);
  if (step < from) return 1;
  const double x = share(step, from, total);
  return 1 - (1 - with_.floor) * (with_.shape == "sqrt" ? std::sqrt(x) : x);
}

}  // namespace lathe
