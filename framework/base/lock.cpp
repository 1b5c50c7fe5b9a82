#include <lathe/base/error.h>
#include <lathe/base/file.h>
#include <lathe/base/lock.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace lathe {

FolderLock::FolderLock(const std::filesystem::path& folder, const char* what) {
  const std::string path = (folder / "lock").string();
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0) fail_on_file("open", path, errno);
  if (flock(file_, LOCK_EX | LOCK_NB) == 0) return;
  close(file_);
  fail(folder.string(), ": another process works on this ", what,
       "; wait for it, or stop it first");
}

FolderLock::~FolderLock() { close(file_); }

}  // namespace lathe
