// How much is measured.
#pragma once

#include <cstdint>

namespace lathe::bench {

struct Sizes {
  std::int64_t batch = 64, length = 1024;         // of training
  std::int64_t loss_batch = 2, loss_length = 64;  // of the ten losses, which a CPU makes too
  int losses = 10;
  int steps = 10;                                    // that are timed
  double seconds = 1;                                // for one op
  std::int64_t alone = 256, some = 128, many = 256;  // tokens a row: batch 1, 64 and 512
  std::int64_t some_rows = 64, many_rows = 512;
  bool quick = false;
};

inline Sizes quick_sizes() {
  return {.batch = 1,
          .length = 64,
          .loss_batch = 1,
          .loss_length = 16,
          .losses = 2,
          .steps = 1,
          .seconds = 0.01,
          .alone = 4,
          .some = 2,
          .many = 2,
          .some_rows = 2,
          .many_rows = 3,
          .quick = true};
}

}  // namespace lathe::bench
