// Whether the answers are right.
#pragma once

#include <lathe/tensor/backend.h>

#include <functional>
#include <string>

#include "report.h"
#include "sizes.h"

namespace lathe::bench {

using Take = std::function<void(const Finding&)>;

// Every case of every op, in every dtype and layout, with guard bytes, and the same bits again. The
// backend "cuda" is checked in its deterministic form here and below.
void check_ops(const std::string& backend, const Sizes& sizes, const Take& take);

// Ten losses of GPT-2 124M from the same weights and batches as on the CPU: within 1e-5 of them in
// f32; in bf16 within 2^-8, twice the rounding of the logits that the losses are made of.
void check_losses(const std::string& backend, const Sizes& sizes, const Take& take);

}  // namespace lathe::bench
