#include "kernels/attention.h"

#include "onednn.h"

namespace lathe {
namespace {
kernels::AttentionOperand operand(const View& view) {
  return {view.data, view.stride(0), view.stride(1), view.stride(2)};
}

const std::int32_t* integers(const View& view) { return view ? view.as<std::int32_t>() : nullptr; }

// Heads are read in one piece, index arrays without gaps.
bool fits(const AttentionArguments& a) {
  for (const View* view : {&a.q, &a.k, &a.v, &a.y}) {
    if (view->dtype == DType::f64 || (view->stride(3) != 1 && view->shape[3] != 1)) return false;
  }
  for (const View* view : {&a.offset, &a.q_segment, &a.k_segment, &a.lse}) {
    if (*view && !view->is_dense()) return false;
  }
  return true;
}

kernels::Attention arguments_of(const AttentionArguments& a) {
  kernels::Attention attention;
  attention.batch = a.q.shape[0];
  attention.queries = a.q.shape[1];
  attention.keys = a.k.shape[1];
  attention.heads = a.q.shape[2];
  attention.key_heads = a.k.shape[2];
  attention.width = a.q.shape[3];
  attention.q = operand(a.q);
  attention.k = operand(a.k);
  attention.v = operand(a.v);
  attention.out = operand(a.y);
  attention.type = a.q.dtype;
  attention.lse = a.lse ? a.lse.as<float>() : nullptr;
  attention.scale = static_cast<float>(a.scale);
  attention.causal = a.causal;
  attention.offset = integers(a.offset);
  attention.query_segment = integers(a.q_segment);
  attention.key_segment = integers(a.k_segment);
  attention.dropout = a.dropout;
  attention.random = a.random;
  return attention;
}
}  // namespace

void OnednnBackend::attention(const AttentionArguments& arguments) {
  if (!fits(arguments)) return Backend::attention(arguments);
  kernels::attention(arguments_of(arguments));
}

void OnednnBackend::attention_gradient(const AttentionGradients& arguments) {
  bool direct = fits(arguments.forward);
  for (const View* view :
       {&arguments.dy, &arguments.dq.view, &arguments.dk.view, &arguments.dv.view}) {
    direct = direct && *view && (view->stride(3) == 1 || view->shape[3] == 1);
  }
  if (!direct) return Backend::attention_gradient(arguments);
  kernels::AttentionBackward backward;
  backward.forward = arguments_of(arguments.forward);
  backward.out_gradient = operand(arguments.dy);
  backward.q_gradient = operand(arguments.dq.view);
  backward.k_gradient = operand(arguments.dk.view);
  backward.v_gradient = operand(arguments.dv.view);
  backward.add_q = arguments.dq.add;
  backward.add_k = arguments.dk.add;
  backward.add_v = arguments.dv.add;
  kernels::attention_backward(backward);
}

}  // namespace lathe
