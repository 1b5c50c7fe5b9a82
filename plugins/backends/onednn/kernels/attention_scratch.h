// Working memory of the attention kernels, apart so that it is compiled for every processor.
#pragma once

#include <cstddef>

namespace lathe::kernels {

// At least `floats` floats, aligned to 64 bytes, of unknown content. They belong to the calling
// thread and live until its next call; the memory grows and is kept, so that steady state allocates
// nothing.
float* attention_scratch(std::size_t floats);

}  // namespace lathe::kernels
