#include <algorithm>
#include <cmath>
#include <vector>

#include "elements.h"
#include "reference.h"

namespace lathe {
using namespace reference;

namespace {
std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

// logits_v = x[n] . weight[v] / temperature; returns their log-sum-exp.
template <class T>
double logits_of(const At<T>& x, const At<T>& weight, std::int64_t n, std::int64_t C,
                 double temperature, std::vector<double>& logits) {
  double most = -INFINITY;
  for (std::size_t v = 0; v < logits.size(); ++v) {
    double dot = 0;
    for (std::int64_t c = 0; c < C; ++c) dot += x(n, c) * weight(static_cast<std::int64_t>(v), c);
    logits[v] = dot / temperature;
    most = std::max(most, logits[v]);
  }
  double sum = 0;
  for (const double logit : logits) sum += std::exp(logit - most);
  return most + std::log(sum);
}

// Sends the gradient of the logits x w^T on: dx at once, dweight summed over the rows in double.
template <class T>
class HeadGradient {
 public:
  HeadGradient(const View& x, const View& weight, const Target& dx, const Target& dweight)
      : V_(weight.shape[0]),
        C_(weight.shape[1]),
        x_(x),
        weight_(weight),
        dx_(dx.view),
        dweight_(dweight.view),
        dx_adds_(dx.add),
        dweight_adds_(dweight.add),
        sum_(dweight ? at(V_ * C_) : 0) {}

  bool wanted() const { return dx_ || dweight_; }

  void row(std::int64_t n, const std::vector<double>& dlogits) {
    for (std::int64_t c = 0; dx_ && c < C_; ++c) {
      double sum = 0;
      for (std::int64_t v = 0; v < V_; ++v) sum += dlogits[at(v)] * weight_(v, c);
      put(dx_(n, c), sum, dx_adds_);
    }
    for (std::int64_t v = 0; dweight_ && v < V_; ++v) {
      for (std::int64_t c = 0; c < C_; ++c) sum_[at(v * C_ + c)] += dlogits[at(v)] * x_(n, c);
    }
  }

  void finish() {
    for (std::int64_t v = 0; dweight_ && v < V_; ++v) {
      for (std::int64_t c = 0; c < C_; ++c) {
        put(dweight_(v, c), sum_[at(v * C_ + c)], dweight_adds_);
      }
    }
  }

 private:
  std::int64_t V_, C_;
  At<T> x_, weight_, dx_;
  At<Wide<T>> dweight_;
  bool dx_adds_, dweight_adds_;
  std::vector<double> sum_;
};
}  // namespace

// dlogits_v = weights[n] ((1 + 2 z_loss lse) p_v - (1 - smoothing) [v = target] - smoothing / V)
void ReferenceBackend::head_loss(const HeadLossArguments& arguments) {
  const std::int64_t N = arguments.x.shape[0], C = arguments.x.shape[1];
  const std::int64_t V = arguments.weight.shape[0];
  const double smoothing = arguments.smoothing;
  for_floating(arguments.x.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> x(arguments.x), weight(arguments.weight);
    const At<std::int32_t> targets(arguments.targets);
    const At<Wide<T>> weights(arguments.weights), loss(arguments.loss), lse(arguments.lse);
    HeadGradient<T> gradient(arguments.x, arguments.weight, arguments.dx, arguments.dweight);
    std::vector<double> logits(at(V)), dlogits(at(V));
    for (std::int64_t n = 0; n < N; ++n) {
      const std::int64_t target = row_at(targets, n, V, "head_loss, targets");
      double row_loss = 0, log_sum = 0;
      std::fill(dlogits.begin(), dlogits.end(), 0.0);
      if (target >= 0) {
        log_sum = logits_of(x, weight, n, C, 1, logits);
        double mean = 0;
        for (const double logit : logits) mean += (log_sum - logit) / static_cast<double>(V);
        row_loss = (1 - smoothing) * (log_sum - logits[at(target)]) + smoothing * mean +
                   arguments.z_loss * log_sum * log_sum;
        for (std::int64_t v = 0; gradient.wanted() && v < V; ++v) {
          const double p = std::exp(logits[at(v)] - log_sum);
          const double wanted =
              (v == target ? 1 - smoothing : 0) + smoothing / static_cast<double>(V);
          dlogits[at(v)] = weights(n) * ((1 + 2 * arguments.z_loss * log_sum) * p - wanted);
        }
      }
      loss(n) = row_loss;
      lse(n) = log_sum;
      gradient.row(n, dlogits);
    }
    gradient.finish();
  });
}

void ReferenceBackend::head_tokens(const HeadTokensArguments& arguments) {
  const std::int64_t N = arguments.x.shape[0], C = arguments.x.shape[1];
  const std::int64_t V = arguments.weight.shape[0];
  for_floating(arguments.x.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> x(arguments.x), weight(arguments.weight);
    const At<std::int32_t> targets(arguments.targets);
    const At<Wide<T>> log_probability(arguments.log_probability), lse(arguments.lse);
    const At<Wide<T>> entropy(arguments.entropy);
    std::vector<double> logits(at(V));
    for (std::int64_t n = 0; n < N; ++n) {
      const std::int64_t target = row_at(targets, n, V, "head_tokens, targets");
      double log_sum = 0, chosen = 0, spread = 0;
      if (target >= 0) {
        log_sum = logits_of(x, weight, n, C, arguments.temperature, logits);
        chosen = logits[at(target)] - log_sum;
        for (const double logit : logits) spread += std::exp(logit - log_sum) * (log_sum - logit);
      }
      log_probability(n) = chosen;
      lse(n) = log_sum;
      if (entropy) entropy(n) = spread;
    }
  });
}

// With l the logits over the temperature and E the entropy:
//   dl_v = dlog_probability ([v = target] - p_v) + dentropy p_v (lse - l_v - E)
void ReferenceBackend::head_tokens_gradient(const HeadTokensGradients& arguments) {
  const HeadTokensArguments& forward = arguments.forward;
  const std::int64_t N = forward.x.shape[0], C = forward.x.shape[1];
  const std::int64_t V = forward.weight.shape[0];
  for_floating(forward.x.dtype, [&]<class T>(std::type_identity<T>) {
    const At<T> x(forward.x), weight(forward.weight);
    const At<std::int32_t> targets(forward.targets);
    const At<Wide<T>> dchosen(arguments.dlog_probability), dspread(arguments.dentropy);
    HeadGradient<T> gradient(forward.x, forward.weight, arguments.dx, arguments.dweight);
    std::vector<double> logits(at(V)), dlogits(at(V));
    for (std::int64_t n = 0; n < N; ++n) {
      const std::int64_t target = row_at(targets, n, V, "head_tokens_gradient, targets");
      std::fill(dlogits.begin(), dlogits.end(), 0.0);
      if (target >= 0) {
        const double log_sum = logits_of(x, weight, n, C, forward.temperature, logits);
        double entropy = 0;
        for (const double logit : logits) entropy += std::exp(logit - log_sum) * (log_sum - logit);
        for (std::int64_t v = 0; v < V; ++v) {
          const double p = std::exp(logits[at(v)] - log_sum);
          double slope = dchosen(n) * ((v == target ? 1 : 0) - p);
          if (dspread) slope += dspread(n) * p * (log_sum - logits[at(v)] - entropy);
          dlogits[at(v)] = slope / forward.temperature;
        }
      }
      gradient.row(n, dlogits);
    }
    gradient.finish();
  });
}

}  // namespace lathe
