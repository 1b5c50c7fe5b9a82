// Launchers: where and when the runs of a sweep go on.
#pragma once

#include <lathe/config/keys.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace lathe {

// A program that is to run once. It needs nothing of the process that launches it.
struct Job {
  std::string name;                  // for people
  std::vector<std::string> command;  // the program and its arguments, taken as they are
  std::filesystem::path folder;      // in which it works
  std::filesystem::path log;         // all that it prints is added to the end of this file
};

struct JobEnd {
  int code = 0;       // of the exit; 128 + number after a signal; 126, 127: it could not begin
  bool begun = true;  // false: the launcher was asked to stop before its turn
  double seconds = 0;
};

// Jobs, and whom to tell. Everything is called on the thread that runs the launcher.
struct Launch {
  std::span<const Job> jobs;
  std::function<void(std::size_t job)> began;
  std::function<void(std::size_t job, const JobEnd& end)> ended;
  std::function<bool()> stopping;  // asked again and again; once true, it stays so
};

class Launcher {
 public:
  static constexpr const char* kind = "launcher";
  static constexpr int interface_version = 1;

  virtual ~Launcher();

  // Runs every job once and returns when all have ended. Jobs begin in their order; `ended` is told
  // of each exactly once, as it ends. A job that fails changes nothing for the others. Once
  // `stopping()` is true no job begins, those that run are asked to end (SIGTERM: a run saves and
  // exits with code 75), and those that never began are told so.
  virtual void run(const Launch& launch) = 0;
};

}  // namespace lathe
