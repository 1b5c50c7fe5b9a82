// The machine's own file system, and mapped files.
#include <dirent.h>
#include <fcntl.h>
#include <lathe/base/error.h>
#include <lathe/base/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

namespace lathe {
namespace {

template <class T>
T or_errno(T result) {
  return result < 0 ? static_cast<T>(-errno) : result;
}

int flags_for(OpenFor purpose) {
  switch (purpose) {
    case OpenFor::reading:
      return O_RDONLY | O_CLOEXEC;
    case OpenFor::writing:
      return O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    case OpenFor::appending:
      return O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
  }
  return O_RDONLY;
}

class RealFiles final : public FileSystem {
 public:
  int open(const std::string& path, OpenFor purpose) override {
    return or_errno(::open(path.c_str(), flags_for(purpose), 0666));
  }
  std::int64_t read(int file, std::span<std::byte> into) override {
    return or_errno(std::int64_t{::read(file, into.data(), into.size())});
  }
  std::int64_t write(int file, std::span<const std::byte> bytes) override {
    return or_errno(std::int64_t{::write(file, bytes.data(), bytes.size())});
  }
  int sync(int file) override { return or_errno(::fsync(file)); }
  int close(int file) override { return or_errno(::close(file)); }
  int truncate(const std::string& path, std::uint64_t size) override {
    return or_errno(::truncate(path.c_str(), static_cast<off_t>(size)));
  }
  int rename(const std::string& from, const std::string& to) override {
    return or_errno(::rename(from.c_str(), to.c_str()));
  }
  int remove_file(const std::string& path) override { return or_errno(::unlink(path.c_str())); }
  int make_folder(const std::string& path) override {
    return or_errno(::mkdir(path.c_str(), 0777));
  }
  int remove_folder(const std::string& path) override { return or_errno(::rmdir(path.c_str())); }
  int sync_folder(const std::string& path) override {
    const int folder = or_errno(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder < 0) return folder;
    const int result = or_errno(::fsync(folder));
    ::close(folder);
    return result;
  }
  int list(const std::string& path, std::vector<std::string>& names) override {
    DIR* const folder = ::opendir(path.c_str());
    if (folder == nullptr) return -errno;
    errno = 0;
    while (const dirent* const entry = ::readdir(folder)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    const int result = -errno;
    ::closedir(folder);
    return result;
  }
  int status(const std::string& path, FileStatus& status) override {
    struct stat found {};
    if (::lstat(path.c_str(), &found) < 0) return -errno;
    status.is_folder = S_ISDIR(found.st_mode);
    status.is_link = S_ISLNK(found.st_mode);
    status.size = static_cast<std::uint64_t>(std::max<off_t>(found.st_size, 0));
    return 0;
  }
  std::int64_t free_space(const std::string& path) override {
    struct statvfs found {};
    if (::statvfs(path.c_str(), &found) < 0) return -errno;
    std::int64_t bytes = 0;
    const bool huge = __builtin_mul_overflow(found.f_bavail, found.f_frsize, &bytes);
    return huge ? std::numeric_limits<std::int64_t>::max() : bytes;
  }
};

}  // namespace

FileSystem::~FileSystem() = default;

FileSystem& real_files() {
  static RealFiles files;
  return files;
}

MappedFile::MappedFile(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail_on_file("open", path, errno);
  struct stat found {};
  const bool looked = ::fstat(file, &found) == 0;
  const int trouble = errno;
  void* data = nullptr;
  if (looked && S_ISREG(found.st_mode) && found.st_size > 0) {
    data =
        ::mmap(nullptr, static_cast<std::size_t>(found.st_size), PROT_READ, MAP_PRIVATE, file, 0);
  }
  const int map_trouble = errno;
  ::close(file);
  if (!looked) fail_on_file("look at", path, trouble);
  if (!S_ISREG(found.st_mode)) fail("cannot read ", path, ": not a regular file");
  if (data == MAP_FAILED) fail_on_file("map", path, map_trouble);
  bytes_ = {static_cast<const std::byte*>(data), static_cast<std::size_t>(found.st_size)};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace lathe
