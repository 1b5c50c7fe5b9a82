// The ops that models and objectives are written in. Each checks its operands, asks the backend,
// and notes its derivative on the tape (if one records and an operand is on it).
#pragma once

#include <lathe/tensor/tape.h>

#include <utility>
#include <vector>

namespace lathe {

// ---- Coarse ops; shapes and formulas at the argument structs in backend.h

// activation(x w^T + bias) + residual; x [N, I], weight [O, I], bias [O] or none, residual [N, O]
// or none. The recipe of its result is the activation (without a residual; relu's result is kept in
// any case, for its slope). x may have a recipe.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              Activation activation = Activation::none, const Tensor& residual = {},
              Keep keep = Keep::result);

// Layer norm (Ba et al., 2016) or RMS norm over the last axis of x [N, C].
Tensor norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Norm kind, double epsilon,
            Keep keep = Keep::result);

// Norm of x + residual; gives that sum as well: {sum, normalised}.
std::pair<Tensor, Tensor> add_norm(const Tensor& x, const Tensor& residual, const Tensor& weight,
                                   const Tensor& bias, Norm kind, double epsilon);

struct AttentionOptions {
  double scale = 0;  // 0: 1 / sqrt(D)
  bool causal = true;
  Tensor offset;     // [B] i32
  Tensor q_segment;  // [B, T] i32
  Tensor k_segment;  // [B, S] i32
  float dropout = 0;
  RandomStream random;
};
// q [B, T, H, D], k and v [B, S, G, D]; gives [B, T, H, D].
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v,
                 const AttentionOptions& options);

// tokens [N] i32, positions [N] i32 or none; gives [N, C] in the table's dtype.
Tensor embedding(const Tensor& tokens, const Tensor& token_table, const Tensor& positions = {},
                 const Tensor& position_table = {});

struct HeadLossOptions {
  double smoothing = 0;
  double z_loss = 0;
};
struct HeadLoss {
  Tensor sum;   // [1] wide: sum of weights[n] loss[n]
  Tensor loss;  // [N] wide, unweighted
  Tensor lse;   // [N] wide
};
// LM head and cross-entropy: the loss itself. Its gradient is computed in the same pass, so `sum`
// must be what backward() is called on; put any factor into the weights.
HeadLoss head_loss(const Tensor& x, const Tensor& weight, const Tensor& targets,
                   const Tensor& weights, const HeadLossOptions& options = {});

struct HeadTokens {
  Tensor log_probability;  // [N] wide
  Tensor lse;              // [N] wide, no gradient
  Tensor entropy;          // [N] wide
};
// LM head per token: log p(target), entropy of the softmax of logits / temperature.
HeadTokens head_tokens(const Tensor& x, const Tensor& weight, const Tensor& targets,
                       double temperature = 1);

// Rotary positions on x [N, H, D].
Tensor rotary(const Tensor& x, const Tensor& positions, double base);

// silu(first half) * second half of x [N, 2F].
Tensor swiglu(const Tensor& x, Keep keep = Keep::result);

// Inverted dropout; the identity for probability 0.
Tensor dropout(const Tensor& x, float probability, const RandomStream& random);

// ---- Fine-grained ops; operands of binary ops broadcast by NumPy's rule

Tensor add(const Tensor& a, const Tensor& b);
Tensor subtract(const Tensor& a, const Tensor& b);
Tensor multiply(const Tensor& a, const Tensor& b);
Tensor divide(const Tensor& a, const Tensor& b);
Tensor maximum(const Tensor& a, const Tensor& b);  // ties: the gradient goes to a
Tensor minimum(const Tensor& a, const Tensor& b);
Tensor scale(const Tensor& x, double factor);
Tensor shift(const Tensor& x, double amount);

Tensor negate(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor square(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor abs(const Tensor& x);
Tensor silu(const Tensor& x);
Tensor gelu_tanh(const Tensor& x);
Tensor clamp(const Tensor& x, double low, double high);

// condition is 0 or not 0, of any dtype; no gradient reaches it.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor less(const Tensor& a, const Tensor& b);  // 1 or 0, no gradient

Tensor sum(const Tensor& x);            // over everything: [1]
Tensor sum(const Tensor& x, int axis);  // the axis stays, with extent 1
Tensor mean(const Tensor& x);
Tensor mean(const Tensor& x, int axis);
Tensor maximum(const Tensor& x, int axis);  // the gradient is shared evenly among ties

Tensor matmul(const Tensor& a, const Tensor& b);  // [..., M, K] [..., K, N]
Tensor softmax(const Tensor& x);                  // over the last axis
Tensor log_softmax(const Tensor& x);
Tensor gather(const Tensor& table, const Tensor& index);  // rows
// y[n, 0] = x[n, index[n]], x [N, C], index [N] i32
Tensor pick(const Tensor& x, const Tensor& index);

Tensor cast(const Tensor& x, DType dtype);
Tensor contiguous(const Tensor& x);
Tensor slice(const Tensor& x, int axis, std::int64_t begin, std::int64_t end);
Tensor transpose(const Tensor& x, int a, int b);
Tensor concat(const std::vector<Tensor>& parts, int axis);
// Windows of the last axis that share memory with x, and their gradients with x's: no copies.
std::vector<Tensor> split(const Tensor& x, const std::vector<std::int64_t>& widths);

}  // namespace lathe
