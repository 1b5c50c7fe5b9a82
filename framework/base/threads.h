// Parallel loops over index ranges, on OpenMP, which this header does not show.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace lathe {

// How many threads parallel_for may use, the caller included; from OMP_NUM_THREADS or the number
// of processors until it is set. set_threads(0) returns to that.
void set_threads(int count);
int threads();

namespace detail {
void run_parallel(std::int64_t count, std::int64_t grain, const void* body,
                  void (*call)(const void* body, std::int64_t begin, std::int64_t end));
}

// Calls body(begin, end) for consecutive ranges that cover 0..count-1. The ranges are cut at
// multiples of `grain` (at least 1), never by the number of threads, so that a body which sums
// inside its range gives the same bits at any thread count. Small or nested loops run in the
// caller. The first exception (by begin) is thrown to the caller after all ranges have ended.
template <class Body>
void parallel_for(std::int64_t count, std::int64_t grain, const Body& body) {
  detail::run_parallel(count, grain, std::addressof(body),
                       [](const void* erased, std::int64_t begin, std::int64_t end) {
                         (*static_cast<const Body*>(erased))(begin, end);
                       });
}

}  // namespace lathe
