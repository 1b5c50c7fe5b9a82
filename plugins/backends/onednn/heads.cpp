// The LM head in chunks of rows: logits, loss and gradient of a chunk while it is in the cache;
// [N, V] is never whole.
#include <algorithm>

#include "kernels/cross_entropy.h"
#include "kernels/gemm.h"
#include "onednn.h"

namespace lathe {
namespace {
bool is_rows(const View& view) { return !view || view.stride(1) == 1 || view.shape[1] == 1; }

bool fits(const View& x, const View& weight, const Target& dx, const Target& dweight) {
  return x.dtype != DType::f64 && x.dtype == weight.dtype && is_rows(x) && is_rows(weight) &&
         is_rows(dx.view) && is_rows(dweight.view);
}

float* floats(const View& view, std::int64_t begin) {
  return view ? view.as<float>() + begin : nullptr;
}
std::size_t size(std::int64_t value) { return static_cast<std::size_t>(value); }
}  // namespace

kernels::Gemm OnednnBackend::logits_product(const View& x, const View& weight, std::int64_t begin,
                                            std::int64_t end, void* logits) const {
  const View rows = sliced(x, 0, begin, end);
  return {.m = end - begin,
          .n = weight.shape[0],
          .k = x.shape[1],
          .a = rows.data,
          .a_row = rows.stride(0),
          .a_column = 1,
          .b = weight.data,
          .b_row = 1,
          .b_column = weight.stride(0),
          .c = logits,
          .c_row = weight.shape[0],
          .ab_type = x.dtype,
          .c_type = x.dtype};
}

void OnednnBackend::head_gradients(const View& x, const View& weight, std::int64_t begin,
                                   std::int64_t end, const void* dlogits, const Target& dx,
                                   const Target& dweight) {
  const View gradient =
      dense_view(const_cast<void*>(dlogits), x.dtype, {end - begin, weight.shape[0]});
  if (dx) matmul(gradient, weight, Target{sliced(dx.view, 0, begin, end), dx.add});
  if (dweight) {
    multiply(transposed(gradient, 0, 1), sliced(x, 0, begin, end),
             Target{dweight.view, dweight.add || begin > 0}, true);
  }
}

void OnednnBackend::head_loss(const HeadLossArguments& a) {
  if (!fits(a.x, a.weight, a.dx, a.dweight)) return Backend::head_loss(a);
  const std::int64_t rows = a.x.shape[0];
  const std::int64_t vocabulary = a.weight.shape[0];
  if (rows == 0 && a.dweight && !a.dweight.add) fill(a.dweight.view, 0);
  const std::int64_t chunk = std::min(with_.head_rows, rows);
  void* logits = logits_.get(size(chunk * vocabulary) * size_of(a.x.dtype));
  for (std::int64_t begin = 0; begin < rows; begin += chunk) {
    const std::int64_t end = std::min(rows, begin + chunk);
    product(logits_product(a.x, a.weight, begin, end, logits));
    kernels::cross_entropy({.dtype = a.x.dtype,
                            .rows = size(end - begin),
                            .vocabulary = size(vocabulary),
                            .stride = size(vocabulary),
                            .padded = size(vocabulary),
                            .logits = logits,
                            .targets = a.targets.as<std::int32_t>() + begin,
                            .weights = floats(a.weights, begin),
                            .label_smoothing = static_cast<float>(a.smoothing),
                            .z_loss = static_cast<float>(a.z_loss),
                            .loss = floats(a.loss, begin),
                            .lse = floats(a.lse, begin),
                            .gradient = a.dx || a.dweight});
    if (a.dx || a.dweight) head_gradients(a.x, a.weight, begin, end, logits, a.dx, a.dweight);
  }
}

void OnednnBackend::head_tokens(const HeadTokensArguments& a) {
  if (!fits(a.x, a.weight, {}, {})) return Backend::head_tokens(a);
  const std::int64_t rows = a.x.shape[0];
  const std::int64_t vocabulary = a.weight.shape[0];
  const std::int64_t chunk = std::min(with_.head_rows, rows);
  void* logits = logits_.get(size(chunk * vocabulary) * size_of(a.x.dtype));
  for (std::int64_t begin = 0; begin < rows; begin += chunk) {
    const std::int64_t end = std::min(rows, begin + chunk);
    product(logits_product(a.x, a.weight, begin, end, logits));
    kernels::token_log_probability({.dtype = a.x.dtype,
                                    .rows = size(end - begin),
                                    .vocabulary = size(vocabulary),
                                    .stride = size(vocabulary),
                                    .scale = static_cast<float>(1 / a.temperature),
                                    .logits = logits,
                                    .targets = a.targets.as<std::int32_t>() + begin,
                                    .logp = floats(a.log_probability, begin),
                                    .lse = floats(a.lse, begin),
                                    .entropy = floats(a.entropy, begin)});
  }
}

void OnednnBackend::head_tokens_gradient(const HeadTokensGradients& a) {
  const HeadTokensArguments& f = a.forward;
  if (!fits(f.x, f.weight, a.dx, a.dweight)) return Backend::head_tokens_gradient(a);
  const std::int64_t rows = f.x.shape[0];
  const std::int64_t vocabulary = f.weight.shape[0];
  if (rows == 0 && a.dweight && !a.dweight.add) fill(a.dweight.view, 0);
  const std::int64_t chunk = std::min(with_.head_rows, rows);
  void* logits = logits_.get(size(chunk * vocabulary) * size_of(f.x.dtype));
  for (std::int64_t begin = 0; begin < rows; begin += chunk) {
    const std::int64_t end = std::min(rows, begin + chunk);
    product(logits_product(f.x, f.weight, begin, end, logits));
    kernels::token_log_probability_backward({.dtype = f.x.dtype,
                                             .rows = size(end - begin),
                                             .vocabulary = size(vocabulary),
                                             .stride = size(vocabulary),
                                             .padded = size(vocabulary),
                                             .scale = static_cast<float>(1 / f.temperature),
                                             .logits = logits,
                                             .targets = f.targets.as<std::int32_t>() + begin,
                                             .lse = floats(f.lse, begin),
                                             .dlogp = floats(a.dlog_probability, begin),
                                             .dentropy = floats(a.dentropy, begin),
                                             .entropy = floats(f.entropy, begin)});
    head_gradients(f.x, f.weight, begin, end, logits, a.dx, a.dweight);
  }
}

}  // namespace lathe
