#include <lathe/base/child.h>
#include <lathe/base/clock.h>
#include <lathe/base/error.h>
#include <lathe/base/file.h>
#include <lathe/base/line_program.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <ctime>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace lathe {
namespace {
constexpr std::size_t kept_errors = 4096;        // bytes of standard error, the last ones
constexpr std::size_t longest_answer = 1 << 26;  // bytes of one line
constexpr double grace = 1;                      // seconds to end by itself, once it reads the end

// One end of a pipe, closed at its end.
class End {
 public:
  End() = default;
  explicit End(int file) : file_(file) {}
  ~End() { close(); }
  End(End&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  End& operator=(End&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  int file() const { return file_; }
  bool open() const { return file_ >= 0; }
  void close() {
    if (file_ >= 0) ::close(file_);
    file_ = -1;
  }

 private:
  int file_ = -1;
};

struct Pipe {
  End read, write;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) fail("cannot make a pipe: ", reason(errno));
    read = End(ends[0]);
    write = End(ends[1]);
  }
};

void do_not_block(const End& end) {
  fcntl(end.file(), F_SETFL, fcntl(end.file(), F_GETFL) | O_NONBLOCK);
}

// What the child does between fork and exec: other threads of the parent may hold any lock, so only
// calls that are safe in a signal handler.
struct Start {
  std::vector<char*> words;
  const char* folder;
  std::int64_t memory;
  int input, output, errors, failure;
  pid_t parent;

  [[noreturn]] void run() const {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);  // it died before the line above
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    const auto bytes = static_cast<rlim_t>(memory);
    const rlimit of_memory{bytes, bytes};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const int number : {SIGTERM, SIGINT, SIGUSR1, SIGPIPE}) std::signal(number, SIG_DFL);
    const bool ready = (memory == 0 || setrlimit(RLIMIT_AS, &of_memory) == 0) &&
                       dup2(input, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
                       dup2(errors, STDERR_FILENO) >= 0 && (*folder == '\0' || chdir(folder) == 0);
    if (ready) execvp(words[0], words.data());
    const int number = errno;
    [[maybe_unused]] const ssize_t written = write(failure, &number, sizeof number);
    _exit(127);
  }
};
}  // namespace

