// A folder of its own for a test that writes, removed at its end.
#pragma once

#include <gtest/gtest.h>
#include <lathe/base/file.h>

#include <cstdlib>
#include <string>

namespace lathe::testing {

class TemporaryFolder {
 public:
  TemporaryFolder() : path_(::testing::TempDir() + "lathe_test_XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("no temporary folder");
  }
  ~TemporaryFolder() { remove_all(real_files(), path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return join(path_, name); }

 private:
  std::string path_;
};

// The text of the Error that `call` throws; fails the test if it throws none.
template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const std::exception& problem) {
    return problem.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

}  // namespace lathe::testing
