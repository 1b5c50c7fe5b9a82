// Other programs: compilers, Lathe itself in a fresh process, the cells of a sweep.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace lathe {

struct ProgramEnd {
  int code = 0;        // of the exit; 128 + number after a signal; 127: it cannot be started
  std::string output;  // standard output and standard error, as they came
};

// Runs words[0] with the others as its arguments, in a folder (empty: this process's), and waits.
ProgramEnd run_program(const std::vector<std::string>& words,
                       const std::filesystem::path& folder = {});

// How a program begins that works beside this one.
struct ProgramStart {
  std::vector<std::string> words;     // the program, which is looked for in PATH, and its arguments
  std::filesystem::path folder = {};  // in which it works; empty: this process's
  // What it prints is added to the end of this file; empty: it prints where this process does.
  std::filesystem::path output = {};
  std::vector<std::pair<std::string, std::string>> environment = {};  // besides this process's
  std::vector<int> processors = {};  // the only ones it may use; empty: those of this process
  // Ctrl-C on the terminal reaches this process alone, which then decides.
  bool apart = false;
};

// A program that works beside this one. It is asked to stop (SIGTERM) when this process ends,
// however that happens.
class Companion {
 public:
  explicit Companion(const ProgramStart& start);
  explicit Companion(const std::vector<std::string>& words) : Companion(ProgramStart{words}) {}
  ~Companion();
  Companion(const Companion&) = delete;
  Companion& operator=(const Companion&) = delete;

  bool ended();
  void stop();   // SIGTERM
  void abort();  // SIGKILL
  int wait();    // the code, as in ProgramEnd; of a start that failed: 126 folder or file, 127
                 // program

 private:
  void send(int signal);

  pid_t process_ = 0;
  bool ended_ = false;
  int code_ = 0;
};

// The file of the running program.
std::filesystem::path own_program();
// The numbers of the processors that this process may use.
std::vector<int> own_processors();

}  // namespace lathe
