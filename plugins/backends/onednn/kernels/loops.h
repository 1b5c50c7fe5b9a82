// Loops over a row in steps of sixteen lanes, and the thresholds and blocks of parallel loops.
// For *_kernel.cpp only.
#pragma once

#include <omp.h>

#include "blocks.h"
#include "vector.h"

namespace lathe::kernels::LATHE_ISA {

// Stands for a count of sixteen that the compiler knows.
struct whole {};

LATHE_INLINE vfloat load(const float* from, whole) { return load(from); }
LATHE_INLINE vfloat load(const bf16* from, whole) { return load(from); }
LATHE_INLINE void store(float* to, vfloat x, whole) { store(to, x); }
LATHE_INLINE void store(bf16* to, vfloat x, whole) { store(to, x); }
// x in the lanes that exist, `other` in the rest of a tail.
LATHE_INLINE vfloat keep(vfloat x, whole, vfloat) { return x; }
LATHE_INLINE vfloat keep(vfloat x, std::size_t count, vfloat other) {
  return select(mask_first(count), x, other);
}

// body(index of the first lane, whole or number of lanes) over [begin, end).
template <class Body>
static inline __attribute__((always_inline)) void each_vector(std::size_t begin, std::size_t end,
                                                              const Body& body) {
  std::size_t i = begin;
  for (; i + lanes <= end; i += lanes) body(i, whole{});
  if (i < end) body(i, end - i);
}

// body(index, whole or number of lanes, which of four accumulators) over [0, end): four sums at a
// time hide the latency of the additions.
template <class Body>
static inline __attribute__((always_inline)) void each_vector_of_four(std::size_t end,
                                                                      const Body& body) {
  std::size_t i = 0;
  for (; i + 4 * lanes <= end; i += 4 * lanes) {
    body(i, whole{}, 0);
    body(i + lanes, whole{}, 1);
    body(i + 2 * lanes, whole{}, 2);
    body(i + 3 * lanes, whole{}, 3);
  }
  for (; i + lanes <= end; i += lanes) body(i, whole{}, 0);
  if (i < end) body(i, end - i, 0);
}

// body(block) for all blocks, over threads where the `work` elements that they hold pay for waking
// them. OpenMP makes a team and calls the system to wake it even where it is to be of one.
template <class Body>
static inline __attribute__((always_inline)) void each_block(std::size_t blocks, std::size_t work,
                                                             const Body& body) {
  if (work < parallel_from || omp_get_max_threads() == 1) {
    for (std::size_t block = 0; block < blocks; ++block) body(block);
    return;
  }
#pragma omp parallel for schedule(static)
  for (std::size_t block = 0; block < blocks; ++block) body(block);
}

// body(index, whole or number of lanes) over a flat buffer, in parallel by fixed blocks; the thread
// that did a block calls after_block().
template <class Body, class After>
static inline __attribute__((always_inline)) void each_vector_parallel(std::size_t count,
                                                                       const Body& body,
                                                                       const After& after_block) {
  const std::size_t blocks = blocks_of(count, flat_block);
  each_block(blocks, count, [&](std::size_t block) {
    const std::size_t begin = block * flat_block;
    each_vector(begin, begin + flat_block < count ? begin + flat_block : count, body);
    after_block();
  });
}
template <class Body>
static inline __attribute__((always_inline)) void each_vector_parallel(std::size_t count,
                                                                       const Body& body) {
  each_vector_parallel(count, body, [] {});
}

// Four accumulators and the order in which they become one.
struct four {
  vfloat at[4];
};
LATHE_INLINE four all_four(float x) {
  return {{broadcast(x), broadcast(x), broadcast(x), broadcast(x)}};
}
LATHE_INLINE float sum(const four& x) { return sum((x.at[0] + x.at[1]) + (x.at[2] + x.at[3])); }
LATHE_INLINE float largest(const four& x) {
  return largest(max(max(x.at[0], x.at[1]), max(x.at[2], x.at[3])));
}

// out += the partial rows in the order of their blocks; a partial lies every `stride` floats.
[[maybe_unused]] static void add_partials(float* out, const float* partials, std::size_t blocks,
                                          std::size_t stride, std::size_t width) {
  const std::size_t stripes = blocks_of(width, 16 * lanes);
  each_block(stripes, blocks * width, [&](std::size_t stripe) {
    const std::size_t begin = stripe * 16 * lanes;
    const std::size_t end = begin + 16 * lanes < width ? begin + 16 * lanes : width;
    each_vector(begin, end, [&](std::size_t i, auto n) {
      vfloat total = load(partials + i, n);
      for (std::size_t block = 1; block < blocks; ++block) {
        total = total + load(partials + block * stride + i, n);
      }
      store(out + i, load(out + i, n) + total, n);
    });
  });
}

}  // namespace lathe::kernels::LATHE_ISA
