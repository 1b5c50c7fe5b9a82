// A folder that one process works in at a time.
#pragma once

#include <filesystem>

namespace lathe {

// Holds the file `lock` of the folder, which must exist. The lock ends with the process, so that
// none is left behind by a crash.
class FolderLock {
 public:
  // An Error when another process holds it; `what` names the folder's content: "run".
  FolderLock(const std::filesystem::path& folder, const char* what);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int file_ = -1;
};

}  // namespace lathe
