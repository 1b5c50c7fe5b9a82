// The interface of a compute backend: memory, the fine-grained ops that let any forward() run, and
// the coarse ops in which the time of a training step goes.
//
// Rules for every op:
//  - Views are checked by the caller (ops.h); a backend may rely on matching shapes and dtypes.
//  - Floating operands are f32, bf16 or (reference backend) f64. Accumulation is in f32 or better.
//    Norm weights, biases, statistics, log-sum-exps, per-row losses and gradients of parameters are
//    of the "wide" type: f64 beside f64 operands, else f32. All other floating views of one op
//    share a dtype, except in copy; matmul may write, and scatter_add may add to, the wide type.
//  - A Target says whether the result overwrites (gradients of inputs) or adds (gradients of
//    parameters, and inputs used more than once).
//  - The same inputs give the same bits at any number of threads.
//  - A coarse op's default implementation is composed of fine-grained ops (composed_*.cpp). It lets
//    a backend begin small, and it is the check of the fused version.
#pragma once

#include <lathe/base/random.h>
#include <lathe/tensor/sampling.h>
#include <lathe/tensor/shape.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lathe {

enum class Activation : std::uint8_t { none, gelu_tanh, gelu_erf, relu, silu };
enum class Norm : std::uint8_t { layer, rms };
enum class Unary : std::uint8_t {
  negate,
  exp,
  log,
  sqrt,
  rsqrt,
  square,
  tanh,
  sigmoid,
  relu,
  abs,
  gelu_tanh,
  gelu_erf,
  silu
};
enum class Binary : std::uint8_t {
  add,
  subtract,
  multiply,
  divide,
  maximum,
  minimum,
  power,
  less,
  equal
};
enum class Reduce : std::uint8_t { sum, maximum };

// Where a gradient goes. No view: nobody wants it.
struct Target {
  View view;
  bool add = false;

  explicit operator bool() const { return static_cast<bool>(view); }
};

// y = activation(before) + residual, before = x w^T + bias rounded to the dtype of y: whether
// `before` is asked for or not, so that y can be made again from it, bit by bit.
struct LinearArguments {
  View x;         // [N, I]
  View weight;    // [O, I]
  View bias;      // [O] wide, or none
  View residual;  // [N, O], or none
  Activation activation = Activation::none;
  View before;  // [N, O] out; given when the activation has a backward to come
  View y;       // [N, O] out
};
struct LinearGradients {
  View x;       // [N, I]
  View weight;  // [O, I]
  Activation activation = Activation::none;
  View before;     // [N, O], with an activation
  View dy;         // [N, O]
  Target dx;       // [N, I]
  Target dweight;  // [O, I] wide
  Target dbias;    // [O] wide
};

// sum = x + residual; y = (sum - mean) * rstd * weight + bias over the last axis.
// Norm::rms leaves out mean and bias (Zhang and Sennrich, 2019).
struct NormArguments {
  Norm kind = Norm::layer;
  double epsilon = 1e-5;
  View x;         // [N, C]
  View residual;  // [N, C], or none
  View weight;    // [C] wide
  View bias;      // [C] wide, or none
  View sum;       // [N, C] out, with a residual
  View y;         // [N, C] out
  View mean;      // [N] wide out
  View rstd;      // [N] wide out
};
struct NormGradients {
  Norm kind = Norm::layer;
  View sum;        // [N, C]: what was normalised
  View weight;     // [C] wide
  View mean;       // [N] wide
  View rstd;       // [N] wide
  View dy;         // [N, C]
  View dsum;       // [N, C]: the gradient that reaches the sum on its other way, or none
  Target dx;       // [N, C]
  Target dweight;  // [C] wide
  Target dbias;    // [C] wide
};

// y = softmax(scale q k^T + mask) v, never holding [T, S] for a whole head batch.
struct AttentionArguments {
  View q;  // [B, T, H, D]; any strides, D values together
  View k;  // [B, S, G, D], H a multiple of G: head h reads key head h / (H / G)
  View v;  // [B, S, G, D]
  View y;  // [B, T, H, D] out
  // [B, H, T] wide out: log of the sum of exp of the scaled scores. A query that sees no key gives
  // y = 0 and lse = -infinity.
  View lse;
  double scale = 1;
  bool causal = true;  // query t of row b sees the keys 0 to offset[b] + t
  View offset;         // [B] i32: keys before the first query, or none for 0
  View q_segment;      // [B, T] i32, or none: only equal segments attend; negative: padding
  View k_segment;      // [B, S] i32
  float dropout = 0;   // of the weights; element ((b H + h) T + t) S + s of the stream decides
  RandomStream random;
};
struct AttentionGradients {
  AttentionArguments forward;  // with y and lse
  View dy;                     // [B, T, H, D]
  Target dq, dk, dv;           // like q, k, v
};

