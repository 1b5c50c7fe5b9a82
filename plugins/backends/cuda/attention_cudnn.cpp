// Which attention goes to cuDNN, and how it is called there.
#include "attention_cudnn.h"

#include <device/range.h>

#include <lathe/base/error.h>

#include "cuda.h"

namespace lathe::cuda {
namespace {
using cudnn::AttentionShape;
using cudnn::library;

bool fits(const View& view) {
  const auto whole = [](std::int64_t step) { return step % 8 == 0; };
  const bool aligned = reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0;
  return view.dtype == DType::bf16 && view.stride(3) == 1 && aligned && whole(view.shape[3]) &&
         whole(view.stride(0)) && whole(view.stride(1)) && whole(view.stride(2));
}
bool fits(const Target& target) { return target && !target.add && fits(target.view); }

AttentionShape::Layout layout(const View& view) {
  return {view.stride(0), view.stride(2), view.stride(1)};
}
}  // namespace

bool fits_cudnn(const AttentionArguments& a) {
  const std::int64_t D = a.q.shape[3];
  return fits(a.q) && fits(a.k) && fits(a.v) && fits(a.y) && D <= 128 && a.q.shape[1] > 1 &&
         a.q.count() > 0 && a.k.count() > 0 && !a.offset && !a.q_segment && a.dropout <= 0 &&
         (!a.lse || a.lse.is_dense());
}
bool fits_cudnn(const AttentionGradients& a) {
  return fits_cudnn(a.forward) && a.forward.lse && fits(a.dy) && fits(a.dq) && fits(a.dk) &&
         fits(a.dv);
}

AttentionShape cudnn_shape(const AttentionArguments& a) {
  AttentionShape shape;
  shape.B = a.q.shape[0];
  shape.T = a.q.shape[1];
  shape.S = a.k.shape[1];
  shape.H = a.q.shape[2];
  shape.G = a.k.shape[2];
  shape.D = a.q.shape[3];
  shape.causal = a.causal;
  shape.q = layout(a.q);
  shape.k = layout(a.k);
  shape.v = layout(a.v);
  shape.y = layout(a.y);
  return shape;
}
AttentionShape cudnn_shape(const AttentionGradients& a) {
  AttentionShape shape = cudnn_shape(a.forward);
  shape.dy = layout(a.dy);
  shape.dq = layout(a.dq.view);
  shape.dk = layout(a.dk.view);
  shape.dv = layout(a.dv.view);
  return shape;
}

bool is_trusted_backward(std::size_t version, std::int64_t keys) {
  if (version == 91000 || version == 91001) return false;
  return keys % 128 == 0 || version >= 91600;
}

CudnnAttention::CudnnAttention(Stream stream, bool deterministic)
    : stream_(stream), deterministic_(deterministic) {
  if (!library()) fail(library().missing);
  cudnn::check(library().create(&handle_), "creating a handle");
  cudnn::check(library().set_stream(handle_, stream), "taking a stream");
}
CudnnAttention::~CudnnAttention() { library().destroy(handle_); }

const cudnn::Plan* CudnnAttention::plan(const AttentionShape& shape) {
  auto& plan = forward_[shape];
  if (plan == nullptr) plan = std::make_unique<cudnn::Plan>(attention_graph(shape), handle_);
  return *plan ? plan.get() : nullptr;
}
const cudnn::Plan* CudnnAttention::gradient_plan(const AttentionShape& shape) {
  if (!is_trusted_backward(library().version(), shape.S)) return nullptr;
  auto& plan = backward_[shape];
  if (plan == nullptr) {
    plan = std::make_unique<cudnn::Plan>(attention_gradient_graph(shape, deterministic_), handle_);
  }
  return *plan ? plan.get() : nullptr;
}

void CudnnAttention::run(const cudnn::Plan& plan, const AttentionArguments& a, void* lse,
                         void* workspace) const {
  auto scale = static_cast<float>(a.scale);
  float minus_infinity = -INFINITY;
  std::vector<std::pair<std::int64_t, void*>> tensors{
      {cudnn::id::q, a.q.data}, {cudnn::id::k, a.k.data}, {cudnn::id::v, a.v.data},
      {cudnn::id::y, a.y.data}, {cudnn::id::lse, lse},    {cudnn::id::scale, &scale}};
  if (a.causal) tensors.emplace_back(cudnn::id::minus_infinity, &minus_infinity);
  plan.run(handle_, tensors, workspace);
}

std::size_t CudnnAttention::sums(const AttentionArguments& a) const {
  const std::int64_t queries = a.q.shape[0] * a.q.shape[1] * a.q.shape[2];
  return static_cast<std::size_t>(deterministic_ ? queries : queries * (1 + a.q.shape[3]));
}

void CudnnAttention::run(const cudnn::Plan& plan, const AttentionGradients& a, float* sums,
                         void* workspace) const {
  const AttentionArguments& f = a.forward;
  auto scale = static_cast<float>(f.scale);
  float minus_infinity = -INFINITY, one = 1;
  std::vector<std::pair<std::int64_t, void*>> tensors{
      {cudnn::id::q, f.q.data},        {cudnn::id::k, f.k.data},
      {cudnn::id::v, f.v.data},        {cudnn::id::y, f.y.data},
      {cudnn::id::lse, f.lse.data},    {cudnn::id::dy, a.dy.data},
      {cudnn::id::dq, a.dq.view.data}, {cudnn::id::dk, a.dk.view.data},
      {cudnn::id::dv, a.dv.view.data}, {cudnn::id::delta, sums},
      {cudnn::id::scale, &scale},      {cudnn::id::one, &one}};
  if (f.causal) tensors.emplace_back(cudnn::id::minus_infinity, &minus_infinity);
  if (!deterministic_) {
    const std::int64_t queries = f.q.shape[0] * f.q.shape[1] * f.q.shape[2];
    float* const dq_sum = sums + queries;
    // cuDNN clears it itself from 9.6 on.
    if (library().version() < 90600) {
      set_bytes(dq_sum, 0, static_cast<std::size_t>(queries * f.q.shape[3]) * sizeof(float),
                stream_);
    }
    tensors.emplace_back(cudnn::id::dq_sum, dq_sum);
  }
  plan.run(handle_, tensors, workspace);
}

std::unique_ptr<CudnnAttention> open_cudnn(const std::string& option, Stream stream,
                                           bool deterministic) {
  if (option == "own") return nullptr;
  try {
    return std::make_unique<CudnnAttention>(stream, deterministic);
  } catch (const Error& error) {
    if (option == "auto") return nullptr;
    fail("backend cuda, attention = \"cudnn\": ", error.what(),
         ". Install cuDNN 9, name its file in LATHE_CUDNN, or take attention = \"own\"");
  }
}

}  // namespace lathe::cuda

