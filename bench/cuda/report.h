// What bench_cuda found: one line for each check and each measurement, as a table and as JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lathe::bench {

struct Finding {
  std::string group;  // "ops", "losses", "train", ...
  std::string name;
  std::optional<bool> passed{};  // of a check
  double value = 0;              // of a measurement, or how far a check was off
  std::string unit{};            // none: no number
  double floor = 0;              // goals; 0: none
  double target = 0;
  std::string note{};
};

// "pass", "FAIL", "target" (reached), "floor" (reached), "below" (the floor), or nothing.
std::string verdict(const Finding& finding);

struct Report {
  std::string device;
  double seconds = 0;
  std::vector<Finding> findings;

  std::string table() const;
  std::string json() const;
  // 1 when a check failed; goals that are missed are results, not failures.
  int exit_code() const;
};

// Exit code of a machine without a device; CTest and automake call it "skipped".
inline constexpr int no_device = 77;

// A line "NAME VALUE UNIT" of a peer's script; nothing for any other line.
std::optional<Finding> parse_peer(const std::string& group, const std::string& line);

}  // namespace lathe::bench
