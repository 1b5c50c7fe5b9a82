#include <lathe/base/memory.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>

namespace lathe {
namespace {
// The number after a word of a file of lines like "MemTotal:  16307840 kB" or "inactive_file 4096".
std::optional<std::uint64_t> number_after(const std::string& file, const std::string& word) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t number = 0;
    if (words >> name && name == word && words >> number) return number;
  }
  return std::nullopt;
}

// The number that a file consists of; none for "max" or where there is no such file.
std::optional<std::uint64_t> number_in(const std::string& file) {
  std::uint64_t number = 0;
  if (std::ifstream(file) >> number) return number;
  return std::nullopt;
}

// What a version of control groups calls its files.
struct Names {
  const char* limit;
  const char* usage;
  const char* droppable;  // in memory.stat
};
constexpr Names version_1{"/memory.limit_in_bytes", "/memory.usage_in_bytes",
                          "total_inactive_file"};
constexpr Names version_2{"/memory.max", "/memory.current", "inactive_file"};

// A wider group above may be full of others: each that has a limit counts.
void limit_by(MemoryLeft& left, const std::string& folder, const Names& names) {
  const auto limit = number_in(folder + names.limit);
  if (!limit) return;
  const std::uint64_t used = number_in(folder + names.usage).value_or(0);
  const std::uint64_t droppable =
      number_after(folder + "/memory.stat", names.droppable).value_or(0);
  const std::uint64_t held = used - std::min(used, droppable);
  left.total = std::min(left.total, *limit);  // version 1 writes "none" as a huge number
  left.available = std::min(left.available, *limit - std::min(*limit, held));
}

// The group and all above it. Inside a container its path may mean nothing: then its folders are
// missing, and the container's own limit is at the top.
void limit_by_all(MemoryLeft& left, const std::string& top, std::string group, const Names& names) {
  while (!group.empty() && group != "/") {
    limit_by(left, top + group, names);
    group.erase(group.rfind('/'));
  }
  limit_by(left, top, names);
}
}  // namespace

MemoryLeft memory_left(const std::string& root) {
  MemoryLeft left;
  const std::string info = root + "/proc/meminfo";
  left.total = number_after(info, "MemTotal:").value_or(0) * 1024;
  left.available = number_after(info, "MemAvailable:").value_or(0) * 1024;
  if (left.total == 0) return left;
  // Lines of number:controllers:path; version 2 has the number 0 and names no controllers.
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    if (group.empty() || group.front() != '/') continue;
    if (controllers == ",,") limit_by_all(left, root + "/sys/fs/cgroup", group, version_2);
    if (controllers.find(",memory,") != std::string::npos) {
      limit_by_all(left, root + "/sys/fs/cgroup/memory", group, version_1);
    }
  }
  return left;
}

}  // namespace lathe
