#include <lathe/base/error.h>
#include <lathe/base/file.h>
#include <lathe/base/process.h>

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
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

// "NAME=value" of this process's environment, with the changes.
std::vector<std::string> environment_with(
    const std::vector<std::pair<std::string, std::string>>& changes) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const bool changed = std::any_of(changes.begin(), changes.end(), [&](const auto& change) {
      return text.starts_with(change.first + "=");
    });
    if (!changed) all.push_back(text);
  }
  for (const auto& [name, value] : changes) all.push_back(cat(name, "=", value));
  return all;
}

// In the child, where only plain system calls are safe. What fails ends it with code 126.
void take_place(const ProgramStart& start) {
  if (start.apart) setpgid(0, 0);
  if (!start.folder.empty() && chdir(start.folder.c_str()) != 0) _exit(126);
  if (!start.processors.empty()) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int processor : start.processors) CPU_SET(static_cast<std::size_t>(processor), &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) _exit(126);
  }
  if (start.output.empty()) return;
  const int nothing = open("/dev/null", O_RDONLY);
  const int output = open(start.output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (output < 0) _exit(126);
  dup2(nothing, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
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

Companion::Companion(const ProgramStart& start) {
  if (start.words.empty()) fail("a program without a name cannot be started");
  std::vector<std::string> words = start.words;
  std::vector<std::string> environment = environment_with(start.environment);
  const std::vector<char*> arguments = pointers_to(words);
  const std::vector<char*> variables = pointers_to(environment);
  const pid_t parent = getpid();
  process_ = started(fork(), words[0]);
  if (process_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(127);  // the parent died before the line above
    take_place(start);
    execvpe(arguments[0], arguments.data(), variables.data());
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

void Companion::send(int signal) {
  if (!ended()) kill(process_, signal);
}
void Companion::stop() { send(SIGTERM); }
void Companion::abort() { send(SIGKILL); }

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

std::vector<int> own_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) fail("cannot tell processors: ", reason(errno));
  std::vector<int> all;
  for (std::size_t i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) all.push_back(static_cast<int>(i));
  }
  return all;
}

}  // namespace lathe
