// Copies of the fixture plugins in a folder of their own.
#pragma once

#include <base/temporary_folder.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace lathe::testing {

class PluginFolder {
 public:
  PluginFolder() {
    std::filesystem::permissions(folder_.path(), std::filesystem::perms::owner_all);
  }
  std::filesystem::path path() const { return std::filesystem::canonical(folder_.path()); }

  // The fixture under another name, without its sidecar.
  std::filesystem::path copy(const std::string& fixture, const std::string& as) const {
    const std::filesystem::path file = path() / as;
    std::filesystem::copy_file(std::filesystem::path(LATHE_TEST_PLUGINS) / fixture, file,
                               std::filesystem::copy_options::overwrite_existing);
    return file;
  }

 private:
  TemporaryFolder folder_;
};

// Whether the file is in the memory of this process.
inline bool is_mapped(const std::filesystem::path& file) {
  std::ifstream maps("/proc/self/maps");
  const std::string text{std::istreambuf_iterator<char>(maps), {}};
  return text.find(file.string()) != std::string::npos;
}

}  // namespace lathe::testing
