#include <lathe/base/error.h>
#include <lathe/base/file.h>
#include <lathe/base/hash.h>
#include <lathe/data/decompress.h>
#include <lathe/data/text_files.h>
#include <lathe/text/utf8.h>

#include <algorithm>
#include <utility>

namespace lathe {

namespace {

std::string hexadecimal(char byte) {
  static constexpr std::string_view digits = "0123456789ABCDEF";
  const auto value = static_cast<unsigned char>(byte);
  return {digits[value / 16], digits[value % 16]};
}

void demand_utf8(std::string_view text, const std::string& name) {
  const std::size_t at = find_invalid_utf8(text);
  if (at == std::string_view::npos) return;
  const auto line =
      1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  fail(name, ":", line, ": not UTF-8 at byte ", at, " (0x", hexadecimal(text[at]),
       "): convert the file first, for example with: iconv -f latin1 -t utf-8 FILE > NEW");
}

bool is_text_name(std::string_view name) {
  return name.ends_with(".txt") || name.ends_with(".txt.gz") || name.ends_with(".txt.xz");
}

}  // namespace

TextFile read_text_file(const std::filesystem::path& path) {
  const std::string name = path.string();
  std::string bytes = read_file(name);
  TextFile read{{path, sha256(bytes), bytes.size()}, ""};
  read.text = decompressed(std::move(bytes), name);
  demand_utf8(read.text, name);
  if (read.text.starts_with("\xEF\xBB\xBF")) read.text.erase(0, 3);
  return read;
}

std::vector<TextFile> read_text_files(const std::filesystem::path& file_or_folder) {
  std::vector<TextFile> read;
  if (!std::filesystem::is_directory(file_or_folder)) {
    read.push_back(read_text_file(file_or_folder));
    return read;
  }
  for (const std::string& name : list_folder(real_files(), file_or_folder.string())) {
    if (is_text_name(name)) read.push_back(read_text_file(file_or_folder / name));
  }
  if (read.empty()) {
    fail(file_or_folder.string(), ": no file in this folder ends in .txt, .txt.gz or .txt.xz");
  }
  return read;
}

std::filesystem::path input_path(const Config& options, std::string_view key,
                                 const std::filesystem::path& folder) {
  const Config value = options.at(key);
  const std::filesystem::path path = folder / value.as<std::string>();
  if (!std::filesystem::exists(path)) {
    fail(value.where(), ": ", key, " = ", value.to_text(), ": there is no ", path.string(),
         " (a relative path starts at ", folder.empty() ? "the working directory" : folder.string(),
         ")");
  }
  return path;
}

}  // namespace lathe
