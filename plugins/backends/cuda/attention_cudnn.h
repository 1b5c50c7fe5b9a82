// Attention by cuDNN: a handle, and the plans of the shapes that came by.
#pragma once

#include <lathe/tensor/backend.h>

#include <map>
#include <memory>
#include <string>

#include "cudnn_attention.h"
#include "runtime.h"

namespace lathe::cuda {

// What cuDNN takes of an op: bf16 with 16-byte aligned heads, no mask but the causal one from the
// first position on, no dropout. Everything else is for the kernels of this plugin.
bool fits_cudnn(const AttentionArguments& arguments);
bool fits_cudnn(const AttentionGradients& arguments);
cudnn::AttentionShape cudnn_shape(const AttentionArguments& arguments);
cudnn::AttentionShape cudnn_shape(const AttentionGradients& arguments);

// Versions that are known to be wrong for a backward pass: 9.10.0 and 9.10.1 for any, those before
// 9.16 where the number of keys is no multiple of 128.
bool is_trusted_backward(std::size_t version, std::int64_t keys);

class CudnnAttention {
 public:
  // `deterministic`: backward passes take the form with a workspace of 2 B H T S bytes.
  CudnnAttention(Stream stream, bool deterministic);
  ~CudnnAttention();
  CudnnAttention(const CudnnAttention&) = delete;
  CudnnAttention& operator=(const CudnnAttention&) = delete;

  // The plan for a shape, made when it is first asked for; nullptr where cuDNN has none.
  const cudnn::Plan* plan(const cudnn::AttentionShape& shape);
  const cudnn::Plan* gradient_plan(const cudnn::AttentionShape& shape);

  void run(const cudnn::Plan& plan, const AttentionArguments& arguments, void* lse,
           void* workspace) const;
  // `sums`: B H T floats and, without `deterministic`, B H T D more.
  void run(const cudnn::Plan& plan, const AttentionGradients& arguments, float* sums,
           void* workspace) const;
  std::size_t sums(const AttentionArguments& arguments) const;  // how many floats

 private:
  using Plans = std::map<cudnn::AttentionShape, std::unique_ptr<cudnn::Plan>>;

  void* handle_ = nullptr;
  Stream stream_;
  bool deterministic_;
  Plans forward_, backward_;
};

// As the option says: "own" none; "auto" none where cuDNN cannot be used; "cudnn" an Error then.
std::unique_ptr<CudnnAttention> open_cudnn(const std::string& option, Stream stream,
                                           bool deterministic);

}  // namespace lathe::cuda
