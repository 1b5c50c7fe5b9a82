// The Transformer block (Vaswani et al., 2017), pre-norm as in GPT-2 or post-norm as in BERT,
// shared by causal and bidirectional models.
#pragma once

#include <lathe/nn/layers.h>

#include <string>
#include <vector>

namespace lathe {

// Keys and values of the tokens seen so far, of one layer: [B, S, G, D] each, in any strides.
struct LayerCache {
  Tensor keys;
  Tensor values;
};

// The cache of a whole model: decoding adds to it, so that each token is computed once.
struct KeyValueCache {
  std::vector<LayerCache> layers;
  Tensor lengths;  // [B] i32: tokens already in the cache, per row
};

// Where the tokens of a pass stand. N = B T.
struct Places {
  std::int64_t rows = 0;    // B
  std::int64_t length = 0;  // T
  Tensor positions;         // [N] i32, within each piece
  Tensor segments;          // [B, T] i32, or none
  KeyValueCache* cache = nullptr;
};

// What a block keeps for the backward pass, from all to least. What is not kept is made again
// there, by the same ops on the same operands: losses and gradients have the same bits.
enum class Recompute : std::uint8_t {
  none,
  gelu,   // not the activation of the feed-forward part (or its gate), [N, F]
  norm,   // nor the results of the norms, 2 [N, C]
  block,  // nothing but the block's input, [N, C]
};
inline constexpr const char* recompute_meaning =
    "what the backward pass makes again instead of keeping it: nothing, activations, these and "
    "norms, or whole blocks; saves memory and changes no bit";
// "none", "gelu", "norm" or "block".
Recompute recompute_of(const std::string& name);

struct BlockOptions {
  std::int64_t width = 0;      // C
  std::int64_t heads = 0;      // H
  std::int64_t key_heads = 0;  // G; H for ordinary attention
  std::int64_t hidden = 0;     // F
  bool causal = true;
  bool bias = true;
  bool post_norm = false;  // the norms come after the residual sums (Vaswani et al., 2017; BERT)
  Norm norm = Norm::layer;
  double epsilon = 1e-5;
  Activation activation = Activation::gelu_tanh;
  bool gated = false;       // SwiGLU: silu(x W1) * (x W2) in place of the activation
  double rotary_base = 0;   // 0: no rotary positions
  float dropout = 0;        // after attention, after the feed-forward part, and of the weights
  double deviation = 0.02;  // of the initial weights
  double residual_deviation = 0.02;  // of the two projections that write to the residual stream
  Recompute recompute = Recompute::none;
};

class Block {
 public:
  Block(Parameters& parameters, const std::string& name, int index, const BlockOptions& options);

  // x [N, C] to [N, C]. Pre-norm: y = x + attention(norm(x)), y + feed_forward(norm(y)).
  // Post-norm: y = norm(x + attention(x)), norm(y + feed_forward(y)).
  Tensor operator()(const Tensor& x, const Places& places, const PassOptions& pass) const;

 private:
  Tensor run(const Tensor& x, const Places& places, const PassOptions& pass) const;
  Tensor attend(const Tensor& normed, const Tensor& x, const Places& places,
                const PassOptions& pass) const;
  Tensor feed_forward(const Tensor& normed, const Tensor& x, const PassOptions& pass) const;
  RandomStream stream(const PassOptions& pass, int which) const;

  BlockOptions with_;
  int index_;
  Normalisation attention_norm_;
  Linear qkv_;
  Linear projection_;
  Normalisation feed_norm_;
  Linear up_;
  Linear down_;
};

}  // namespace lathe
