#include "softmax.h"

#include "dispatch.h"
#include "scratch.h"

namespace lathe::kernels {

LATHE_DECLARE_KERNEL(softmax_forward, SoftmaxForward)
LATHE_DECLARE_KERNEL(softmax_backward, SoftmaxBackward)

void softmax_forward(const SoftmaxForward& arguments) {
  require_float(arguments.dtype, "softmax");
  LATHE_CALL_KERNEL(softmax_forward, arguments)
}

void softmax_backward(const SoftmaxBackward& arguments) {
  require_float(arguments.dtype, "softmax backward");
  LATHE_CALL_KERNEL(softmax_backward, arguments)
}

}  // namespace lathe::kernels
