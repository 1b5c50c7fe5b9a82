// Text files as datasets read them: UTF-8, plain or packed (.gz, .xz), one file or a folder.
#pragma once

#include <lathe/config/config.h>
#include <lathe/data/dataset.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct TextFile {
  DataFile file;     // as it lies on the disk: packed bytes have the hash
  std::string text;  // UTF-8 without a byte order mark
};

// One file, or all *.txt, *.txt.gz and *.txt.xz of a folder (not of the folders in it), sorted by
// the bytes of their names. Throws Error where nothing is there, and where a text is not UTF-8:
// file, line and byte offset of the first bad byte.
TextFile read_text_file(const std::filesystem::path& path);
std::vector<TextFile> read_text_files(const std::filesystem::path& file_or_folder);

// The path in option `key` of a component's table, relative to `folder`. Throws Error with the
// place of the option if nothing is there.
std::filesystem::path input_path(const Config& options, std::string_view key,
                                 const std::filesystem::path& folder);

}  // namespace lathe
