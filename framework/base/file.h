// Files with every system call behind an interface, so that faults can be tested, and durable
// writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

enum class OpenFor {
  reading,
  writing,    // made or emptied
  appending,  // made if absent
};

struct FileStatus {
  bool is_folder = false;
  bool is_link = false;  // symbolic; never followed by status()
  std::uint64_t size = 0;
};

// The system calls this framework writes with, as thin as they are: each returns a value >= 0 or
// -errno, may be interrupted (-EINTR), and may write less than asked. `File` below makes that safe.
class FileSystem {
 public:
  virtual ~FileSystem();

  virtual int open(const std::string& path, OpenFor purpose) = 0;
  virtual std::int64_t read(int file, std::span<std::byte> into) = 0;
  virtual std::int64_t write(int file, std::span<const std::byte> bytes) = 0;
  virtual int sync(int file) = 0;
  virtual int close(int file) = 0;
  virtual int truncate(const std::string& path, std::uint64_t size) = 0;
  virtual int rename(const std::string& from, const std::string& to) = 0;
  virtual int remove_file(const std::string& path) = 0;
  virtual int make_folder(const std::string& path) = 0;
  virtual int remove_folder(const std::string& path) = 0;
  virtual int sync_folder(const std::string& path) = 0;
  virtual int list(const std::string& path, std::vector<std::string>& names) = 0;
  virtual int status(const std::string& path, FileStatus& status) = 0;
  virtual std::int64_t free_space(const std::string& path) = 0;  // bytes for an ordinary user
};

// The machine's own.
FileSystem& real_files();

// Where a producer of bytes puts them, piece by piece.
using ByteSink = std::function<void(std::span<const std::byte>)>;

// One open file. Interrupted calls are repeated and short writes continued; every failure is an
// Error that names the path, the operation, the system's reason and, when the disk is full, the
// bytes needed and free.
class File {
 public:
  File(FileSystem& files, std::string path, OpenFor purpose);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  // Fills as much of `into` as the file still holds; less than asked means its end.
  std::size_t read(std::span<std::byte> into);
  // To the disk itself. A failed sync must not be repeated: the kernel may have marked the lost
  // pages clean, so a second success proves nothing (Rebello et al., ATC 2020).
  void sync();
  void close();

  const std::string& path() const { return path_; }
  std::uint64_t written() const { return written_; }

 private:
  FileSystem& files_;
  std::string path_;
  int file_ = -1;
  std::uint64_t written_ = 0;
};

// A file that appears under its name only when it is whole: bytes go to a sibling
// `NAME.tmp.<pid>.<n>`; commit() syncs it, renames it over `path` and syncs the folder. Without a
// commit, or when anything fails before the rename, the sibling is removed and `path` is as it was.
class DurableFile {
 public:
  DurableFile(FileSystem& files, std::string path);
  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  void write(std::span<const std::byte> bytes) { file_.write(bytes); }
  void write(std::string_view text) { file_.write(text); }
  std::uint64_t written() const { return file_.written(); }
  void commit();

 private:
  FileSystem& files_;
  std::string path_;
  File file_;
  bool renamed_ = false;
};

void write_durably(FileSystem& files, const std::string& path, std::span<const std::byte> bytes);
void write_durably(FileSystem& files, const std::string& path, std::string_view text);
void write_durably(const std::string& path, std::string_view text);

// The whole file; an Error if it is absent or longer than `limit`.
std::string read_file(FileSystem& files, const std::string& path, std::uint64_t limit = 1ull << 40);
std::string read_file(const std::string& path, std::uint64_t limit = 1ull << 40);

bool exists(FileSystem& files, const std::string& path);
bool exists(const std::string& path);
// The names in a folder, sorted, without "." and "..".
std::vector<std::string> list_folder(FileSystem& files, const std::string& path);
// The folder and its missing parents, each made durable; no error if it is there.
void make_folders(FileSystem& files, const std::string& path);
// A file, or a folder with all in it; links are removed, never followed. No error if absent.
void remove_all(FileSystem& files, const std::string& path);

// Each with its Error; a rename is durable only after the folder is synced.
void rename_path(FileSystem& files, const std::string& from, const std::string& to);
void sync_folder(FileSystem& files, const std::string& path);

// folder + "/" + name.
std::string join(std::string_view folder, std::string_view name);
// All before the last separator; "." where there is none.
std::string folder_of(std::string_view path);

// A name that came out of a file, for use as one path component: returned as it is, or an Error
// (naming `origin`) if it is empty, "." or "..", longer than 255 bytes, or holds a separator, a
// backslash or a control character.
std::string checked_name(std::string_view name, std::string_view origin);

// The text for an errno, without the thread trouble of strerror.
std::string reason(int error_number);
// Throws the Error for a failed call: "cannot OPERATION PATH: reason".
[[noreturn]] void fail_on_file(std::string_view operation, std::string_view path, int error_number);

// A file mapped read-only. The size is taken once, from the open file. Files that our own writers
// replace stay intact under their mapping, because they are renamed over and never rewritten.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace lathe
