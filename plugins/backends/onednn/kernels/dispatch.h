// How a kernel that was compiled once per instruction set is declared and called.
#pragma once

#include "isa.h"

// Declares `void name(const Arguments&)` in the namespace of every instruction set. Use it in
// namespace lathe::kernels, after the declaration of Arguments, in the baseline .cpp only.
#define LATHE_DECLARE_KERNEL(name, Arguments) \
  namespace avx2 {                            \
  void name(const Arguments&);                \
  }                                           \
  namespace avx512 {                          \
  void name(const Arguments&);                \
  }                                           \
  namespace avx512_bf16 {                     \
  void name(const Arguments&);                \
  }

// Calls the kernel of the best instruction set.
#define LATHE_CALL_KERNEL(name, arguments) \
  switch (best_isa()) {                    \
    case Isa::avx2:                        \
      avx2::name(arguments);               \
      break;                               \
    case Isa::avx512:                      \
      avx512::name(arguments);             \
      break;                               \
    case Isa::avx512_bf16:                 \
      avx512_bf16::name(arguments);        \
      break;                               \
  }