namespace lathe {

bool CudaBackend::attention_by_cudnn(const AttentionArguments& a) {
  if (cudnn_ == nullptr || !cuda::fits_cudnn(a)) return false;
  const cuda::cudnn::Plan* plan = cudnn_->plan(cuda::cudnn_shape(a));
  if (plan == nullptr) return false;
  const cuda::Range range("attention, cuDNN");
  stream_.choose();  // the library has the stream since it was opened
  const auto queries = static_cast<std::size_t>(a.q.count() / a.q.shape[3]);
  const Space lse(*this, a.lse ? 0 : queries * sizeof(float));
  const Space workspace(*this, plan->workspace());
  cudnn_->run(*plan, a, a.lse ? a.lse.data : lse.as<void>(), workspace.as<void>());
  return true;
}

bool CudaBackend::attention_by_cudnn(const AttentionGradients& a) {
  if (cudnn_ == nullptr || !cuda::fits_cudnn(a)) return false;
  const cuda::cudnn::Plan* plan = cudnn_->gradient_plan(cuda::cudnn_shape(a));
  if (plan == nullptr) return false;
  const cuda::Range range("attention_gradient, cuDNN");
  stream_.choose();
  const Space sums(*this, cudnn_->sums(a.forward) * sizeof(float));
  const Space workspace(*this, plan->workspace());
  cudnn_->run(*plan, a, sums.as<float>(), workspace.as<void>());
  return true;
}

}  // namespace lathe
