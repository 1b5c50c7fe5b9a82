// Models: from tokens or observations to hidden states, logits and values, with parameters in flat
// buffers. The table of a tabular agent, the MLP and the Transformer are models alike.
#pragma once

#include <lathe/config/keys.h>
#include <lathe/data/space.h>
#include <lathe/nn/block.h>

#include <cstdint>
#include <memory>
#include <string>

namespace lathe {

// What a model must fit: known once the data and the environment are.
struct ModelFit {
  std::int64_t vocabulary = 0;  // V, or A: how many actions there are
  std::int64_t context = 0;     // T, the longest row
  Space observations = {};      // of the environment; of kind tokens where there is only text
  Space actions = {};
  bool values = false;  // the objective asks for values()
};

// The input of a forward pass, on the backend. N = B T.
struct ModelInput {
  Tensor tokens;        // [N] i32: tokens, or the states of a discrete environment
  Tensor observations;  // [N, O] wide: of a box; else none
  Places places;
  PassOptions pass;
  Tensor types;  // [N] i32 kind of each token, for models that tell kinds apart; none: all 0
};

class Model {
 public:
  static constexpr const char* kind = "model";
  static constexpr int interface_version = 2;

  virtual ~Model();

  // Declares the parameters. Called once, before they are allocated.
  virtual void build(Parameters& parameters, const ModelFit& fit) = 0;
  // The hidden state after the last norm: [N, C] in the dtype of the activations. A function of
  // each token's own piece only, so that padding, batch mix and caching change no bit (CPU).
  virtual Tensor hidden(const ModelInput& input) const = 0;
  // Whether a place sees only itself and what is before it, or both sides.
  virtual bool causal() const { return true; }
  // The head's weight [V, C]: logits = hidden head^T. An Error for models of another form, which
  // override the three functions below.
  virtual const Parameter& head() const;
  // Preferences for the next token or action, or action values: [N, V]. Means of the actions [N, A]
  // where these are numbers. Any selection of rows of `hidden` may be asked for.
  virtual Tensor logits(const Tensor& hidden) const;
  // log p(target), lse and entropy of the softmax of logits / temperature: [N] each, wide.
  virtual HeadTokens score(const Tensor& hidden, const Tensor& targets, double temperature) const;
  // Cross-entropy at the targets, weighted; see head_loss.
  virtual HeadLoss cross_entropy(const Tensor& hidden, const Tensor& targets, const Tensor& weights,
                                 const HeadLossOptions& options = {}) const;

  // V(s) at each place, [N] wide. An Error when the model was built without ModelFit::values.
  virtual Tensor values(const ModelInput& input, const Tensor& hidden) const;
  // Gaussian policies over box actions: log-density of the actions [N, A] and entropy, [N] each
  // (lse is empty); the standard deviations [A]. Errors for other models.
  virtual HeadTokens score_moves(const Tensor& hidden, const Tensor& moves) const;
  virtual Tensor deviations() const;

  // Longest sequence the model can take; 0 where every place stands for itself.
  virtual std::int64_t context() const;
  // An empty cache for generation; an Error for models that cannot generate token by token.
  virtual KeyValueCache make_cache(const std::shared_ptr<Backend>& backend, DType type,
                                   std::int64_t rows, std::int64_t capacity) const;
};

}  // namespace lathe
