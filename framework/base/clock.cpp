#include <lathe/base/clock.h>
#include <lathe/base/error.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>

namespace lathe {
namespace {

template <class Clock>
double seconds_of() {
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

}  // namespace

double steady_seconds() { return seconds_of<std::chrono::steady_clock>(); }
double wall_seconds() { return seconds_of<std::chrono::system_clock>(); }

std::string iso_time() { return iso_time(wall_seconds()); }

std::string iso_time(double seconds) {
  const auto whole = static_cast<std::time_t>(std::floor(seconds));
  std::tm parts{};
  if (::gmtime_r(&whole, &parts) == nullptr) fail("no calendar date for second ", seconds);
  char text[40];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text, size);
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  char text[40];
  if (seconds < 59.95) {
    std::snprintf(text, sizeof text, "%.1fs", seconds);
    return text;
  }
  const auto whole = static_cast<long long>(std::min(seconds, 1e15) + 0.5);
  const auto pair = [&](long long first, const char* unit, long long second, const char* small) {
    std::snprintf(text, sizeof text, "%lld%s%02lld%s", first, unit, second, small);
    return std::string(text);
  };
  if (whole < 3600) return pair(whole / 60, "m", whole % 60, "s");
  if (whole < 86400) return pair(whole / 3600, "h", whole % 3600 / 60, "m");
  return pair(whole / 86400, "d", whole % 86400 / 3600, "h");
}

}  // namespace lathe
