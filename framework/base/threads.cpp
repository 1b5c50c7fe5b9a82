#include <lathe/base/error.h>
#include <lathe/base/threads.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <mutex>

namespace lathe {
namespace {

std::atomic<int> chosen{0};

int threads_by_default() {
  static const int count = std::max(1, omp_get_max_threads());
  return count;
}

}  // namespace

void set_threads(int count) {
  if (count < 0) fail("threads: ", count, " is not a number of threads; expected 0 (all) or more");
  threads_by_default();  // before OpenMP's own answer changes
  chosen = count;
  omp_set_num_threads(threads());  // for libraries that ask OpenMP
}

int threads() {
  const int count = chosen;
  return count > 0 ? count : threads_by_default();
}

namespace detail {

void run_parallel(std::int64_t count, std::int64_t grain, const void* body,
                  void (*call)(const void* body, std::int64_t begin, std::int64_t end)) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  const std::int64_t pieces = count / grain + (count % grain != 0 ? 1 : 0);
  const int team = static_cast<int>(std::min<std::int64_t>(threads(), pieces));

  std::exception_ptr first;
  std::int64_t first_piece = std::numeric_limits<std::int64_t>::max();
  std::mutex mutex;
  const auto run_piece = [&](std::int64_t piece) {
    const std::int64_t begin = piece * grain;
    try {
      call(body, begin, begin + std::min(grain, count - begin));
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (piece < first_piece) {
        first_piece = piece;
        first = std::current_exception();
      }
    }
  };

  if (team == 1 || omp_in_parallel() != 0) {
    for (std::int64_t piece = 0; piece < pieces; ++piece) run_piece(piece);
  } else {
#pragma omp parallel for num_threads(team) schedule(dynamic, 1)
    for (std::int64_t piece = 0; piece < pieces; ++piece) run_piece(piece);
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace detail
}  // namespace lathe
