#include "elementwise.h"

#include <cmath>

#include "dispatch.h"
#include "elementwise_kernel.h"
#include "scratch.h"

namespace lathe::kernels {

LATHE_DECLARE_KERNEL(add, Add)
LATHE_DECLARE_KERNEL(cast, Cast)
LATHE_DECLARE_KERNEL(fill, Fill)
LATHE_DECLARE_KERNEL(column_sum, ColumnSumTask)
LATHE_DECLARE_KERNEL(sum_of_squares, SquareSumTask)

void add(const Add& arguments) {
  require_float(arguments.dtype, "add");
  LATHE_CALL_KERNEL(add, arguments)
}

void cast(const Cast& arguments) {
  require_float(arguments.from, "cast");
  require_float(arguments.to, "cast");
  LATHE_CALL_KERNEL(cast, arguments)
}

void fill(const Fill& arguments) {
  require_float(arguments.dtype, "fill");
  LATHE_CALL_KERNEL(fill, arguments)
}

void column_sum(const ColumnSum& arguments) {
  require_float(arguments.dtype, "column sum");
  const ColumnSumTask task{arguments,
                           scratch(arguments.width * blocks_of(arguments.rows, row_block))};
  LATHE_CALL_KERNEL(column_sum, task)
}

SquareSum sum_of_squares(const float* x, std::size_t count) {
  const std::size_t blocks = blocks_of(count, flat_block);
  const SquareSumTask task{x, count, double_scratch(blocks)};
  LATHE_CALL_KERNEL(sum_of_squares, task)
  double sum = 0;
  for (std::size_t block = 0; block < blocks; ++block) sum += task.partials[block];
  // Squares of finite floats stay below 1.2e77, so nothing but an infinity or a NaN can spoil it.
  return {sum, std::isfinite(sum)};
}

}  // namespace lathe::kernels
