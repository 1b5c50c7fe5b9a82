// How much memory this process may still use.
#pragma once

#include <cstdint>
#include <string>

namespace lathe {

struct MemoryLeft {
  std::uint64_t total = 0;      // bytes; 0: not known
  std::uint64_t available = 0;  // of these
};

// Of the machine, or less where a control group (Linux, version 1 or 2) that this process belongs
// to, or one above it, sets a limit, as containers and batch systems do. Pages of files that the
// kernel would drop first count as available. `root` is the folder that holds proc and sys.
MemoryLeft memory_left(const std::string& root = "");

}  // namespace lathe
