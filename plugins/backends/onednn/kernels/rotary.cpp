#include "rotary.h"

#include <lathe/base/error.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "dispatch.h"
#include "rotary_kernel.h"
#include "scratch.h"

namespace lathe::kernels {

LATHE_DECLARE_KERNEL(rotary, RotaryTask)

namespace {

using Table = std::vector<float>;

void append_position(Table& table, double base, std::size_t rotated, std::size_t position) {
  const std::size_t half = rotated / 2;
  const std::size_t start = table.size();
  table.resize(start + rotated);
  for (std::size_t i = 0; i < half; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(rotated);
    const double angle = static_cast<double>(position) * std::pow(base, exponent);
    table[start + i] = static_cast<float>(std::cos(angle));
    table[start + half + i] = static_cast<float>(std::sin(angle));
  }
}

// The table of (base, rotated) for at least `positions` positions. A longer one replaces a shorter
// one, which lives on while a call uses it.
std::shared_ptr<const Table> table_of(double base, std::size_t rotated, std::size_t positions) {
  static std::mutex guard;
  static std::map<std::pair<double, std::size_t>, std::shared_ptr<const Table>> tables;
  const std::lock_guard lock(guard);
  std::shared_ptr<const Table>& kept = tables[{base, rotated}];
  const std::size_t held = kept == nullptr ? 0 : kept->size() / rotated;
  if (held >= positions) return kept;
  auto table = kept == nullptr ? std::make_shared<Table>() : std::make_shared<Table>(*kept);
  const std::size_t wanted = std::max({positions, 2 * held, std::size_t{128}});
  table->reserve(wanted * rotated);
  for (std::size_t position = held; position < wanted; ++position) {
    append_position(*table, base, rotated, position);
  }
  kept = std::move(table);
  return kept;
}

}  // namespace

void rotary(const Rotary& arguments) {
  require_float(arguments.dtype, "rotary embedding");
  RotaryTask task{arguments, nullptr};
  Rotary& a = task.arguments;
  if (a.rotated == 0) a.rotated = a.width;
  if (a.rotated % 2 != 0 || a.rotated > a.width) {
    fail("rotary embedding: ", a.rotated, " rotated columns; it takes an even number up to the ",
         "head width of ", a.width);
  }
  if (!(a.base > 0)) fail("rotary embedding: base ", a.base, "; it must be above 0");
  std::int32_t last = 0;
  for (std::size_t row = 0; row < a.rows; ++row) {
    if (a.position[row] < 0) {
      fail("rotary embedding: position ", a.position[row], " of row ", row, " is negative");
    }
    last = std::max(last, a.position[row]);
  }
  const auto table = table_of(a.base, a.rotated, static_cast<std::size_t>(last) + 1);
  task.table = table->data();
  LATHE_CALL_KERNEL(rotary, task)
}

}  // namespace lathe::kernels
