// The ranges around ops, counted by name.
#pragma once

#include <map>
#include <string>

namespace lathe::cuda {

namespace emulated {
std::map<std::string, int>& range_counts();
}

class Range {
 public:
  explicit Range(const char* name) { ++emulated::range_counts()[name]; }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

}  // namespace lathe::cuda
