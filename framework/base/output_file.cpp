#include <lathe/base/output_file.h>

#include <filesystem>

namespace lathe {
namespace {
namespace filesystem = std::filesystem;

// Where the links lead, be there a file or not yet.
filesystem::path target_of(filesystem::path path) {
  constexpr int most_links = 40;  // as in Linux
  std::error_code trouble;
  for (int links = 0; links < most_links && filesystem::is_symlink(path, trouble); ++links) {
    const filesystem::path next = filesystem::read_symlink(path, trouble);
    if (trouble) break;
    path = path.parent_path() / next;  // an absolute one stands for itself
  }
  return path;
}

// Below /dev and /proc names stand for what is open already.
bool is_system_folder(const filesystem::path& folder) {
  std::error_code trouble;
  const filesystem::path whole = filesystem::canonical(folder.empty() ? "." : folder, trouble);
  const auto begins_with = [&](const char* name) {
    return std::distance(whole.begin(), whole.end()) > 1 && *std::next(whole.begin()) == name;
  };
  return !trouble && (begins_with("dev") || begins_with("proc"));
}

bool can_be_replaced(const filesystem::path& path) {
  std::error_code trouble;
  const filesystem::file_status status = filesystem::status(path, trouble);
  if (status.type() == filesystem::file_type::not_found) return true;
  return filesystem::is_regular_file(status) && !is_system_folder(path.parent_path());
}
}  // namespace

OutputFile::OutputFile(const std::string& path) {
  if (can_be_replaced(path)) {
    whole_.emplace(real_files(), target_of(path).string());
  } else {
    // Appending, since a shell may have redirected /dev/stdout to a file that has grown already.
    direct_.emplace(real_files(), path, OpenFor::appending);
  }
}

void OutputFile::write(std::string_view text) {
  whole_ ? whole_->write(text) : direct_->write(text);
}

void OutputFile::commit() { whole_ ? whole_->commit() : direct_->close(); }

void write_output(const std::string& path, std::string_view text) {
  OutputFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace lathe
