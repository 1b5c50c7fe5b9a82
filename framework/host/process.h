// Other programs: compilers, and Lathe itself in a fresh process.
#pragma once

#include <filesystem>
#include <string>
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

// A program that works beside this one, on the same terminal. It is asked to stop (SIGTERM) when
// this process ends, however that happens.
class Companion {
 public:
  explicit Companion(const std::vector<std::string>& words);
  ~Companion();
  Companion(const Companion&) = delete;
  Companion& operator=(const Companion&) = delete;

  bool ended();
  void stop();  // SIGTERM
  int wait();   // the code, as in ProgramEnd

 private:
  pid_t process_ = 0;
  bool ended_ = false;
  int code_ = 0;
};

// The file of the running program.
std::filesystem::path own_program();

}  // namespace lathe
