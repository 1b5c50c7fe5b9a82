// Another program that is asked by lines of text: started, fed, timed, limited, and always ended.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace lathe {

struct LineProgramOptions {
  std::vector<std::string> words;  // the program, found as a shell would, and its arguments
  std::filesystem::path folder;    // where it runs; empty: where this process does
  double timeout = 30;             // seconds of wall time for one call of ask()
  double processor_seconds = 0;    // for one call of ask(); 0: no limit
  std::int64_t memory = 0;         // bytes of address space; 0: no limit
};

// The program runs in a process group of its own, without core dumps and without the means to gain
// rights. It and what it has started end with this object, when a call fails, and with this
// process, however that ends. Not for several threads at a time.
class LineProgram {
 public:
  explicit LineProgram(LineProgramOptions options);
  ~LineProgram();
  LineProgram(const LineProgram&) = delete;
  LineProgram& operator=(const LineProgram&) = delete;

  // Sends the lines and returns as many lines of its answer, one for each, without line feeds. The
  // program is started when it does not run. Requests and answers flow at the same time, so no
  // size of them blocks. Throws Error when the program cannot be started, ends, takes too long, or
  // says more than it was asked: with what it wrote to standard error. Then it does not run.
  std::vector<std::string> ask(std::span<const std::string> lines);

  bool running() const;

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace lathe
