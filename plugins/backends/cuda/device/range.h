// A named range of the host's time around an op, for Nsight Systems. Costs nothing where no tool
// listens.
#pragma once

#include <nvtx3/nvToolsExt.h>

namespace lathe::cuda {

class Range {
 public:
  explicit Range(const char* name) { nvtxRangePushA(name); }
  ~Range() { nvtxRangePop(); }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

}  // namespace lathe::cuda
