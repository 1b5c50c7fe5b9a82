#include "isa.h"

#include <lathe/base/error.h>

#include <cstdlib>

namespace lathe::kernels {

bool supported(Isa isa) {
  // The builtin also asks the operating system whether it saves the wide registers.
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  switch (isa) {
    case Isa::avx2:
      return avx2;
    case Isa::avx512:
      return avx512;
    case Isa::avx512_bf16:
      return avx512 && __builtin_cpu_supports("avx512bf16");
  }
  return false;
}

std::string_view name_of(Isa isa) {
  switch (isa) {
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::avx512_bf16:
      return "avx512_bf16";
  }
  return "?";
}

namespace {

constexpr Isa levels[] = {Isa::avx512_bf16, Isa::avx512, Isa::avx2};

Isa find_isa() {
  if (!supported(Isa::avx2)) {
    fail(
        "the onednn backend needs a processor with AVX2, FMA and BMI2 (x86-64-v3), which this one "
        "lacks; use the reference backend here");
  }
  if (const char* wanted = std::getenv("LATHE_ISA"); wanted != nullptr && *wanted != '\0') {
    for (const Isa isa : levels) {
      if (name_of(isa) != wanted) continue;
      if (!supported(isa)) {
        fail("LATHE_ISA=", wanted, " asks for instructions that this processor lacks; unset it");
      }
      return isa;
    }
    fail("LATHE_ISA=", wanted, " is none of avx2, avx512, avx512_bf16");
  }
  for (const Isa isa : levels) {
    if (supported(isa)) return isa;
  }
  return Isa::avx2;
}

}  // namespace

Isa best_isa() {
  static const Isa isa = find_isa();
  return isa;
}

}  // namespace lathe::kernels
