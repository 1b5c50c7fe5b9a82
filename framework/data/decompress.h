// Compressed files in memory: gzip through zlib, xz through liblzma.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lathe {

// What `bytes` hold, by the ending of the name: .gz, .xz, else the bytes themselves. Files of
// several members, one after the other, are read whole. Throws Error, naming the file, where the
// data are damaged or cut off, and where more than `limit` bytes would come out.
std::string decompressed(std::string bytes, std::string_view name,
                         std::uint64_t limit = std::uint64_t{1} << 36);

}  // namespace lathe
