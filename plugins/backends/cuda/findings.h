// Indices that point outside of a table: a kernel cannot throw, so it notes the first one that it
// finds, and the host raises it when it next waits for the device.
#pragma once

namespace lathe::cuda {

enum class Place : int { gather = 1, scatter_add, token, position, cache };

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
    case Place::cache:
      return "kv_append";
  }
  return "?";
}

}  // namespace lathe::cuda
