// The backend "onednn": the CPU, fast. Coarse ops go to the vectorised kernels in kernels/, matrix
// products to those or to oneDNN (option `matmul`); what they do not take (odd strides) falls
// back to the composed ops.
#pragma once

#include <lathe/config/keys.h>
#include <lathe/tensor/backend.h>

#include <cstddef>
#include <string>

#include "matmul.h"
#include "panels.h"
#include "workspace.h"

namespace lathe {

class OnednnBackend final : public Backend {
 public:
  static constexpr const char* provides[] = {"f32 precision", "bf16 precision"};
  struct Options : Keys {
    std::string matmul = key("matmul", "own",
                             "matrix products by the kernels of this plugin, which decode with the "
                             "bits of training, or by oneDNN",
                             one_of({"own", "onednn"}));
    std::int64_t head_rows =
        key("head_rows", 512, "rows of logits that the LM head holds at a time", at_least(1));
    bool panels = key("panels", true,
                      "keep weights that rest once more, in the order in which acting and writing "
                      "text read them: faster, for as much memory again");
  };
  explicit OnednnBackend(const Config& config);

  // memory.cpp
  std::string device() const override;
  bool supports(DType type) const override { return type != DType::f64; }
  void* allocate(std::size_t bytes) override;
  void release(void* data, std::size_t bytes) override;

  // elementwise.cpp
  void copy(const View& from, const View& to) override;
  void fill(const View& to, double value) override;
  void unary(Unary op, const View& x, const View& y) override;
  void binary(Binary op, const View& a, const View& b, const View& y) override;
  void where(const View& condition, const View& a, const View& b, const View& y) override;
  void dropout(const View& x, float probability, const RandomStream& random,
               const Target& y) override;

  // rows.cpp
  void reduce(Reduce op, const View& x, const View& y) override;
  void softmax(const View& x, const View& y) override;
  void softmax_gradient(const View& y, const View& dy, const Target& dx) override;
  void gather(const View& table, const View& index, const View& y) override;
  void scatter_add(const View& rows, const View& index, const View& table) override;
  void kv_append(const View& x, const View& position, const View& cache) override;

  // linear.cpp
  void matmul(const View& a, const View& b, const Target& y) override;
  void linear(const LinearArguments& arguments) override;
  void linear_gradient(const LinearGradients& arguments) override;

  // layers.cpp
  void norm(const NormArguments& arguments) override;
  void norm_gradient(const NormGradients& arguments) override;
  void embedding(const EmbeddingArguments& arguments) override;
  void embedding_gradient(const EmbeddingGradients& arguments) override;
  void rotary(const RotaryArguments& arguments) override;
  void swiglu(const View& x, const View& y) override;
  void swiglu_gradient(const View& x, const View& dy, const Target& dx) override;

  // attention.cpp
  void attention(const AttentionArguments& arguments) override;
  void attention_gradient(const AttentionGradients& arguments) override;

  // heads.cpp
  void head_loss(const HeadLossArguments& arguments) override;
  void head_tokens(const HeadTokensArguments& arguments) override;
  void head_tokens_gradient(const HeadTokensGradients& arguments) override;

  // optimizers.cpp
  void adamw(const OptimizerArguments& arguments) override;
  void sgd(const OptimizerArguments& arguments) override;
  void lion(const OptimizerArguments& arguments) override;
  double sum_of_squares(const View& x) override;
  void interpolate(const View& from, double amount, const View& to) override;

  // panels.cpp
  void hold(const View& memory) override;
  void let_go() override;
  void repeat(std::unique_ptr<Recording>& recording,
              const std::function<std::vector<const void*>()>& memory,
              const std::function<void()>& work) override;

 private:
  bool makes_panels() const { return with_.panels && own_products_; }
  // B of a product of so many rows in panels, where this thread has them; or null.
  static const float* panels_of(const View& weight, std::int64_t rows);
  void product(const kernels::Gemm& gemm);
  // matmul; `cold`: nobody reads y soon.
  void multiply(const View& a, const View& b, const Target& y, bool cold);
  kernels::Gemm logits_product(const View& x, const View& weight, std::int64_t begin,
                               std::int64_t end, void* logits) const;
  void head_gradients(const View& x, const View& weight, std::int64_t begin, std::int64_t end,
                      const void* dlogits, const Target& dx, const Target& dweight);

  Options with_;
  bool own_products_;
  OnednnMatmul onednn_;
  Workspace logits_;
  Workspace before_;
  PanelStore panels_;
};

}  // namespace lathe
