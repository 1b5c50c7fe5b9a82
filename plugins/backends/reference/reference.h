// The backend "reference": plain loops in double precision, one file per family of ops. It is the
// truth that other backends and the composed fallbacks are held against, so it is written to be
// read, uses no threads, and checks every index.
#pragma once

#include <lathe/tensor/backend.h>

namespace lathe {

class ReferenceBackend final : public Backend {
 public:
  static constexpr const char* provides[] = {"f32 precision", "bf16 precision", "f64 precision"};
  // memory.cpp
  std::string device() const override;
  bool supports(DType type) const override;
  void* allocate(std::size_t bytes) override;
  void release(void* data, std::size_t bytes) override;
  void upload(void* to, const void* host, std::size_t bytes) override;
  void download(void* host, const void* from, std::size_t bytes) override;
  void synchronise() override;

  // elementwise.cpp
  void copy(const View& from, const View& to) override;
  void fill(const View& to, double value) override;
  void unary(Unary op, const View& x, const View& y) override;
  void binary(Binary op, const View& a, const View& b, const View& y) override;
  void where(const View& condition, const View& a, const View& b, const View& y) override;
  void dropout(const View& x, float probability, const RandomStream& random,
               const Target& y) override;

  // reduce.cpp
  void reduce(Reduce op, const View& x, const View& y) override;
  void softmax(const View& x, const View& y) override;
  void softmax_gradient(const View& y, const View& dy, const Target& dx) override;

  // linear.cpp
  void matmul(const View& a, const View& b, const Target& y) override;
  void linear(const LinearArguments& arguments) override;
  void linear_gradient(const LinearGradients& arguments) override;

  // norm.cpp
  void norm(const NormArguments& arguments) override;
  void norm_gradient(const NormGradients& arguments) override;

  // attention.cpp
  void attention(const AttentionArguments& arguments) override;
  void attention_gradient(const AttentionGradients& arguments) override;
  void kv_append(const View& x, const View& position, const View& cache) override;

  // embedding.cpp
  void gather(const View& table, const View& index, const View& y) override;
  void scatter_add(const View& rows, const View& index, const View& table) override;
  void embedding(const EmbeddingArguments& arguments) override;
  void embedding_gradient(const EmbeddingGradients& arguments) override;

  // head.cpp
  void head_loss(const HeadLossArguments& arguments) override;
  void head_tokens(const HeadTokensArguments& arguments) override;
  void head_tokens_gradient(const HeadTokensGradients& arguments) override;

  // rotary.cpp
  void rotary(const RotaryArguments& arguments) override;
  void swiglu(const View& x, const View& y) override;
  void swiglu_gradient(const View& x, const View& dy, const Target& dx) override;

  // optimizer.cpp
  void adamw(const OptimizerArguments& arguments) override;
  void sgd(const OptimizerArguments& arguments) override;
  void lion(const OptimizerArguments& arguments) override;
  double sum_of_squares(const View& x) override;
  void interpolate(const View& from, double amount, const View& to) override;
};

}  // namespace lathe
