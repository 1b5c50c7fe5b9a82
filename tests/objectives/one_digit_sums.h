// What the tests of policies and values of texts write: sums of two digits, four tokens each. The
// table of the environment stays open for more.
#pragma once

#include <string>

namespace lathe::testing {

inline std::string one_digit_sums(const char* more) {
  const char* const head = R"(
seed = 3
[data]
use = "sums"
digits = 1
train = 60
validation = 20
[tokenizer]
use = "chars"
specials = true
[environment]
use = "completion"
tokens = 4
)";
  return std::string(head) + more;
}

}  // namespace lathe::testing
