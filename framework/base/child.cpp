#include <lathe/base/child.h>
#include <lathe/base/clock.h>
#include <lathe/base/error.h>
#include <lathe/base/file.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace lathe {
namespace {
// The last byte of a child whose work returned: cannot be part of text.
constexpr char finished_mark = '\xff';
constexpr off_t kept_output = 8192;

void write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) _exit(120);  // the parent is gone
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

[[noreturn]] void be_the_child(const std::function<void(const Say&)>& work, int pipe, int output,
                               pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(120);  // it died before the line above
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) std::signal(number, SIG_DFL);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  work([&](std::string_view bytes) { write_all(pipe, bytes); });
  std::fflush(nullptr);
  write_all(pipe, {&finished_mark, 1});
  // Without the destructors of statics: they are those of the parent too.
  _exit(0);
}

// Reads until the child closes its end or the time is over; false then.
bool read_until(double end, int pipe, std::string& said) {
  char buffer[4096];
  for (;;) {
    const double left = end - steady_seconds();
    if (left <= 0) return false;
    pollfd waiting{pipe, POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::ceil(std::min(left, 3600.0) * 1000)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) continue;
    const ssize_t count = read(pipe, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    said.append(buffer, static_cast<std::size_t>(count));
  }
}

// A child may close its end of the pipe and go on: the time limit holds for it as well.
int wait_until(double end, pid_t child, bool& in_time) {
  int status = 0;
  while (in_time && waitpid(child, &status, WNOHANG) == 0) {
    if (steady_seconds() > end) in_time = false;
    usleep(500);
  }
  if (in_time) return status;
  kill(-child, SIGKILL);
  kill(child, SIGKILL);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::string end_of(int file) {
  const off_t size = lseek(file, 0, SEEK_END);
  const off_t begin = std::max<off_t>(0, size - kept_output);
  std::string text(static_cast<std::size_t>(std::max<off_t>(0, size - begin)), '\0');
  const ssize_t count = pread(file, text.data(), text.size(), begin);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, count)));
  return text;
}
}  // namespace

ChildEnd in_child(const std::function<void(const Say&)>& work, double limit) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail("cannot make a pipe: ", reason(errno));
  const int output = memfd_create("lathe child", MFD_CLOEXEC);
  if (output < 0) fail("cannot keep the output of a child process: ", reason(errno));
  std::fflush(nullptr);  // or the child would write it once more
  const double start = steady_seconds();
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) fail("cannot start a child process: ", reason(errno));
  if (child == 0) {
    close(ends[0]);
    be_the_child(work, ends[1], output, parent);
  }
  close(ends[1]);
  ChildEnd end;
  bool in_time = read_until(start + limit, ends[0], end.said);
  const int status = wait_until(start + limit, child, in_time);
  kill(-child, SIGKILL);  // what it has started
  close(ends[0]);
  end.seconds = steady_seconds() - start;
  end.output = end_of(output);
  close(output);
  const bool returned = end.said.ends_with(finished_mark);
  if (returned) end.said.pop_back();
  end.number = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  end.how = !in_time              ? ChildEnd::How::timed_out
            : WIFSIGNALED(status) ? ChildEnd::How::signalled
            : returned            ? ChildEnd::How::finished
                                  : ChildEnd::How::exited;
  if (end.how == ChildEnd::How::timed_out) end.number = static_cast<int>(std::ceil(limit));
  return end;
}

std::string name_of_signal(int number) {
  const char* name = sigabbrev_np(number);
  return name == nullptr ? cat("signal ", number) : cat("SIG", name);
}

std::string ChildEnd::text() const {
  switch (how) {
    case How::finished:
      return "";
    case How::exited:
      return cat("exited with code ", number);
    case How::signalled:
      return cat("ended by signal ", number, " (", name_of_signal(number), ")");
    case How::timed_out:
      return cat("did not end within ", number, " s");
  }
  return "";
}

}  // namespace lathe
