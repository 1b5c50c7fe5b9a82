// The backend "cuda": one NVIDIA GPU. Matrix products go to cuBLASLt, everything else to the
// kernels of this folder: one .cu file for each family of ops, with the kernels above the ops that
// launch them. What the kernels do not take (odd strides of a coarse op) falls back to the composed
// ops.
//
// All ops run on one stream, in the order of the calls; only download and synchronise wait. Every
// sum has a fixed order, whatever the device does first. Any thread may call, one at a time.
#pragma once

#include <lathe/config/keys.h>
#include <lathe/tensor/backend.h>

#include <cstddef>
#include <memory>
#include <string>

#include "runtime.h"
#include "temporaries.h"

namespace lathe {

namespace cuda {
enum class Place : int;
class CudnnAttention;
class ProductChoices;
struct Product;
struct ProductOperands;
}  // namespace cuda

class CudaBackend final : public Backend {
 public:
  static constexpr const char* provides[] = {"f32 precision", "bf16 precision"};
  struct Options : Keys {
    int device = key("device", 0, "number of the GPU, from 0", at_least(0));
    std::string matmul = key("matmul", "f32",
                             "products of f32 matrices in f32, or with operands rounded to TF32 "
                             "(10 bits of fraction) on the tensor cores",
                             one_of({"f32", "tf32"}));
    bool deterministic = key(
        "deterministic", false,
        "the same bits from run to run: matrix products take the library's first algorithm "
        "instead of the one that was fastest when it was first used, and cuDNN's attention goes "
        "backward in a fixed order, with a workspace of 2 B H T S bytes");
    std::string fuse = key("fuse", "measured",
                           "bias, residual and activation of a linear layer inside of the product, "
                           "or after it; measured: whichever is faster",
                           one_of({"measured", "always", "never"}));
    std::string bias = key("bias", "f32",
                           "of a bf16 layer: kept in f32 and added after the product, or rounded "
                           "to bf16, which lets it be fused",
                           one_of({"f32", "bf16"}));
    std::string rounding = key("rounding", "nearest",
                               "of f32 weights to the bf16 weights that a bf16 model computes with",
                               one_of({"nearest", "stochastic"}));
    std::string attention =
        key("attention", "auto",
            "by the kernels of this plugin, or by cuDNN where the case suits it; "
            "auto: by cuDNN where it is installed",
            one_of({"auto", "cudnn", "own"}));
    std::int64_t head_rows =
        key("head_rows", 8192, "rows of logits that the LM head holds at a time", at_least(1));
  };
  explicit CudaBackend(const Config& config);
  ~CudaBackend() override;

  // memory.cpp
  std::string device() const override;
  bool supports(DType type) const override { return type != DType::f64; }
  std::size_t alignment() const override { return 256; }
  bool host_memory() const override { return false; }
  void* allocate(std::size_t bytes) override;
  void release(void* data, std::size_t bytes) override;
  void upload(void* to, const void* host, std::size_t bytes) override;
  void download(void* host, const void* from, std::size_t bytes) override;
  void synchronise() override;
  std::size_t peak_bytes() const { return peak_; }  // most that was allocated at a time

  // elementwise.cu
  void copy(const View& from, const View& to) override;
  void fill(const View& to, double value) override;
  void unary(Unary op, const View& x, const View& y) override;
  void binary(Binary op, const View& a, const View& b, const View& y) override;
  void where(const View& condition, const View& a, const View& b, const View& y) override;
  void dropout(const View& x, float probability, const RandomStream& random,
               const Target& y) override;

  // rows.cu
  void reduce(Reduce op, const View& x, const View& y) override;
  void softmax(const View& x, const View& y) override;
  void softmax_gradient(const View& y, const View& dy, const Target& dx) override;

  // tables.cu
  void gather(const View& table, const View& index, const View& y) override;
  void scatter_add(const View& rows, const View& index, const View& table) override;

  void embedding(const EmbeddingArguments& arguments) override;
  void embedding_gradient(const EmbeddingGradients& arguments) override;

