// A file that a user has named for output.
#pragma once

#include <lathe/base/file.h>

#include <optional>
#include <string>
#include <string_view>

namespace lathe {

// A regular file, or a new one, appears whole or not at all (DurableFile); through a symbolic link
// it is the link's target that is replaced. What else may stand there (a device, a pipe, a folder
// of open files such as /dev/stdout) is written to as it is, piece by piece.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);

  void write(std::string_view text);
  void commit();

 private:
  std::optional<DurableFile> whole_;
  std::optional<File> direct_;
};

void write_output(const std::string& path, std::string_view text);

}  // namespace lathe
