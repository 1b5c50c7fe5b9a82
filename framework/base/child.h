// Work in a child process, so that a crash, a hang or an exit there leaves this process alive.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace lathe {

// What became of a child.
struct ChildEnd {
  enum class How {
    finished,   // the work returned
    exited,     // somebody ended the process in the middle of the work; `number` is its code
    signalled,  // `number` is the signal
    timed_out,  // it was killed when its time was over
  };
  How how = How::finished;
  int number = 0;
  std::string said;    // what the work gave to `say`, one piece after the other
  std::string output;  // the end of what it wrote to standard output and standard error
  double seconds = 0;

  // "ended by signal 11 (SIGSEGV)", "exited with code 3", "did not end within 2 s"; "" of finished.
  std::string text() const;
};

// Gives bytes to the parent; they arrive whatever becomes of the child afterwards.
using Say = std::function<void(std::string_view)>;

// Forks, runs the work in the child and waits for its end, at most `limit` seconds. The work must
// not throw. No other thread of this process may run: the child has the calling one alone. The
// child and what it starts die with this process and at the limit; its standard output and standard
// error are kept apart from this process's own.
ChildEnd in_child(const std::function<void(const Say& say)>& work, double limit);

std::string name_of_signal(int number);  // "SIGSEGV"; "signal 99" of one without a name

}  // namespace lathe
