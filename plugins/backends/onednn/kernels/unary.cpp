#include "unary.h"

#include "dispatch.h"
#include "scratch.h"

namespace lathe::kernels {

LATHE_DECLARE_KERNEL(unary, UnaryForward)

void unary(const UnaryForward& arguments) {
  require_float(arguments.dtype, "unary");
  LATHE_CALL_KERNEL(unary, arguments)
}

}  // namespace lathe::kernels
