#include <lathe/base/terminal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <string>

namespace lathe {
namespace {

struct Terminal {
  std::mutex mutex;
  std::string status;
};

// Never destroyed, because the log may speak while other statics go.
Terminal& terminal() {
  static Terminal* const one = new Terminal;
  return *one;
}

// One write per line, so that lines of several processes stay whole. A closed or full standard
// error must not stop a run, so failures are dropped.
void put(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDERR_FILENO, text.data(), text.size());
    if (count > 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      return;
    }
  }
}

bool is_set(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

constexpr std::string_view clear_line = "\r\033[K";

}  // namespace

bool terminal_is_live() {
  const char* const kind = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
}

bool terminal_has_colour() { return terminal_is_live() && !is_set("NO_COLOR"); }

int terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

void terminal_line(std::string_view line) {
  Terminal& shared = terminal();
  const std::lock_guard lock(shared.mutex);
  std::string text;
  if (!shared.status.empty()) text += clear_line;
  text += line;
  text += '\n';
  text += shared.status;
  put(text);
}

void terminal_status(std::string_view line) {
  if (!terminal_is_live()) return;
  Terminal& shared = terminal();
  const std::lock_guard lock(shared.mutex);
  if (line.empty() && shared.status.empty()) return;
  shared.status = line;
  put(std::string(clear_line) + shared.status);
}

}  // namespace lathe
