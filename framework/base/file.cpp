#include <lathe/base/error.h>
#include <lathe/base/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

namespace lathe {
namespace {

// The value of a call that is repeated while a signal interrupts it.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result == -EINTR) result = call();
  return result;
}

void check(int result, std::string_view operation, const std::string& path) {
  if (result < 0) fail_on_file(operation, path, -result);
}

std::string temporary_sibling(const std::string& path) {
  static std::atomic<unsigned> count{0};
  return cat(path, ".tmp.", ::getpid(), ".", count.fetch_add(1));
}

}  // namespace

std::string reason(int error_number) { return std::generic_category().message(error_number); }

void fail_on_file(std::string_view operation, std::string_view path, int error_number) {
  fail("cannot ", operation, " ", path, ": ", reason(error_number));
}

File::File(FileSystem& files, std::string path, OpenFor purpose)
    : files_(files), path_(std::move(path)) {
  file_ = uninterrupted([&] { return files_.open(path_, purpose); });
  check(file_, purpose == OpenFor::reading ? "open" : "open for writing", path_);
}

File::~File() {
  if (file_ >= 0) files_.close(file_);
}

void File::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::int64_t count = uninterrupted([&] { return files_.write(file_, bytes); });
    if (count == -ENOSPC || count == -EDQUOT) {
      const std::int64_t free = files_.free_space(folder_of(path_));
      fail("cannot write ", path_, ": ", reason(static_cast<int>(-count)), " (", bytes.size(),
           " more bytes needed, ", std::max<std::int64_t>(free, 0),
           " bytes free); make room and start again");
    }
    if (count < 0) fail_on_file("write", path_, static_cast<int>(-count));
    if (count == 0) fail("cannot write ", path_, ": the system took no bytes");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    written_ += static_cast<std::uint64_t>(count);
  }
}

void File::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

std::size_t File::read(std::span<std::byte> into) {
  std::size_t total = 0;
  while (total < into.size()) {
    const std::int64_t count =
        uninterrupted([&] { return files_.read(file_, into.subspan(total)); });
    if (count < 0) fail_on_file("read", path_, static_cast<int>(-count));
    if (count == 0) break;
    total += static_cast<std::size_t>(count);
  }
  return total;
}

void File::sync() {
  check(uninterrupted([&] { return files_.sync(file_); }), "sync", path_);
}

void File::close() {
  // Linux releases the descriptor even when close() is interrupted, so it is never repeated.
  const int result = files_.close(std::exchange(file_, -1));
  if (result != -EINTR) check(result, "close", path_);
}

DurableFile::DurableFile(FileSystem& files, std::string path)
    : files_(files),
      path_(std::move(path)),
      file_(files, temporary_sibling(path_), OpenFor::writing) {}

DurableFile::~DurableFile() {
  if (!renamed_) files_.remove_file(file_.path());
}

void DurableFile::commit() {
  file_.sync();
  file_.close();
  rename_path(files_, file_.path(), path_);
  renamed_ = true;
  sync_folder(files_, folder_of(path_));
}

void write_durably(FileSystem& files, const std::string& path, std::span<const std::byte> bytes) {
  DurableFile file(files, path);
  file.write(bytes);
  file.commit();
}

void write_durably(FileSystem& files, const std::string& path, std::string_view text) {
  write_durably(files, path, std::as_bytes(std::span(text)));
}

void write_durably(const std::string& path, std::string_view text) {
  write_durably(real_files(), path, text);
}

std::string read_file(FileSystem& files, const std::string& path, std::uint64_t limit) {
  File file(files, path, OpenFor::reading);
  std::string text;
  constexpr std::size_t chunk = 1 << 16;
  std::size_t step = chunk;
  for (;;) {
    const std::size_t before = text.size();
    text.resize(before + step);
    const std::size_t count = file.read(std::as_writable_bytes(std::span(text).subspan(before)));
    text.resize(before + count);
    if (text.size() > limit) fail(path, ": longer than the ", limit, " bytes allowed here");
    if (count < step) return text;
    step = std::max(chunk, text.size() / 2);
  }
}

std::string read_file(const std::string& path, std::uint64_t limit) {
  return read_file(real_files(), path, limit);
}

bool exists(FileSystem& files, const std::string& path) {
  FileStatus status;
  const int result = uninterrupted([&] { return files.status(path, status); });
  if (result == -ENOENT || result == -ENOTDIR) return false;
  check(result, "look at", path);
  return true;
}

bool exists(const std::string& path) { return exists(real_files(), path); }

std::vector<std::string> list_folder(FileSystem& files, const std::string& path) {
  std::vector<std::string> names;
  check(uninterrupted([&] {
          names.clear();
          return files.list(path, names);
        }),
        "list folder", path);
  std::sort(names.begin(), names.end());
  return names;
}

void make_folders(FileSystem& files, const std::string& path) {
  if (path.empty() || exists(files, path)) return;
  const std::string parent = folder_of(path);
  if (parent != path) make_folders(files, parent);
  const int result = uninterrupted([&] { return files.make_folder(path); });
  if (result == -EEXIST) return;  // another process was faster
  check(result, "make folder", path);
  sync_folder(files, parent);
}

void remove_all(FileSystem& files, const std::string& path) {
  FileStatus status;
  const int found = uninterrupted([&] { return files.status(path, status); });
  if (found == -ENOENT || found == -ENOTDIR) return;
  check(found, "look at", path);
  if (status.is_folder) {
    for (const std::string& name : list_folder(files, path)) remove_all(files, join(path, name));
    check(uninterrupted([&] { return files.remove_folder(path); }), "remove folder", path);
  } else {
    check(uninterrupted([&] { return files.remove_file(path); }), "remove", path);
  }
}

void rename_path(FileSystem& files, const std::string& from, const std::string& to) {
  const int result = uninterrupted([&] { return files.rename(from, to); });
  if (result < 0) fail("cannot rename ", from, " to ", to, ": ", reason(-result));
}

void sync_folder(FileSystem& files, const std::string& path) {
  check(uninterrupted([&] { return files.sync_folder(path); }), "sync folder", path);
}

std::string join(std::string_view folder, std::string_view name) {
  if (folder.empty()) return std::string(name);
  return folder.back() == '/' ? cat(folder, name) : cat(folder, '/', name);
}

std::string folder_of(std::string_view path) {
  const std::size_t cut = path.rfind('/');
  if (cut == std::string_view::npos) return ".";
  return cut == 0 ? "/" : std::string(path.substr(0, cut));
}

std::string checked_name(std::string_view name, std::string_view origin) {
  const bool bad_character = std::any_of(name.begin(), name.end(), [](char c) {
    return c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (name.empty() || name == "." || name == ".." || name.size() > 255 || bad_character) {
    fail(origin, ": \"", name.substr(0, 80),
         "\" is not a plain file name; expected 1 to 255 bytes without separators or control "
         "characters");
  }
  return std::string(name);
}

}  // namespace lathe
