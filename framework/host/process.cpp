#include <lathe/host/process.h>

#include <lathe/base/error.h>
#include <lathe/base/file.h>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace lathe {
namespace {
std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

pid_t started(pid_t process, const std::string& program) {
  if (process < 0) fail("cannot start ", program, ": ", reason(errno));
  return process;
}

int code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }
}  // namespace

ProgramEnd run_program(const std::vector<std::string>& words, const std::filesystem::path& folder) {
  std::vector<std::string> copy = words;
  const std::vector<char*> arguments = pointers_to(copy);
  std::array<int, 2> pipe{};
  if (pipe2(pipe.data(), O_CLOEXEC) != 0) fail("cannot make a pipe: ", reason(errno));
  const pid_t process = started(fork(), words[0]);
  if (process == 0) {
    if (!folder.empty() && chdir(folder.c_str()) != 0) _exit(126);
    const int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, STDIN_FILENO);
    dup2(pipe[1], STDOUT_FILENO);
    dup2(pipe[1], STDERR_FILENO);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(pipe[1]);
  ProgramEnd end;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t count = read(pipe[0], buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    end.output.append(buffer.data(), static_cast<std::size_t>(count));
  }
  close(pipe[0]);
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  end.code = code_of(status);
  return end;
}

Companion::Companion(const std::vector<std::string>& words) {
  std::vector<std::string> copy = words;
  const std::vector<char*> arguments = pointers_to(copy);
  const pid_t parent = getpid();
  process_ = started(fork(), words[0]);
  if (process_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(127);  // the parent died before the line above
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
}

Companion::~Companion() {
  stop();
  wait();
}

bool Companion::ended() {
  int status = 0;
  if (!ended_ && waitpid(process_, &status, WNOHANG) == process_) {
    ended_ = true;
    code_ = code_of(status);
  }
  return ended_;
}

void Companion::stop() {
  if (!ended()) kill(process_, SIGTERM);
}

int Companion::wait() {
  int status = 0;
  while (!ended_) {
    if (waitpid(process_, &status, 0) < 0 && errno == EINTR) continue;
    ended_ = true;
    code_ = code_of(status);
  }
  return code_;
}

std::filesystem::path own_program() { return std::filesystem::read_symlink("/proc/self/exe"); }

}  // namespace lathe
