// The kernels' side of findings.h.
#pragma once

#include <device/block.h>

#include <cstdint>

#include "findings.h"
#include "runtime.h"

namespace lathe::cuda {

// The row that an index names, or -1 for "none", which an index outside of the table becomes too.
LATHE_DEVICE std::int64_t checked_row(const Block& block, Finding* finding, Place place,
                                      std::int32_t index, std::int64_t position,
                                      std::int64_t rows) {
  if (index < rows) return index < 0 ? -1 : index;
  if (block.atomic_compare_and_swap(&finding->what, 0, static_cast<int>(place)) == 0) {
    finding->index = index;
    finding->position = position;
    finding->rows = rows;
  }
  return -1;
}

}  // namespace lathe::cuda
