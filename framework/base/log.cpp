#include <lathe/base/log.h>
#include <lathe/base/terminal.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>

#include <memory>
#include <mutex>
#include <shared_mutex>

namespace lathe {
namespace {

// Lines for people: "warning: text", the word coloured where the terminal takes colours.
class TerminalSink final : public spdlog::sinks::base_sink<std::mutex> {
  void sink_it_(const spdlog::details::log_msg& message) override {
    const bool colour = terminal_has_colour();
    std::string line;
    if (message.level >= spdlog::level::err) {
      line = colour ? "\033[1;31merror:\033[0m " : "error: ";
    } else if (message.level >= spdlog::level::warn) {
      line = colour ? "\033[1;33mwarning:\033[0m " : "warning: ";
    }
    line.append(message.payload.data(), message.payload.size());
    terminal_line(line);
  }
  void flush_() override {}
};

struct Log {
  std::shared_mutex mutex;
  std::shared_ptr<spdlog::sinks::sink> terminal = std::make_shared<TerminalSink>();
  spdlog::logger logger{"lathe", terminal};
};

// Never destroyed, so that destructors of other statics may still log.
Log& shared_log() {
  static Log* const log = new Log;
  return *log;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void log_line(LogLevel level, std::string_view text) {
  Log& log = shared_log();
  const std::shared_lock lock(log.mutex);
  log.logger.log(to_spdlog(level), spdlog::string_view_t(text.data(), text.size()));
}

void set_log_quiet(bool quiet) {
  shared_log().terminal->set_level(quiet ? spdlog::level::warn : spdlog::level::info);
}

void set_log_file(const std::string& path) {
  Log& log = shared_log();
  std::shared_ptr<spdlog::sinks::sink> file;
  if (!path.empty()) {
    try {
      file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
    } catch (const spdlog::spdlog_ex& problem) {
      fail("cannot log to ", path, ": ", problem.what());
    }
    file->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  }
  const std::unique_lock lock(log.mutex);
  log.logger.sinks().resize(1);
  if (file) log.logger.sinks().push_back(std::move(file));
  log.logger.flush_on(spdlog::level::info);
}

}  // namespace lathe
