// How fast it is.
#pragma once

#include "checks.h"

namespace lathe::bench {

// Products, attention and AdamW at the sizes of GPT-2 124M.
void measure_ops(Backend& backend, const std::string& name, const Sizes& sizes, const Take& take);
// Tokens a second of a whole training step in bf16, and its share of the device's peak.
void measure_training(const std::string& backend, const Sizes& sizes, const Take& take);
// Tokens a second of decoding for one row, for some, and of rollouts.
void measure_writing(const std::string& backend, const Sizes& sizes, const Take& take);

}  // namespace lathe::bench
