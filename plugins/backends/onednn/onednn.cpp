// backend "onednn": trains and generates on the CPU, with oneDNN and the vectorised kernels of this
// plugin (AVX2, AVX-512 or AVX-512 with bf16, chosen at run time). The same inputs give the same
// bits at any number of threads.
//
//   [backend]
//   use = "onednn"
#include "onednn.h"

#include <lathe/plugin/plugin.h>

namespace lathe {
LATHE_PLUGIN(Backend, OnednnBackend, "onednn", "1.0.0")
}  // namespace lathe
