// What the machine can do right now, and times that are only kept while it does.
//
// A virtual machine may be throttled for seconds without notice. So a sample counts only when a
// short run of fused multiply-adds on all threads, just before and just after it, reaches 90 % of
// the best rate seen in this process, and when no other process took a core meanwhile.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace lathe::bench {

// Rates of all OpenMP threads together, by about 2.5 ms of independent multiply-adds: GFLOP/s.
double fma_rate();       // f32, at the widest vectors the processor has
double bf16_dot_rate();  // VDPBF16PS; 0 where the processor lacks it

// Payload of one pass over 256 MB: GB/s. The update reads and writes every element (a = k a).
double read_bandwidth();
double read_bandwidth(const std::vector<std::span<const float>>& pieces);  // of any memory
double update_bandwidth();

// Runs work between two probes: whether its times count.
bool passes(const std::function<void()>& work);

struct Timed {
  double seconds;    // median of the kept samples; of all, when none could be kept
  std::size_t kept;  // how many passed the gate; below the wanted number on a busy machine
};

// Runs `work` until `wanted` samples passed the gate or the time limit is over.
Timed gated(const std::function<void()>& work, std::size_t wanted = 7, double limit_seconds = 8);

struct TimedPair {
  Timed first;
  Timed second;
  double ratio;  // median of first / second over rounds in which both passed (else over all)
};

// Alternates the two, so that slow changes of the machine fall on both.
TimedPair gated_pair(const std::function<void()>& first, const std::function<void()>& second,
                     std::size_t wanted = 7, double limit_seconds = 12);

}  // namespace lathe::bench
