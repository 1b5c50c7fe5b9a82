// Which instruction set the kernels of this backend run with: found once, the same for a whole run.
#pragma once

#include <cstdint>
#include <string_view>

namespace lathe::kernels {

// Each level includes the ones before it. avx2 is x86-64-v3 (AVX2, FMA, BMI2), avx512 is x86-64-v4
// (AVX-512 F, BW, CD, DQ, VL), avx512_bf16 adds the dot product of bf16 pairs.
enum class Isa : std::uint8_t { avx2, avx512, avx512_bf16 };

// Whether this processor can run code compiled for `isa`.
bool supported(Isa isa);

// The highest level this processor supports; the environment variable LATHE_ISA (avx2, avx512,
// avx512_bf16) lowers it, for tests. Read once, on the first call. Throws Error when the processor
// lacks avx2, or when LATHE_ISA names an unknown or unsupported level.
Isa best_isa();

std::string_view name_of(Isa isa);

}  // namespace lathe::kernels
