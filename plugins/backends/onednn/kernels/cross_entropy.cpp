#include "cross_entropy.h"

#include <lathe/base/error.h>

#include "dispatch.h"
#include "scratch.h"

namespace lathe::kernels {

LATHE_DECLARE_KERNEL(cross_entropy, CrossEntropy)
LATHE_DECLARE_KERNEL(token_log_probability, TokenLogProbability)
LATHE_DECLARE_KERNEL(token_log_probability_backward, TokenLogProbabilityBackward)

namespace {

template <class Arguments>
void check(const Arguments& a, std::string_view kernel) {
  require_float(a.dtype, kernel);
  if (a.stride < a.vocabulary) {
    fail(kernel, ": row stride ", a.stride, " is below the vocabulary of ", a.vocabulary);
  }
  for (std::size_t row = 0; row < a.rows; ++row) {
    const std::int32_t target = a.targets[row];
    if (target >= 0 && static_cast<std::size_t>(target) >= a.vocabulary) {
      fail(kernel, ": target ", target, " of row ", row, " is not below the vocabulary of ",
           a.vocabulary);
    }
  }
}

void check_padding(std::size_t padded, std::size_t stride, std::string_view kernel) {
  if (padded > stride) {
    fail(kernel, ": padding to column ", padded, " leaves the row stride of ", stride);
  }
}

}  // namespace

void cross_entropy(const CrossEntropy& arguments) {
  check(arguments, "cross-entropy");
  check_padding(arguments.padded, arguments.stride, "cross-entropy");
  LATHE_CALL_KERNEL(cross_entropy, arguments)
}

void token_log_probability(const TokenLogProbability& arguments) {
  check(arguments, "log-probability of tokens");
  LATHE_CALL_KERNEL(token_log_probability, arguments)
}

void token_log_probability_backward(const TokenLogProbabilityBackward& arguments) {
  check(arguments, "log-probability of tokens, backward");
  check_padding(arguments.padded, arguments.stride, "log-probability of tokens, backward");
  LATHE_CALL_KERNEL(token_log_probability_backward, arguments)
}

}  // namespace lathe::kernels
