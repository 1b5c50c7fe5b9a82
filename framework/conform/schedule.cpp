// What a learning-rate schedule promises.
#include <lathe/conform/draw.h>
#include <lathe/conform/suite.h>
#include <lathe/conform/world.h>
#include <lathe/learn/optimizer.h>

#include <algorithm>
#include <cmath>

namespace lathe::conform {
namespace {
constexpr std::int64_t totals[] = {1, 2, 3, 10, 97, 1000};

std::string exercise(Trial& trial, const Config& options) {
  const auto schedule = trial.make<Schedule>(options);
  Digest digest;
  for (const std::int64_t total : totals) {
    for (std::int64_t step = 0; step < total; ++step) digest.add(schedule->factor(step, total));
  }
  return digest.hex();
}

// Multiplying the peak rate, so never above it; and not 0 from beginning to end.
void in_range(Trial& trial) {
  const auto schedule = trial.make<Schedule>();
  for (const std::int64_t total : totals) {
    double largest = 0;
    for (std::int64_t step = 0; step < total; ++step) {
      const double factor = schedule->factor(step, total);
      if (!trial.expect(std::isfinite(factor) && factor >= 0 && factor <= 1, "the factor of step ",
                        step, " of ", total, " is ", factor, ", expected 0 to 1")) {
        return;
      }
      largest = std::max(largest, factor);
    }
    trial.expect(largest > 0, "every factor of ", total, " steps is 0: nothing would be learnt");
  }
}

// A resumed run asks from the middle, an ablation for another total in between.
void pure(Trial& trial) {
  const auto schedule = trial.make<Schedule>();
  const double first = schedule->factor(7, 97);
  for (std::int64_t step = 96; step >= 0; --step) schedule->factor(step, 97);
  schedule->factor(3, 10);
  trial.expect(schedule->factor(7, 97) == first, "step 7 of 97 had the factor ", first, ", later ",
               schedule->factor(7, 97));
}

void drawn_in_range(Trial& trial) {
  const Config options =
      drawn_options(trial.schema(), trial.options(), trial.options(), trial.random("options"));
  const auto schedule = trial.make<Schedule>(options);
  for (const std::int64_t total : totals) {
    for (std::int64_t step = 0; step < total; ++step) {
      const double factor = schedule->factor(step, total);
      if (!trial.expect(std::isfinite(factor) && factor >= 0 && factor <= 1, "with ",
                        options.to_text(), " the factor of step ", step, " of ", total, " is ",
                        factor, ", expected 0 to 1")) {
        return;
      }
    }
  }
}
}  // namespace

Suite schedule_suite() {
  return {.kind = "schedule",
          .fitting = {},
          .exercise = exercise,
          .tests = {{"in_range", 1, "factors are finite, in 0 to 1, and not all 0", in_range},
                    {"pure", 2, "a factor depends on step and total alone", pure},
                    {"drawn_in_range", 4, "factors are in 0 to 1 with drawn options",
                     drawn_in_range, [](int level) { return 10 << (level - 4); }}}};
}

}  // namespace lathe::conform
