// What the composed coarse ops are written in: fine-grained ops that return their result.
//
// A composed op casts its operands to the wide type, computes there, and casts once on the way
// out. It is meant to be right and short; its cost is the temporaries.
#pragma once

#include <lathe/tensor/scratch.h>

namespace lathe::composed {

DType wide_of(DType type);  // f64 beside f64, else f32

Scratch cast(Backend& backend, const View& x, DType type);  // a dense copy
Scratch wide(Backend& backend, const View& x);
Scratch constant(Backend& backend, DType type, double value);        // [1]
Scratch counting(Backend& backend, DType type, std::int64_t count);  // 0, 1, 2, ...

Scratch apply(Backend& backend, Unary op, const View& x);
Scratch apply(Backend& backend, Binary op, const View& a, const View& b);  // broadcast
Scratch apply(Backend& backend, Binary op, const View& a, double b);
Scratch apply(Backend& backend, Binary op, double a, const View& b);
Scratch choose(Backend& backend, const View& condition, double a, const View& b);
Scratch reduced(Backend& backend, Reduce op, const View& x, int axis);  // the axis stays, with 1
Scratch product(Backend& backend, const View& a, const View& b);        // matmul

// Overwrites a target or adds to it, with one rounding.
void put(Backend& backend, const View& value, const Target& target);

}  // namespace lathe::composed
