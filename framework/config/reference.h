// ${...} in the strings of a configuration. Private to the room.
#pragma once

#include <lathe/config/config.h>

namespace lathe {

// The configuration with every ${...} replaced:
//   "${a.b}"             the value of the key a.b, whatever its type
//   "run-${a.b}"         its text inside a string
//   "${train.steps * 2}" + - * / and brackets over numbers; integers stay integers, except that a
//                        division with a remainder gives a number; `-` in key names needs quotes:
//                        ${"my-key".x}
//   "${env:NAME}"        an environment variable, read like a value on the command line
//   "$${"                the characters ${
// A value keeps the place where its reference is written. Cycles, missing keys and unset variables
// are Errors.
Config resolve_references(const Config& root);

}  // namespace lathe
