// What the program tells its user: info, warning and error lines on standard error, and in a file.
#pragma once

#include <lathe/base/error.h>

#include <string>
#include <string_view>

namespace lathe {

enum class LogLevel { info, warning, error };

// One line. Plain without a terminal, under TERM=dumb and under NO_COLOR.
void log_line(LogLevel level, std::string_view text);

template <class... Parts>
void log_info(const Parts&... parts) {
  log_line(LogLevel::info, cat(parts...));
}
template <class... Parts>
void log_warning(const Parts&... parts) {
  log_line(LogLevel::warning, cat(parts...));
}
template <class... Parts>
void log_error(const Parts&... parts) {
  log_line(LogLevel::error, cat(parts...));
}

// Quiet: warnings and errors alone reach standard error. The file still gets everything.
void set_log_quiet(bool quiet);
// Also appends every line, with date and level, to this file; empty ends that. Parent folders must
// exist. Each line is flushed, so that a killed run leaves a readable file.
void set_log_file(const std::string& path);

}  // namespace lathe
