// What the activation kernels get beyond the caller's arguments.
#pragma once

#include "activation.h"
#include "blocks.h"

namespace lathe::kernels {

struct ActivationBackwardTask {
  ActivationBackward arguments;
  float* partials;  // [blocks of rows][width]; null when dbias is not wanted
};

}  // namespace lathe::kernels
