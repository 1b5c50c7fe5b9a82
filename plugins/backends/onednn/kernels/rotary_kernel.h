// What the rotary kernel gets beyond the caller's arguments.
#pragma once

#include "rotary.h"

namespace lathe::kernels {

struct RotaryTask {
  Rotary arguments;    // rotated is set
  const float* table;  // [positions][2][rotated / 2]: cosines, sines
};

}  // namespace lathe::kernels
