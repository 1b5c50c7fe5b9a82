#include "norm.h"

#include "dispatch.h"
#include "norm_kernel.h"
#include "scratch.h"

namespace lathe::kernels {

LATHE_DECLARE_KERNEL(norm_forward, NormForward)
LATHE_DECLARE_KERNEL(norm_backward, NormBackwardTask)

void norm_forward(const NormForward& arguments) {
  require_float(arguments.dtype, "norm");
  LATHE_CALL_KERNEL(norm_forward, arguments)
}

void norm_backward(const NormBackward& arguments) {
  require_float(arguments.dtype, "norm backward");
  NormBackwardTask task{arguments, nullptr};
  if (arguments.dweight != nullptr || arguments.dbias != nullptr) {
    task.partials = scratch(2 * arguments.width * blocks_of(arguments.rows, row_block));
  }
  LATHE_CALL_KERNEL(norm_backward, task)
}

}  // namespace lathe::kernels
