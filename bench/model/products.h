// The matrix products of one GPT-2 124M training step by oneDNN, and nothing else: the yardstick of
// a step. Every weight, gradient and activation has memory of its own, as in a step.
#pragma once

#include <lathe/tensor/dtype.h>

#include <cstdint>
#include <memory>

namespace lathe::bench {

class Gpt2Products {
 public:
  // `type` of activations and weights; dW is f32. The head sees `asked` of the tokens, 0: all.
  Gpt2Products(std::int64_t tokens, DType type, std::int64_t asked = 0);
  ~Gpt2Products();
  void run();  // forward, dX and dW of 48 linear layers and the head
  double flops() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lathe::bench
