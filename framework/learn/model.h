// Models: from tokens to hidden states, with parameters in flat buffers.
#pragma once

#include <lathe/config/keys.h>
#include <lathe/nn/block.h>

#include <cstdint>
#include <memory>
#include <string>

namespace lathe {

// What a model must fit: known once the data and the tokenizer are.
struct ModelFit {
  std::int64_t vocabulary = 0;  // V
  std::int64_t context = 0;     // T, the longest row
};

// The input of a forward pass, on the backend. N = B T.
struct ModelInput {
  Tensor tokens;  // [N] i32
  Places places;
  PassOptions pass;
};

class Model {
 public:
  static constexpr const char* kind = "model";
  static constexpr int interface_version = 1;

  virtual ~Model();

  // Declares the parameters. Called once, before they are allocated.
  virtual void build(Parameters& parameters, const ModelFit& fit) = 0;
  // The hidden state after the last norm: [N, C] in the dtype of the activations. A function of
  // each token's own piece only, so that padding, batch mix and caching change no bit (CPU).
  virtual Tensor hidden(const ModelInput& input) const = 0;
  // The head's weight [V, C]: logits = hidden head^T.
  virtual const Parameter& head() const = 0;
  // Longest sequence the model can take.
  virtual std::int64_t context() const = 0;
  // An empty cache for generation; an Error for models that cannot generate token by token.
  virtual KeyValueCache make_cache(const std::shared_ptr<Backend>& backend, DType type,
                                   std::int64_t rows, std::int64_t capacity) const = 0;
};

}  // namespace lathe