// y[n] = token_table[token[n]] + position_table[position[n]]; a token below 0 gives zeros and
// takes no gradient.
struct EmbeddingArguments {
  View tokens;          // [N] i32
  View positions;       // [N] i32, or none
  View token_table;     // [V, C]
  View position_table;  // [P, C], or none
  View y;               // [N, C] out
};
struct EmbeddingGradients {
  View tokens;
  View positions;
  View dy;                // [N, C]
  Target token_table;     // [V, C] wide
  Target position_table;  // [P, C] wide
};

// The LM head and the cross-entropy in one, without ever holding [N, V].
//   logits = x w^T; nll = lse - logits[target]
//   loss = (1 - smoothing) nll + smoothing mean_v(lse - logits[v]) + z_loss lse^2
// With dx or dweight given, the gradient of sum_n weights[n] loss[n] goes there in the same pass.
struct HeadLossArguments {
  View x;        // [N, C]
  View weight;   // [V, C]
  View targets;  // [N] i32; below 0: the row does not count
  View weights;  // [N] wide
  double smoothing = 0;
  double z_loss = 0;
  View loss;  // [N] wide out, unweighted; 0 where the row does not count
  View lse;   // [N] wide out; 0 where the row does not count
  Target dx;
  Target dweight;  // wide
};
// The per-token form, for RL: log p(target), log-sum-exp and entropy of softmax(logits / T).
// A row with target < 0 does not count: its three results are 0 and it gives no gradient.
struct HeadTokensArguments {
  View x;
  View weight;
  View targets;
  double temperature = 1;
  View log_probability;  // [N] wide out
  View lse;              // [N] wide out
  View entropy;          // [N] wide out, or none
};
struct HeadTokensGradients {
  HeadTokensArguments forward;
  View dlog_probability;  // [N] wide
  View dentropy;          // [N] wide, or none
  Target dx;
  Target dweight;  // wide
};

// Rotary positions (Su et al., 2021), halves rotated as in Llama:
// (a, b) -> (a cos - b sin, b cos + a sin) with angle position * base^(-2i/D).
struct RotaryArguments {
  View x;          // [N, H, D]
  View positions;  // [N] i32
  double base = 10000;
  bool inverse = false;  // the derivative
  Target y;              // [N, H, D]
};

// Draws one token for each row that has any left to write, notes it, and moves the row on, so that
// a loop of a model's pass and this op needs nothing of the host. A row with left <= 0 rests:
// nothing of it is read or written.
//
// A row that goes on gets the drawn token as its next input, one position later. One that comes to
// rest (its last token, or `end`) keeps the input that it had: the same pass again changes nothing.
struct SampleArguments {
  View logits;                 // [B, V], taken as f32
  Sampling how;                // see sampling.h
  std::int32_t end = -1;       // the token after which a row rests, or -1
  std::int64_t draw_step = 1;  // from one draw of a row to its next
  View history;   // [B, S] i32 updated: the row's tokens, of which 0 ... position have been fed, or
                  // none; for the repetition penalty
  View random;    // [B, 4] i32: the row's RandomStream: key, and step with its lower word first
  View draw;      // [B, 2] i32 updated: the number of the row's next draw, lower word first
  View left;      // [B] i32 updated: tokens that the row may still write
  View position;  // [B] i32 updated: of the token that was fed last
  View token;     // [B] i32 updated: that token
  View count;     // [B] i32 updated: how many tokens stand in `written`
  View written;   // [B, P] i32 updated: the drawn tokens. P is at least count + left.
  // [B, P] f64 updated, dense, on every backend: of each written token under softmax(logits), and
  // under the distribution that it was drawn from.
  View log_probability;
  View sampled_log_probability;
};

// One step of an optimizer on flat buffers. The gradient is multiplied by gradient_scale first.
struct OptimizerArguments {
  View parameter;  // [P] wide
  View gradient;   // [P] wide
  View first;      // [P] wide: first moment or momentum
  View second;     // [P] wide: second moment (AdamW)
  View shadow;     // [P] bf16 copy to refresh, or none
  double gradient_scale = 1;
  double rate = 0;
  double weight_decay = 0;
  double beta1 = 0;  // momentum for SGD
  double beta2 = 0;
  double epsilon = 0;
  std::int64_t step = 1;  // from 1, for the bias correction
  bool nesterov = false;  // SGD
};

class Backend {
 public:
  static constexpr const char* kind = "backend";
  static constexpr int interface_version = 2;

  virtual ~Backend();

  // ---- Identity and memory
  virtual std::string device() const = 0;  // "AMD EPYC, 2 threads, avx512_bf16"
  virtual bool supports(DType type) const = 0;
  virtual std::size_t alignment() const { return 64; }
  virtual bool host_memory() const { return true; }  // pointers can be read by the host
  virtual void* allocate(std::size_t bytes) = 0;     // zero-filled; Error names the size
  virtual void release(void* data, std::size_t bytes) = 0;
  virtual void upload(void* to, const void* host, std::size_t bytes);
  virtual void download(void* host, const void* from, std::size_t bytes);
  virtual void synchronise() {}

