// What the norm kernels get beyond the caller's arguments.
#pragma once

#include "blocks.h"
#include "norm.h"

namespace lathe::kernels {

struct NormBackwardTask {
  NormBackward arguments;
  float* partials;  // [blocks of rows][2][width]: dweight, dbias; null when neither is wanted
};

}  // namespace lathe::kernels
