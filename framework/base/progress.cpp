#include <lathe/base/clock.h>
#include <lathe/base/error.h>
#include <lathe/base/json.h>
#include <lathe/base/progress.h>
#include <lathe/base/terminal.h>

#include <cmath>
#include <cstdio>
#include <limits>

namespace lathe {
namespace {

constexpr double live_interval = 0.1;   // seconds between redraws
constexpr double plain_interval = 5.0;  // seconds between lines elsewhere

std::string short_number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

// The longest prefix of at most `columns` characters, each counted as one column.
std::string fitted(const std::string& text, int columns) {
  int used = 0;
  std::size_t end = 0;
  while (end < text.size()) {
    if (used == columns) return text.substr(0, end);
    ++used;
    ++end;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) ++end;
  }
  return text;
}

}  // namespace

namespace detail {

std::string progress_text(const ProgressState& state, int width) {
  std::string text = cat(state.label, " ", state.done);
  if (state.total > 0) {
    const double share = static_cast<double>(state.done) / static_cast<double>(state.total);
    text += cat("/", state.total, " ", static_cast<int>(100 * share), "%");
  }
  for (const auto& [name, value] : *state.notes) text += cat("  ", name, " ", short_number(value));
  if (state.rate > 0) {
    text += state.rate >= 1 ? cat("  ", short_number(state.rate), "/s")
                            : cat("  ", short_number(1 / state.rate), "s each");
    if (state.total > state.done) {
      text += cat("  ", duration_text(static_cast<double>(state.total - state.done) / state.rate),
                  " left");
    }
  }
  return fitted(text, width);
}

std::string progress_json(const ProgressState& state) {
  Json line = {{"progress", state.label}, {"done", state.done}, {"seconds", state.seconds}};
  if (state.total > 0) line["total"] = state.total;
  if (state.rate > 0) line["rate"] = state.rate;
  for (const auto& [name, value] : *state.notes) line["notes"][name] = value;
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace detail

Progress::Progress(std::string label, std::int64_t total, ProgressStyle style, std::int64_t already)
    : label_(std::move(label)),
      total_(total),
      already_(already),
      done_(already),
      style_(style),
      live_(style == ProgressStyle::automatic && terminal_is_live()),
      start_(steady_seconds()) {}

Progress::~Progress() {
  if (live_) terminal_status("");
}

void Progress::update(std::int64_t done, const Notes& notes) {
  done_ = done;
  notes_ = notes;
  finished_ = false;
  const double now = steady_seconds();
  if (now - shown_ >= (live_ ? live_interval : plain_interval)) show(now, false);
}

void Progress::finish() {
  if (finished_) return;
  show(steady_seconds(), true);
  finished_ = true;
}

void Progress::show(double now, bool last) {
  shown_ = now;
  if (style_ == ProgressStyle::quiet) return;
  detail::ProgressState state{label_, done_, total_, now - start_, 0, &notes_};
  if (done_ > already_ && state.seconds > 0) {
    state.rate = static_cast<double>(done_ - already_) / state.seconds;
  }
  constexpr int unlimited = std::numeric_limits<int>::max();
  if (style_ == ProgressStyle::json) {
    terminal_line(detail::progress_json(state));
  } else if (live_ && !last) {
    terminal_status(detail::progress_text(state, terminal_width() - 1));
  } else {
    if (live_) terminal_status("");
    terminal_line(detail::progress_text(state, unlimited) + "  (" + duration_text(state.seconds) +
                  ")");
  }
}

}  // namespace lathe