  // ---- Fine-grained ops; every view may be strided, inputs may repeat (stride 0)
  virtual void copy(const View& from, const View& to) = 0;  // casts between dtypes
  virtual void fill(const View& to, double value) = 0;
  virtual void unary(Unary op, const View& x, const View& y) = 0;
  virtual void binary(Binary op, const View& a, const View& b, const View& y) = 0;
  // y = condition != 0 ? a : b; the condition is of any dtype
  virtual void where(const View& condition, const View& a, const View& b, const View& y) = 0;
  // y has extent 1 on each reduced axis; the sum of nothing is 0, its maximum -infinity.
  virtual void reduce(Reduce op, const View& x, const View& y) = 0;
  // y (+)= a b over leading batch axes: [..., M, K] [..., K, N] -> [..., M, N].
  virtual void matmul(const View& a, const View& b, const Target& y) = 0;
  virtual void softmax(const View& x, const View& y) = 0;  // over the last axis
  virtual void softmax_gradient(const View& y, const View& dy, const Target& dx) = 0;
  // y[n, :] = table[index[n], :]; an index below 0 gives zeros.
  virtual void gather(const View& table, const View& index, const View& y) = 0;
  // table[index[n], :] += rows[n, :], in the order of n.
  virtual void scatter_add(const View& rows, const View& index, const View& table) = 0;
  // Element i (row-major) is dropped where random.uniform(i) < probability, else divided by
  // 1 - probability. The derivative is the same call on dy.
  virtual void dropout(const View& x, float probability, const RandomStream& random,
                       const Target& y) = 0;

  // ---- Coarse ops
  virtual void linear(const LinearArguments& arguments);
  virtual void linear_gradient(const LinearGradients& arguments);
  virtual void norm(const NormArguments& arguments);
  virtual void norm_gradient(const NormGradients& arguments);
  virtual void attention(const AttentionArguments& arguments);
  virtual void attention_gradient(const AttentionGradients& arguments);
  virtual void embedding(const EmbeddingArguments& arguments);
  virtual void embedding_gradient(const EmbeddingGradients& arguments);
  virtual void head_loss(const HeadLossArguments& arguments);
  virtual void head_tokens(const HeadTokensArguments& arguments);
  virtual void head_tokens_gradient(const HeadTokensGradients& arguments);
  virtual void rotary(const RotaryArguments& arguments);
  // y [N, F] = silu(x[:, :F]) * x[:, F:] (Shazeer, 2020)
  virtual void swiglu(const View& x, const View& y);
  virtual void swiglu_gradient(const View& x, const View& dy, const Target& dx);
  // cache[b, position[b] + t] = x[b, t]; cache [B, S, G, D], x [B, T, G, D], position [B] i32
  virtual void kv_append(const View& x, const View& position, const View& cache);
  virtual void sample(const SampleArguments& arguments);

  // ---- Optimizers and flat buffers
  virtual void adamw(const OptimizerArguments& arguments);  // Loshchilov and Hutter, 2019
  virtual void sgd(const OptimizerArguments& arguments);
  virtual void lion(const OptimizerArguments& arguments);  // Chen et al., 2023
  virtual double sum_of_squares(const View& x);            // in double, in a fixed order
  virtual void interpolate(const View& from, double amount, const View& to);  // to += a (from - to)

  // ---- Weights at rest
  // From hold() to let_go(), of one thread, the elements of `memory` do not change, so a backend may
  // keep weights of linear() that lie in it in an order of its own. The bits stay the same.
  virtual void hold(const View& memory);
  virtual void let_go();

  // ---- Work that is done over and over on the same memory
  // What a backend keeps of a piece of work; dropped by its owner, before the backend.
  class Recording {
   public:
    virtual ~Recording();
  };
  // Does the work: calls it, or repeats what an earlier call of it did, for backends on which
  // starting ops takes longer than the ops. So the work must be nothing but ops of this backend,
  // the same each time, and whatever varies from call to call must lie in device memory; work that
  // uploads or downloads is always called. `memory` lists the addresses that the work stands on and
  // that are not its own: where one differs from before, it is called and recorded anew. Weights of
  // linear() there rest while the recording lives, which may hold them in an order of its own.
  virtual void repeat(std::unique_ptr<Recording>& recording,
                      const std::function<std::vector<const void*>()>& memory,
                      const std::function<void()>& work);
};

// Holds memory while it lives.
class Held {
 public:
  Held(Backend& backend, const View& memory) : backend_(backend) { backend_.hold(memory); }
  ~Held() { backend_.let_go(); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  Backend& backend_;
};

}  // namespace lathe
