#include <gtest/gtest.h>
#include <lathe/base/error.h>
#include <lathe/base/threads.h>

#include <atomic>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "temporary_folder.h"

namespace lathe {
namespace {

TEST(Threads, CanBeSetAndGivenBack) {
  const int before = threads();
  set_threads(3);
  EXPECT_EQ(threads(), 3);
  set_threads(0);
  EXPECT_EQ(threads(), before);
  EXPECT_THROW(set_threads(-1), Error);
}

TEST(ParallelFor, CoversEachIndexOnceInFixedRanges) {
  for (const int team : {1, 2, 4}) {
    set_threads(team);
    std::mutex mutex;
    std::set<std::pair<std::int64_t, std::int64_t>> ranges;
    parallel_for(10, 4, [&](std::int64_t begin, std::int64_t end) {
      const std::lock_guard lock(mutex);
      ranges.insert({begin, end});
    });
    EXPECT_EQ(ranges, (std::set<std::pair<std::int64_t, std::int64_t>>{{0, 4}, {4, 8}, {8, 10}}));
  }
  set_threads(0);
  int calls = 0;
  parallel_for(0, 4, [&](std::int64_t, std::int64_t) { ++calls; });
  EXPECT_EQ(calls, 0);
}

TEST(ParallelFor, CarriesTheFirstExceptionAndFinishesTheRest) {
  set_threads(4);
  std::atomic<int> done{0};
  const std::string text = testing::error_of([&] {
    parallel_for(100, 1, [&](std::int64_t begin, std::int64_t) {
      ++done;
      if (begin == 90 || begin == 20) fail("index ", begin);
    });
  });
  set_threads(0);
  EXPECT_EQ(text, "index 20");
  EXPECT_EQ(done, 100);
}

TEST(ParallelFor, Nests) {
  set_threads(4);
  std::atomic<std::int64_t> sum{0};
  parallel_for(8, 1, [&](std::int64_t i, std::int64_t) {
    parallel_for(8, 1, [&](std::int64_t k, std::int64_t) { sum += i * 8 + k; });
  });
  set_threads(0);
  EXPECT_EQ(sum, 64 * 63 / 2);
}

}  // namespace
}  // namespace lathe