// All of it happens in one thread of its own: the child is to die with the process, which the
// system ties to the thread that forked, and writes to a pipe that nobody reads must not end the
// process, which is a matter of the thread's signal mask.
class LineProgram::Worker {
 public:
  explicit Worker(LineProgramOptions options)
      : with_(std::move(options)), thread_([this] { work(); }) {}
  ~Worker() {
    do_task([this] { end_gently(); });
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  std::vector<std::string> ask(std::span<const std::string> lines) {
    std::vector<std::string> answers;
    do_task([&] {
      try {
        answers = converse(lines);
      } catch (...) {
        kill_all();
        throw;
      }
    });
    return answers;
  }
  bool running() const { return process_ > 0; }

 private:
  void work() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return over_ || task_; });
      if (over_) return;
      try {
        task_();
      } catch (...) {
        failure_ = std::current_exception();
      }
      task_ = nullptr;
      changed_.notify_all();
    }
  }
  void do_task(std::function<void()> task) {
    std::unique_lock lock(mutex_);
    task_ = std::move(task);
    changed_.notify_all();
    changed_.wait(lock, [this] { return !task_; });
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

  void start() {
    Pipe input, output, errors, failure;
    Start start{{},
                with_.folder.c_str(),
                with_.memory,
                input.read.file(),
                output.write.file(),
                errors.write.file(),
                failure.write.file(),
                getpid()};
    for (std::string& word : with_.words) start.words.push_back(word.data());
    start.words.push_back(nullptr);
    process_ = fork();
    if (process_ < 0) fail("cannot start '", with_.words[0], "': ", reason(errno));
    if (process_ == 0) start.run();
    setpgid(process_, process_);  // in both, so that neither has to wait for the other
    failure.write.close();
    int number = 0;
    ssize_t count;
    do {
      count = read(failure.read.file(), &number, sizeof number);
    } while (count < 0 && errno == EINTR);
    if (count > 0) {
      kill_all();
      fail("cannot start '", with_.words[0], "': ", reason(number));
    }
    input_ = std::move(input.write);
    output_ = std::move(output.read);
    errors_ = std::move(errors.read);
    for (const End* end : {&input_, &output_, &errors_}) do_not_block(*end);
    answer_.clear();
    said_.clear();
  }

  std::vector<std::string> converse(std::span<const std::string> lines) {
    if (process_ <= 0) start();
    std::string request;
    for (const std::string& line : lines) request += line + "\n";
    std::vector<std::string> answers;
    look(0, "");
    take_lines(answers);
    if (!answers.empty() || !answer_.empty()) {
      fail(name(), " wrote a line that it was not asked for: '", shown(answers), "'", said());
    }
    limit_processor();
    const double end = steady_seconds() + with_.timeout;
    std::string_view rest = request;
    while (answers.size() < lines.size()) {
      const double left = end - steady_seconds();
      if (left <= 0) {
        fail(name(), " gave ", answers.size(), " of ", lines.size(), " answers within ",
             with_.timeout, " s", said());
      }
      rest.remove_prefix(look(left, rest));
      take_lines(answers);
      if (answers.size() < lines.size() && !output_.open()) fail(name(), " ", ending(), said());
    }
    if (answers.size() > lines.size() || !answer_.empty()) {
      answers.erase(answers.begin(), answers.begin() + std::ssize(lines));
      fail(name(), " wrote more than the ", lines.size(), " lines that it was asked for: '",
           shown(answers), "'", said());
    }
    return answers;
  }
  std::string shown(const std::vector<std::string>& extra) const {
    return (extra.empty() ? answer_ : extra[0]).substr(0, 200);
  }

  // Waits at most so long until something can be read or written, and does it: the number of bytes
  // of the request that went away.
  std::size_t look(double seconds, std::string_view request) {
    pollfd waiting[] = {{output_.file(), POLLIN, 0},
                        {errors_.file(), POLLIN, 0},
                        {request.empty() ? -1 : input_.file(), POLLOUT, 0}};
    const auto milliseconds = static_cast<int>(std::ceil(std::min(seconds, 3600.0) * 1000));
    if (poll(waiting, 3, milliseconds) <= 0) return 0;
    drain(errors_, said_);
    if (said_.size() > kept_errors) said_.erase(0, said_.size() - kept_errors);
    drain(output_, answer_);
    if (answer_.size() > longest_answer) fail(name(), " wrote a line of more than 64 MiB", said());
    if (request.empty() || waiting[2].revents == 0) return 0;
    const ssize_t written = write(input_.file(), request.data(), request.size());
    if (written < 0 && errno == EPIPE) input_.close();  // its answers may still come
    return written > 0 ? static_cast<std::size_t>(written) : 0;
  }
  static void drain(End& end, std::string& into) {
    char buffer[1 << 16];
    while (end.open()) {
      const ssize_t count = read(end.file(), buffer, sizeof buffer);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return;
      if (count == 0) return end.close();
      into.append(buffer, static_cast<std::size_t>(count));
      if (into.size() > longest_answer) return;
    }
  }
  void take_lines(std::vector<std::string>& lines) {
    std::size_t begin = 0;
    for (std::size_t feed; (feed = answer_.find('\n', begin)) != answer_.npos; begin = feed + 1) {
      lines.push_back(answer_.substr(begin, feed - begin));
    }
    answer_.erase(0, begin);
  }

  // The soft limit moves on with each call, so that a long life is no fault.
  void limit_processor() {
    clockid_t clock;
    timespec used{};
    if (with_.processor_seconds <= 0 || clock_getcpuclockid(process_, &clock) != 0 ||
        clock_gettime(clock, &used) != 0) {
      return;
    }
    const double until = static_cast<double>(used.tv_sec) +
                         1e-9 * static_cast<double>(used.tv_nsec) + with_.processor_seconds;
    const rlimit limit{static_cast<rlim_t>(std::ceil(until)), RLIM_INFINITY};
    prlimit(process_, RLIMIT_CPU, &limit, nullptr);
  }

  std::string name() const { return cat("the program '", with_.words[0], "'"); }
  std::string said() const {
    if (said_.empty()) return "; it wrote nothing to standard error";
    return cat("; the end of its standard error:\n", said_);
  }
  // How it ended, after it has closed its output.
  std::string ending() {
    const double end = steady_seconds() + grace;
    int status = 0;
    while (waitpid(process_, &status, WNOHANG) == 0) {
      if (steady_seconds() > end) return "closed its standard output";
      usleep(500);
    }
    kill(-process_, SIGKILL);  // what it has started
    process_ = -1;
    drain(errors_, said_);
    if (WIFSIGNALED(status)) {
      const int number = WTERMSIG(status);
      const std::string_view why = number == SIGXCPU ? ", its time of the processor was over" : "";
      return cat("was ended by signal ", number, " (", name_of_signal(number), why, ")");
    }
    return cat("exited with code ", WEXITSTATUS(status));
  }

  void end_gently() {
    input_.close();
    const double end = steady_seconds() + grace;
    while (process_ > 0 && steady_seconds() < end) {
      drain(output_, answer_);
      drain(errors_, said_);
      answer_.clear();
      said_.clear();
      if (waitpid(process_, nullptr, WNOHANG) != 0) {
        kill(-process_, SIGKILL);
        process_ = -1;
      } else {
        usleep(500);
      }
    }
    kill_all();
  }
  void kill_all() {
    if (process_ > 0) {
      kill(-process_, SIGKILL);
      kill(process_, SIGKILL);
      while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
    process_ = -1;
    for (End* end : {&input_, &output_, &errors_}) end->close();
  }

  LineProgramOptions with_;
  pid_t process_ = -1;
  End input_, output_, errors_;
  std::string answer_;  // read, and not yet a whole line
  std::string said_;    // the end of standard error
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> task_;
  std::exception_ptr failure_;
  bool over_ = false;
  std::thread thread_;  // the last member: it works on the others
};

LineProgram::LineProgram(LineProgramOptions options) {
  if (options.words.empty() || options.words[0].empty()) fail("a program without a name");
  worker_ = std::make_unique<Worker>(std::move(options));
}
LineProgram::~LineProgram() = default;
std::vector<std::string> LineProgram::ask(std::span<const std::string> lines) {
  return worker_->ask(lines);
}
bool LineProgram::running() const { return worker_->running(); }

}  // namespace lathe
