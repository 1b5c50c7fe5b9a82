// Time: a steady clock for durations, the wall clock for records.
#pragma once

#include <string>
#include <string_view>

namespace lathe {

// Seconds since an arbitrary start; never goes back.
double steady_seconds();
// Seconds since 1970-01-01 UTC.
double wall_seconds();
// "2026-01-31T12:00:00Z"; of now, or of `seconds` as wall_seconds() gives them.
std::string iso_time();
std::string iso_time(double seconds);
// "4.2s", "3m07s", "2h05m" or "5d03h", for people.
std::string duration_text(double seconds);

// Accumulates the seconds of its life into a counter: { const Timed timed(forward_seconds); ... }.
class Timed {
 public:
  explicit Timed(double& sum) : sum_(sum), start_(steady_seconds()) {}
  ~Timed() { sum_ += steady_seconds() - start_; }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  double& sum_;
  double start_;
};

}  // namespace lathe
