// The conformance suites: what each kind of component promises, as tests.
//
// A suite is one file of this room. A kind without one (the host knows no kinds) is held to what
// holds for all (any_kind.cpp).
#pragma once

#include <lathe/conform/trial.h>

#include <string>
#include <vector>

namespace lathe::conform {

inline constexpr int highest_level = 10;
inline constexpr int usual_level = 5;

struct Test {
  std::string name;
  int level = 1;        // the least at which it runs
  std::string meaning;  // one line
  void (*run)(Trial& trial) = nullptr;
  // How often, each time with other random numbers, at a level; nullptr: once.
  int (*trials)(int level) = nullptr;
};

struct Suite {
  std::string kind;
  // Options that make a component of this kind small, where it has them under these names.
  Config fitting;
  // Uses a component of these options in a small way, all that is random by the trial, and gives
  // a hash of what came out: equal from instance to instance.
  std::string (*exercise)(Trial& trial, const Config& options) = nullptr;
  std::vector<Test> tests;
};

const Suite* suite_of(std::string_view kind);  // nullptr where there is none
// Of all kinds, then of this one.
std::vector<Test> tests_of(std::string_view kind);

// One function a file.
std::vector<Test> tests_of_any_kind();
Suite backend_suite();
Suite dataset_suite();
Suite environment_suite();
Suite feed_suite();
Suite launcher_suite();
Suite model_suite();
Suite objective_suite();
Suite optimizer_suite();
Suite reward_suite();
Suite schedule_suite();
Suite tokenizer_suite();

}  // namespace lathe::conform
