// Runs the conformance tests of components, each in a process of its own, and reports.
#pragma once

#include <lathe/conform/suite.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace lathe::conform {

struct Request {
  int level = usual_level;
  std::uint64_t seed = 1;  // of all that is drawn
  double limit = 60;       // seconds that one test may take
  // "fuzz-4711": this test alone, with this number alone; as a failure tells it.
  std::string reproduce = {};
};

enum class Verdict {
  passed,
  failed,   // the test found faults
  died,     // the process ended: a signal, an exit
  hung,     // the time was over
  skipped,  // does not apply, or this machine cannot offer the component
};
std::string_view name_of(Verdict verdict);

struct Result {
  std::string test;
  std::string meaning;
  Verdict verdict = Verdict::passed;
  std::vector<std::string> faults;  // of died and hung: how it ended, and what was being done
  std::vector<std::string> warnings;
  std::string reason;     // of skipped
  std::string reproduce;  // for --reproduce: the number of the trial that found the first fault
  std::string output;     // the end of what the component wrote, where the test did not pass
  double seconds = 0;
};

struct Report {
  std::string kind;
  std::string name;
  std::string file;  // "" for a component of the framework
  int level = usual_level;
  std::vector<Result> results;

  bool passed() const;  // nothing failed, died or hung
};

// No other thread may run: tests are forked from this process. `heard` is told of each result.
Report conform(Registry& registry, const Subject& subject, const Request& request,
               const std::function<void(const Result&)>& heard = {});
// These tests in place of those of the subject's kind.
Report run_tests(Registry& registry, const Subject& subject, const std::vector<Test>& tests,
                 const Request& request, const std::function<void(const Result&)>& heard = {});
// One test.
Result run_test(Registry& registry, const Subject& subject, const Test& test,
                const Request& request);

std::string to_text(const Result& result);  // one line and one for each fault
std::string to_json(const std::vector<Report>& reports);
std::string to_junit(const std::vector<Report>& reports);

}  // namespace lathe::conform
