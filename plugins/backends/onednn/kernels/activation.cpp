#include "activation.h"

#include "activation_kernel.h"
#include "dispatch.h"
#include "scratch.h"

namespace lathe::kernels {

LATHE_DECLARE_KERNEL(activation_forward, ActivationForward)
LATHE_DECLARE_KERNEL(activation_backward, ActivationBackwardTask)
LATHE_DECLARE_KERNEL(swiglu_forward, SwigluForward)
LATHE_DECLARE_KERNEL(swiglu_backward, SwigluBackward)

void activation_forward(const ActivationForward& arguments) {
  require_float(arguments.dtype, "activation");
  LATHE_CALL_KERNEL(activation_forward, arguments)
}

void activation_backward(const ActivationBackward& arguments) {
  require_float(arguments.dtype, "activation backward");
  ActivationBackwardTask task{arguments, nullptr};
  if (arguments.dbias != nullptr) {
    task.partials = scratch(arguments.width * blocks_of(arguments.rows, row_block));
  }
  LATHE_CALL_KERNEL(activation_backward, task)
}

void swiglu_forward(const SwigluForward& arguments) {
  require_float(arguments.dtype, "swiglu");
  LATHE_CALL_KERNEL(swiglu_forward, arguments)
}

void swiglu_backward(const SwigluBackward& arguments) {
  require_float(arguments.dtype, "swiglu backward");
  LATHE_CALL_KERNEL(swiglu_backward, arguments)
}

}  // namespace lathe::kernels
