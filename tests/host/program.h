// The built program as a child process, in a folder of its own.
#pragma once

#include <base/temporary_folder.h>

#include <lathe/base/file.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <string>
#include <vector>

namespace lathe::testing {

struct Outcome {
  int code = -1;  // of the exit; 128 + number after a signal
  std::string out;
  std::string error;
};

class Program {
 public:
  Program() {
    setenv("OMP_WAIT_POLICY", "passive", 1);
    setenv("NO_COLOR", "1", 1);
    // The plugins of who runs the tests are none of theirs.
    setenv("XDG_DATA_HOME", (folder_ / "data").c_str(), 1);
    setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1);
    unsetenv("LATHE_PLUGIN_PATH");
  }

  const std::string& path() const { return folder_.path(); }
  std::string operator/(const std::string& name) const { return folder_ / name; }
  void write(const std::string& name, const std::string& text) const {
    make_folders(real_files(), folder_of(folder_ / name));
    write_durably(folder_ / name, text);
  }

  // A started child; its outputs go to the files out.N and error.N.
  struct Child {
    pid_t process;
    std::string out, error;
  };
  // `prepare` runs in the child before the program does.
  Child start(std::vector<std::string> words, const std::function<void()>& prepare = {}) {
    words.insert(words.begin(), LATHE_BUILD "/bin/lathe");
    return start_program(std::move(words), prepare);
  }
  // The same with another program, words[0].
  Child start_program(std::vector<std::string> all, const std::function<void()>& prepare = {}) {
    const int number = ++started_;
    Child child{0, folder_ / ("out." + std::to_string(number)),
                folder_ / ("error." + std::to_string(number))};
    std::vector<char*> pointers;
    for (std::string& word : all) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    child.process = fork();
    if (child.process != 0) return child;
    if (chdir(path().c_str()) != 0) _exit(126);
    redirect("/dev/null", O_RDONLY, 0);
    redirect(child.out, O_WRONLY | O_CREAT | O_TRUNC, 1);
    redirect(child.error, O_WRONLY | O_CREAT | O_TRUNC, 2);
    if (prepare) prepare();
    execv(pointers[0], pointers.data());
    _exit(127);
  }

  static Outcome finish(const Child& child) {
    int status = 0;
    waitpid(child.process, &status, 0);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    // A child that was killed at once has not made them.
    const auto text = [](const std::string& file) {
      return exists(file) ? read_file(file) : std::string();
    };
    return {code, text(child.out), text(child.error)};
  }

  Outcome run(const std::vector<std::string>& words, const std::function<void()>& prepare = {}) {
    return finish(start(words, prepare));
  }

 private:
  static void redirect(const std::string& path, int flags, int as) {
    const int file = open(path.c_str(), flags, 0644);
    if (file < 0 || dup2(file, as) < 0) _exit(125);
  }

  TemporaryFolder folder_;
  int started_ = 0;
};

// A run of a second or so: a GPT of 3648 parameters that learns to sort four digits.
inline const char* const tiny = R"(# Does it run? Expected: it does.
seed = 3
[data]
use = "sort"
length = 4
train = 400
validation = 40
[tokenizer]
use = "chars"
specials = true
[model]
use = "gpt"
layers = 1
heads = 2
width = 16
[optimizer]
rate = 3e-3
[train]
steps = 60
batch = 8
length = 16
log_every = 5
[evaluate]
every = 20
batch = 20
[checkpoint]
every = 10
keep = 3
[sample]
every = 30
prompts = ["2010"]
tokens = 6
)";

}  // namespace lathe::testing
