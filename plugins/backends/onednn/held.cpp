// What a backend does with weights that do not change for a while.
#include "held.h"

#include "onednn.h"

namespace lathe {
namespace {
constexpr std::int64_t most_rows = 8;
constexpr std::size_t most_floats = std::size_t{128} << 10;  // half of a L2 of 1 MiB
}  // namespace

void HeldWeights::begin(const View& memory) {
  end();
  if (!memory.is_dense()) return;
  begin_ = static_cast<const std::byte*>(memory.data);
  end_ = begin_ + static_cast<std::size_t>(memory.count()) * size_of(memory.dtype);
}

void HeldWeights::end() {
  begin_ = end_ = nullptr;
  weights_.clear();
  used_ = 0;
}

const float* HeldWeights::of(const kernels::Gemm& product) {
  const auto* at = static_cast<const std::byte*>(product.b);
  if (begin_ == nullptr || at < begin_ || at >= end_) return nullptr;
  if (product.m > most_rows || product.ab_type != DType::f32) return nullptr;
  for (const Weight& weight : weights_) {
    const bool same = weight.b == product.b && weight.n == product.n && weight.k == product.k &&
                      weight.row == product.b_row && weight.column == product.b_column;
    if (same) return weight.held;
  }
  weights_.push_back(
      {product.b, product.n, product.k, product.b_row, product.b_column, hold(product)});
  return weights_.back().held;
}

const float* HeldWeights::hold(const kernels::Gemm& product) {
  const std::size_t floats = kernels::gemm_held_floats(product);
  if (floats > most_floats - used_) return nullptr;
  float* to = static_cast<float*>(space_.get(most_floats * sizeof(float))) + used_;
  used_ += floats;
  kernels::gemm_hold(product, to);
  return to;
}

void OnednnBackend::hold(const View& memory) { held_.begin(memory); }
void OnednnBackend::let_go() { held_.end(); }

}  // namespace lathe
