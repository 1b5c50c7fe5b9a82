// backend "cuda": trains and generates on one NVIDIA GPU (compute capability 8.0 or newer).
// Matrix products by cuBLASLt, the rest by the kernels of this plugin; bf16 trains with weights,
// moments and weight gradients in f32. Results agree with the CPU's within rounding.
//
//   [backend]
//   use = "cuda"
//   device = 0
#include "cuda.h"

#include <lathe/plugin/plugin.h>

namespace lathe {
LATHE_PLUGIN(Backend, CudaBackend, "cuda", "1.0.0")
}  // namespace lathe
