// The line that tells how far a long job is.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lathe {

enum class ProgressStyle {
  automatic,  // one redrawn line on a live terminal, plain lines at intervals elsewhere
  quiet,
  json,  // one JSON object a line at intervals, for programs
};

// Counts steps and shows rate and time left on standard error. Data belongs on standard output.
class Progress {
 public:
  // `total` 0 means unknown. `already` steps were done before (a resumed run): they count as done
  // but not for the rate.
  Progress(std::string label, std::int64_t total, ProgressStyle style = ProgressStyle::automatic,
           std::int64_t already = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Shown after the counts, in this order: {"loss", "3.21"}.
  using Notes = std::vector<std::pair<std::string, double>>;
  void update(std::int64_t done, const Notes& notes = {});
  // The last state once more, as a line that stays.
  void finish();

 private:
  void show(double now, bool last);

  std::string label_;
  std::int64_t total_, already_, done_;
  ProgressStyle style_;
  bool live_;
  double start_, shown_ = -1e300;
  Notes notes_;
  bool finished_ = false;
};

namespace detail {
struct ProgressState {
  std::string_view label;
  std::int64_t done = 0, total = 0;
  double seconds = 0;  // since the start of this process's part
  double rate = 0;     // steps a second, 0 when unknown
  const Progress::Notes* notes = nullptr;
};
// The three forms of a state. The plain one is cut at a character border to fit `width` columns.
std::string progress_text(const ProgressState& state, int width);
std::string progress_json(const ProgressState& state);
}  // namespace detail

}  // namespace lathe
