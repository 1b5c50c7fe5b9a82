// Norms, embedding, rotary positions and gated units.
#include "kernels/activation.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "kernels/norm.h"
#include "kernels/rotary.h"
#include "onednn.h"

namespace lathe {
namespace {
std::size_t size(std::int64_t value) { return static_cast<std::size_t>(value); }

bool dense(std::initializer_list<const View*> views) {
  for (const View* view : views) {
    if (*view && (!view->is_dense() || view->dtype == DType::f64)) return false;
  }
  return true;
}

float* floats(const View& view) { return view ? view.as<float>() : nullptr; }
}  // namespace

void OnednnBackend::norm(const NormArguments& a) {
  if (!dense({&a.x, &a.residual, &a.weight, &a.bias, &a.sum, &a.y, &a.mean, &a.rstd})) {
    return Backend::norm(a);
  }
  kernels::norm_forward({.dtype = a.x.dtype,
                         .rows = size(a.x.shape[0]),
                         .width = size(a.x.shape[1]),
                         .rms = a.kind == Norm::rms,
                         .epsilon = static_cast<float>(a.epsilon),
                         .x = a.x.data,
                         .residual = a.residual.data,
                         .sum = a.sum.data,
                         .weight = floats(a.weight),
                         .bias = floats(a.bias),
                         .y = a.y.data,
                         .mean = floats(a.mean),
                         .rstd = floats(a.rstd)});
}

void OnednnBackend::norm_gradient(const NormGradients& a) {
  if (!dense({&a.sum, &a.weight, &a.mean, &a.rstd, &a.dy, &a.dsum, &a.dx.view, &a.dweight.view,
              &a.dbias.view})) {
    return Backend::norm_gradient(a);
  }
  if (a.dweight && !a.dweight.add) fill(a.dweight.view, 0);
  if (a.dbias && !a.dbias.add) fill(a.dbias.view, 0);
  kernels::norm_backward({.dtype = a.sum.dtype,
                          .rows = size(a.sum.shape[0]),
                          .width = size(a.sum.shape[1]),
                          .rms = a.kind == Norm::rms,
                          .dy = a.dy.data,
                          .sum = a.sum.data,
                          .weight = floats(a.weight),
                          .mean = floats(a.mean),
                          .rstd = floats(a.rstd),
                          .dsum = a.dsum.data,
                          .dx = a.dx.view.data,
                          .add = a.dx.add,
                          .dweight = floats(a.dweight.view),
                          .dbias = floats(a.dbias.view)});
}

void OnednnBackend::embedding(const EmbeddingArguments& a) {
  if (!dense({&a.tokens, &a.positions, &a.token_table, &a.position_table, &a.y})) {
    return Backend::embedding(a);
  }
  kernels::embedding_forward({.table_dtype = a.token_table.dtype,
                              .dtype = a.y.dtype,
                              .rows = size(a.tokens.count()),
                              .width = size(a.y.shape[1]),
                              .vocabulary = size(a.token_table.shape[0]),
                              .positions = a.position_table ? size(a.position_table.shape[0]) : 0,
                              .token = a.tokens.as<std::int32_t>(),
                              .position = a.positions ? a.positions.as<std::int32_t>() : nullptr,
                              .token_table = a.token_table.data,
                              .position_table = a.position_table.data,
                              .out = a.y.data});
}

void OnednnBackend::embedding_gradient(const EmbeddingGradients& a) {
  const View& tokens = a.token_table.view;
  const View& places = a.position_table.view;
  if (!dense({&a.tokens, &a.positions, &a.dy, &tokens, &places})) {
    return Backend::embedding_gradient(a);
  }
  if (a.token_table && !a.token_table.add) fill(tokens, 0);
  if (a.position_table && !a.position_table.add) fill(places, 0);
  kernels::embedding_backward({.dtype = a.dy.dtype,
                               .rows = size(a.tokens.count()),
                               .width = size(a.dy.shape[1]),
                               .vocabulary = tokens ? size(tokens.shape[0]) : 0,
                               .positions = places ? size(places.shape[0]) : 0,
                               .token = a.tokens.as<std::int32_t>(),
                               .position = a.positions ? a.positions.as<std::int32_t>() : nullptr,
                               .dout = a.dy.data,
                               .dtoken_table = floats(tokens),
                               .dposition_table = floats(places)});
}

void OnednnBackend::rotary(const RotaryArguments& a) {
  const View& y = a.y.view;
  if (a.y.add || a.x.stride(2) != 1 || y.stride(2) != 1 || !dense({&a.positions})) {
    return Backend::rotary(a);
  }
  kernels::rotary({.dtype = a.x.dtype,
                   .rows = size(a.x.shape[0]),
                   .heads = size(a.x.shape[1]),
                   .width = size(a.x.shape[2]),
                   .base = a.base,
                   .inverse = a.inverse,
                   .position = a.positions.as<std::int32_t>(),
                   .x = a.x.data,
                   .x_row_stride = size(a.x.stride(0)),
                   .x_head_stride = size(a.x.stride(1)),
                   .y = y.data,
                   .y_row_stride = size(y.stride(0)),
                   .y_head_stride = size(y.stride(1))});
}

void OnednnBackend::swiglu(const View& x, const View& y) {
  if (!dense({&x, &y})) return Backend::swiglu(x, y);
  kernels::swiglu_forward({.dtype = x.dtype,
                           .rows = size(y.shape[0]),
                           .width = size(y.shape[1]),
                           .pre = x.data,
                           .y = y.data});
}

void OnednnBackend::swiglu_gradient(const View& x, const View& dy, const Target& dx) {
  if (dx.add || !dense({&x, &dy, &dx.view})) return Backend::swiglu_gradient(x, dy, dx);
  kernels::swiglu_backward({.dtype = x.dtype,
                            .rows = size(dy.shape[0]),
                            .width = size(dy.shape[1]),
                            .pre = x.data,
                            .dy = dy.data,
                            .dpre = dx.view.data});
}

}  // namespace lathe
