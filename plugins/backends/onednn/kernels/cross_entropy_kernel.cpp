#include "cross_entropy.h"

#include "log_sum.h"

namespace lathe::kernels::LATHE_ISA {
namespace {

// Exponents below this give 0 exactly, and a finite product with 0.
constexpr float lowest_exponent = -104.0f;

template <class T>
void zero(T* x, std::size_t begin, std::size_t end) {
  each_vector(begin, end, [&](std::size_t i, auto n) { store(x + i, broadcast(0), n); });
}

template <class T>
void put(T* at, float value) {
  store(at, broadcast(value), std::size_t{1});
}

struct RowSums {
  float lse;
  float logits;   // sum of the logits, when wanted
  float entropy;  // when wanted
};

// One pass over memory: each block is read again from the first-level cache. Sums are those of
// scale x, but for the sum of the logits.
template <bool with_logits, bool with_entropy, class T>
RowSums row_sums(const T* x, std::size_t width, float scale) {
  LogSum log_sum;
  float weighted = 0;  // sum of exp(x - top) (x - top)
  float logits = 0;
  for (std::size_t begin = 0; begin < width; begin += log_sum_block) {
    const T* block = x + begin;
    const std::size_t count = width - begin < log_sum_block ? width - begin : log_sum_block;
    const float before = log_sum.shift();
    const float factor = log_sum.raise(scale * maximum_of(block, count));
    const vfloat shift = broadcast(log_sum.shift());
    four total = all_four(0);
    four products = all_four(0);
    four plain = all_four(0);
    each_vector_of_four(count, [&](std::size_t i, auto n, int k) {
      const vfloat value = load(block + i, n);
      const vfloat exponent = max(broadcast(lowest_exponent), fma(value, broadcast(scale), -shift));
      const vfloat power = keep(exp(exponent), n, broadcast(0));
      total.at[k] = total.at[k] + power;
      if constexpr (with_entropy) products.at[k] = fma(power, exponent, products.at[k]);
      if constexpr (with_logits) plain.at[k] = plain.at[k] + value;
    });
    if constexpr (with_entropy) {
      const float moved = factor > 0 ? weighted + log_sum.total * (before - log_sum.shift()) : 0.0f;
      weighted = factor * moved + sum(products);
    }
    log_sum.total = factor * log_sum.total + sum(total);
    if constexpr (with_logits) logits += sum(plain);
  }
  const float log_total = log_of(log_sum.total);
  return {log_sum.shift() + log_total, logits, log_total - weighted / log_sum.total};
}

template <class T>
void loss_row(const CrossEntropy& a, std::size_t row) {
  T* x = static_cast<T*>(a.logits) + row * a.stride;
  const std::int32_t target = a.targets[row];
  if (target < 0) {
    if (a.loss != nullptr) a.loss[row] = 0;
    if (a.lse != nullptr) a.lse[row] = 0;
    if (a.gradient) zero(x, 0, a.padded > a.vocabulary ? a.padded : a.vocabulary);
    return;
  }
  const float smoothing = a.label_smoothing;
  const RowSums sums = smoothing != 0 ? row_sums<true, false>(x, a.vocabulary, 1)
                                      : row_sums<false, false>(x, a.vocabulary, 1);
  const float lse = sums.lse;
  float loss = lse - scalar(x + target);
  if (smoothing != 0) {
    const float mean = sums.logits / static_cast<float>(a.vocabulary);
    loss = (1 - smoothing) * loss + smoothing * (lse - mean);
  }
  if (a.z_loss != 0) loss += a.z_loss * lse * lse;
  if (a.loss != nullptr) a.loss[row] = loss;
  if (a.lse != nullptr) a.lse[row] = lse;
  if (!a.gradient) return;

  const float weight = a.weights != nullptr ? a.weights[row] : 1.0f;
  const float factor = weight * (1 + 2 * a.z_loss * lse);
  const float uniform = weight * smoothing / static_cast<float>(a.vocabulary);
  const float at_target = factor * first_lane(exp(broadcast(scalar(x + target) - lse))) - uniform -
                          weight * (1 - smoothing);
  each_vector(0, a.vocabulary, [&](std::size_t i, auto n) {
    const vfloat p = exp(load(x + i, n) - broadcast(lse));
    store(x + i, fma(p, broadcast(factor), broadcast(-uniform)), n);
  });
  put(x + target, at_target);
  zero(x, a.vocabulary, a.padded);
}

template <class T>
void token_row(const TokenLogProbability& a, std::size_t row) {
  const T* x = static_cast<const T*>(a.logits) + row * a.stride;
  const std::int32_t target = a.targets[row];
  if (target < 0) {
    a.logp[row] = 0;
    a.lse[row] = 0;
    if (a.entropy != nullptr) a.entropy[row] = 0;
    return;
  }
  const RowSums sums = a.entropy != nullptr ? row_sums<false, true>(x, a.vocabulary, a.scale)
                                            : row_sums<false, false>(x, a.vocabulary, a.scale);
  a.logp[row] = a.scale * scalar(x + target) - sums.lse;
  a.lse[row] = sums.lse;
  if (a.entropy != nullptr) a.entropy[row] = sums.entropy;
}

template <class T>
void token_backward_row(const TokenLogProbabilityBackward& a, std::size_t row) {
  T* x = static_cast<T*>(a.logits) + row * a.stride;
  const std::int32_t target = a.targets[row];
  if (target < 0) {
    zero(x, 0, a.padded > a.vocabulary ? a.padded : a.vocabulary);
    return;
  }
  const vfloat lse = broadcast(a.lse[row]);
  const vfloat scale = broadcast(a.scale);
  const float dlogp = a.scale * a.dlogp[row];
  const float dentropy = a.dentropy != nullptr ? a.scale * a.dentropy[row] : 0.0f;
  // -scale p (dlogp + dentropy (log p + entropy))
  const float entropy = dentropy != 0 ? a.entropy[row] : 0.0f;
  const vfloat constant = broadcast(-dlogp - dentropy * entropy);
  const vfloat slope = broadcast(-dentropy);
  const auto gradient = [&](vfloat logit) {
    const vfloat log_p = max(broadcast(lowest_exponent), fma(logit, scale, -lse));
    return exp(log_p) * fma(slope, log_p, constant);
  };
  const float at_target = dlogp + first_lane(gradient(broadcast(scalar(x + target))));
  each_vector(0, a.vocabulary,
              [&](std::size_t i, auto n) { store(x + i, gradient(load(x + i, n)), n); });
  put(x + target, at_target);
  zero(x, a.vocabulary, a.padded);
}

}  // namespace

void cross_entropy(const CrossEntropy& a) {
#pragma omp parallel for schedule(static) if (a.rows * a.vocabulary >= parallel_from)
  for (std::size_t row = 0; row < a.rows; ++row) {
    a.dtype == DType::bf16 ? loss_row<bf16>(a, row) : loss_row<float>(a, row);
  }
}

void token_log_probability(const TokenLogProbability& a) {
#pragma omp parallel for schedule(static) if (a.rows * a.vocabulary >= parallel_from)
  for (std::size_t row = 0; row < a.rows; ++row) {
    a.dtype == DType::bf16 ? token_row<bf16>(a, row) : token_row<float>(a, row);
  }
}

void token_log_probability_backward(const TokenLogProbabilityBackward& a) {
#pragma omp parallel for schedule(static) if (a.rows * a.vocabulary >= parallel_from)
  for (std::size_t row = 0; row < a.rows; ++row) {
    a.dtype == DType::bf16 ? token_backward_row<bf16>(a, row) : token_backward_row<float>(a, row);
  }
}

}  // namespace lathe::kernels::LATHE_ISA
