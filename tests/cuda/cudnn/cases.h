// Shapes of attention that cuDNN is asked about.
#pragma once

#include <string>
#include <vector>

#include "cudnn_attention.h"

namespace lathe::cuda::cudnn {

struct Example {
  std::string name;
  AttentionShape shape;
};

// q, k and v packed in one projection, [B, T, (H + 2 G) D], when T = S.
inline AttentionShape packed(std::int64_t B, std::int64_t T, std::int64_t S, std::int64_t H,
                             std::int64_t G, std::int64_t D, bool causal) {
  AttentionShape shape;
  shape.B = B;
  shape.T = T;
  shape.S = S;
  shape.H = H;
  shape.G = G;
  shape.D = D;
  shape.causal = causal;
  const std::int64_t row = (H + 2 * G) * D;
  shape.q = shape.dq = {T * row, D, row};
  shape.k = shape.v = shape.dk = shape.dv = {S * row, D, row};
  shape.y = shape.dy = {T * H * D, D, H * D};
  return shape;
}

inline std::vector<Example> examples() {
  return {{"gpt2", packed(64, 1024, 1024, 12, 12, 64, true)},
          {"full", packed(64, 1024, 1024, 12, 12, 64, false)},
          {"shared_keys", packed(8, 1024, 1024, 12, 4, 64, true)},
          {"wide", packed(8, 256, 256, 8, 8, 128, true)},
          {"narrow_odd", packed(8, 100, 100, 8, 8, 32, true)},
          {"cross", packed(4, 300, 700, 8, 8, 64, false)},
          {"width_60", packed(64, 1024, 1024, 12, 12, 60, true)},
          {"width_512", packed(64, 1024, 1024, 12, 12, 512, true)}};
}

}  // namespace lathe::cuda::cudnn
