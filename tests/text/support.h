// What the tests of this room share: a folder that goes away, the shared data, the text of errors.
#pragma once

#include <gtest/gtest.h>
#include <lathe/base/error.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace lathe {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "lathe_text_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) fail("cannot make ", name);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }

  const std::filesystem::path& path() const { return path_; }
  std::string put(const std::string& name, std::string_view text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

template <class Call>
std::string error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

inline std::string data_folder() {
  const char* folder = std::getenv("LATHE_DATA");
  return folder == nullptr ? std::string() : std::string(folder);
}

}  // namespace lathe

#define SKIP_WITHOUT_DATA() \
  if (::lathe::data_folder().empty()) GTEST_SKIP() << "skipped: no data"
#define EXPECT_IN(part, text) \
  EXPECT_NE(std::string(text).find(part), std::string::npos) << "in: " << (text)
