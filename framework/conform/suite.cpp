#include <lathe/conform/suite.h>

#include <algorithm>

namespace lathe::conform {
namespace {
const std::vector<Suite>& suites() {
  static const std::vector<Suite> all = {backend_suite(),   dataset_suite(),   environment_suite(),
                                         feed_suite(),      launcher_suite(),  model_suite(),
                                         objective_suite(), optimizer_suite(), reward_suite(),
                                         schedule_suite(),  tokenizer_suite()};
  return all;
}
}  // namespace

const Suite* suite_of(std::string_view kind) {
  const auto found = std::find_if(suites().begin(), suites().end(),
                                  [&](const Suite& suite) { return suite.kind == kind; });
  return found == suites().end() ? nullptr : &*found;
}

std::vector<Test> tests_of(std::string_view kind) {
  std::vector<Test> tests = tests_of_any_kind();
  if (const Suite* suite = suite_of(kind)) {
    tests.insert(tests.end(), suite->tests.begin(), suite->tests.end());
  }
  return tests;
}

}  // namespace lathe::conform
