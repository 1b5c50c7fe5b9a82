// Indices that point outside of a table: a kernel cannot throw, so it notes the first one that it
// finds, and the host raises it when it next waits for the device.
#pragma once

#include <device/block.h>

#include "runtime.h"

namespace lathe::cuda {

enum class Place : int { gather = 1, scatter_add, token, position };

inline const char* name_of(Place place) {
  switch (place) {
    case Place::gather:
      return "gather";
    case Place::scatter_add:
      return "scatter_add";
    case Place::token:
      return "embedding, tokens";
    case Place::position:
      return "embedding, positions";
  }
  return "?";
}

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
