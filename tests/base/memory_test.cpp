// The memory left, read from folders like a kernel's proc and sys.
#include <gtest/gtest.h>
#include <lathe/base/memory.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "temporary_folder.h"

namespace lathe {
namespace {
constexpr std::uint64_t kilobyte = 1024;

// A machine of 1,000 kB with 600 kB available.
class MemoryLeftOf : public ::testing::Test {
 protected:
  MemoryLeftOf() {
    write("proc/meminfo",
          "MemTotal:        1000 kB\nMemFree:          100 kB\nMemAvailable:     600 kB\n");
  }
  void write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  void expect(std::uint64_t total, std::uint64_t available) const {
    const MemoryLeft left = memory_left(folder_.path());
    EXPECT_EQ(left.total, total * kilobyte);
    EXPECT_EQ(left.available, available * kilobyte);
  }
  static std::string kilobytes(std::uint64_t count) {
    return std::to_string(count * kilobyte) + "\n";
  }
  const testing::TemporaryFolder folder_;
};

TEST_F(MemoryLeftOf, AMachineWithoutGroups) { expect(1000, 600); }

TEST_F(MemoryLeftOf, NothingKnown) {
  write("proc/meminfo", "");
  expect(0, 0);
}

TEST_F(MemoryLeftOf, AGroupOfVersion2) {
  write("proc/self/cgroup", "0::/job/step\n");
  write("sys/fs/cgroup/job/step/memory.max", kilobytes(400));
  write("sys/fs/cgroup/job/step/memory.current", kilobytes(350));
  write("sys/fs/cgroup/job/step/memory.stat",
        "anon 1\ninactive_file " + kilobytes(100) + "active_file 7\n");
  expect(400, 150);
}

TEST_F(MemoryLeftOf, TheTightestGroupAbove) {
  write("proc/self/cgroup", "0::/job/step\n");
  write("sys/fs/cgroup/job/step/memory.max", "max\n");
  write("sys/fs/cgroup/job/memory.max", kilobytes(500));
  write("sys/fs/cgroup/job/memory.current", kilobytes(420));
  expect(500, 80);
}

TEST_F(MemoryLeftOf, AWiderGroupAboveThatIsFullOfOthers) {
  write("proc/self/cgroup", "0::/job/step\n");
  write("sys/fs/cgroup/job/step/memory.max", kilobytes(400));
  write("sys/fs/cgroup/job/step/memory.current", kilobytes(10));
  write("sys/fs/cgroup/job/memory.max", kilobytes(500));
  write("sys/fs/cgroup/job/memory.current", kilobytes(470));
  expect(400, 30);
}

TEST_F(MemoryLeftOf, AGroupWithMoreRoomThanTheMachine) {
  write("proc/self/cgroup", "0::/job\n");
  write("sys/fs/cgroup/job/memory.max", kilobytes(900));
  write("sys/fs/cgroup/job/memory.current", kilobytes(10));
  expect(900, 600);
}

TEST_F(MemoryLeftOf, AGroupBeyondItsLimit) {
  write("proc/self/cgroup", "0::/job\n");
  write("sys/fs/cgroup/job/memory.max", kilobytes(300));
  write("sys/fs/cgroup/job/memory.current", kilobytes(310));
  expect(300, 0);
}

// A container of version 1 without a namespace of groups sees its own group at the top.
TEST_F(MemoryLeftOf, AGroupOfVersion1WhosePathIsOutside) {
  write("proc/self/cgroup", "5:cpu,cpuacct:/docker/12\n4:hugetlb,memory:/docker/12\n0::/\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", kilobytes(200));
  write("sys/fs/cgroup/memory/memory.usage_in_bytes", kilobytes(90));
  write("sys/fs/cgroup/memory/memory.stat",
        "inactive_file 0\ntotal_inactive_file " + kilobytes(20));
  expect(200, 130);
}

TEST_F(MemoryLeftOf, Version1WithoutALimit) {
  write("proc/self/cgroup", "4:memory:/\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("sys/fs/cgroup/memory/memory.usage_in_bytes", kilobytes(90));
  expect(1000, 600);
}

TEST_F(MemoryLeftOf, LinesOfOtherKinds) {
  write("proc/self/cgroup", "\nnonsense\n4:memory:\n0::relative\n");
  write("sys/fs/cgroup/memory.max", kilobytes(5));
  expect(1000, 600);
}

}  // namespace
}  // namespace lathe