  // attention.cu, attention_gradient.cu
  void attention(const AttentionArguments& arguments) override;
  void attention_gradient(const AttentionGradients& arguments) override;
  void kv_append(const View& x, const View& position, const View& cache) override;

  // sampling.cu
  void sample(const SampleArguments& arguments) override;

  // recording.cpp
  void repeat(std::unique_ptr<Recording>& recording,
              const std::function<std::vector<const void*>()>& memory,
              const std::function<void()>& work) override;
  struct Repeats {
    int recorded = 0;
    int replayed = 0;
    int refused = 0;  // work that cannot be recorded
  };
  const Repeats& repeats() const { return repeats_; }

  // head.cu
  void head_loss(const HeadLossArguments& arguments) override;
  void head_tokens(const HeadTokensArguments& arguments) override;
  void head_tokens_gradient(const HeadTokensGradients& arguments) override;

  // linear.cpp
  void matmul(const View& a, const View& b, const Target& y) override;
  void linear(const LinearArguments& arguments) override;
  void linear_gradient(const LinearGradients& arguments) override;

  // norm.cu
  void norm(const NormArguments& arguments) override;
  void norm_gradient(const NormGradients& arguments) override;

  // layers.cu
  void rotary(const RotaryArguments& arguments) override;
  void swiglu(const View& x, const View& y) override;
  void swiglu_gradient(const View& x, const View& dy, const Target& dx) override;

  // optimizer.cu
  void adamw(const OptimizerArguments& arguments) override;
  void sgd(const OptimizerArguments& arguments) override;
  void lion(const OptimizerArguments& arguments) override;
  double sum_of_squares(const View& x) override;
  void interpolate(const View& from, double amount, const View& to) override;

 private:
  // Device memory for as long as an op needs it; not initialised.
  class Space {
   public:
    Space(CudaBackend& backend, std::size_t bytes) : backend_(backend), bytes_(bytes) {
      data_ = bytes == 0 ? nullptr : backend.take(bytes);
    }
    ~Space() {
      if (data_ != nullptr) backend_.release(data_, bytes_);
    }
    Space(const Space&) = delete;
    Space& operator=(const Space&) = delete;

    template <class T>
    T* as() const {
      return static_cast<T*>(data_);
    }

   private:
    CudaBackend& backend_;
    std::size_t bytes_;
    void* data_ = nullptr;
  };

  void take_rows(const View& table, const View& index, cuda::Place place, const View& second,
                 const View& second_index, const View& y);
  void add_rows(const View& rows, const View& index, cuda::Place place, const View& token,
                const View& table);

  bool run_product(cuda::Product& product, const cuda::ProductOperands& operands);
  void multiply(const View& a, const View& b, const Target& y);
  void multiply_dense(const View& a, const View& b, const Target& y);
  bool fused_linear(const LinearArguments& arguments);
  void unfused_linear(const LinearArguments& arguments);
  bool fusing_pays(const LinearArguments& arguments);
  // attention_cudnn.cpp; false: not a case for cuDNN
  bool attention_by_cudnn(const AttentionArguments& arguments);
  bool attention_by_cudnn(const AttentionGradients& arguments);
  template <class Run>
  void over_head(const View& x, const View& weight, const View& targets, const Target& dx,
                 const Target& dweight, const Run& run);

  class Recorded;  // recording.cpp
  void demand_no_recording(const char* what) const;

  void* take(std::size_t bytes);
  [[noreturn]] void out_of_memory(std::size_t bytes) const;
  void raise_finding();

  Options with_;
  cuda::OwnStream stream_;
  cuda::Finding* finding_ = nullptr;
  std::unique_ptr<cuda::ProductChoices> products_;
  std::unique_ptr<cuda::CudnnAttention> cudnn_;
  std::size_t held_ = 0;
  std::size_t peak_ = 0;
  cuda::Temporaries temporaries_;
  Repeats repeats_;
};

}  // namespace lathe
