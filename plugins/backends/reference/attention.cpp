#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "elements.h"
#include "reference.h"

namespace lathe {
using namespace reference;

namespace {
// One query's view of the keys: which it sees, their scores, and what dropout leaves.
template <class T>
class Query {
 public:
  explicit Query(const AttentionArguments& arguments)
      : arguments_(arguments),
        q_(arguments.q),
        k_(arguments.k),
        offset_(arguments.offset),
        q_segment_(arguments.q_segment),
        k_segment_(arguments.k_segment),
        group_(arguments.k.shape[2] == 0 ? 1 : arguments.q.shape[2] / arguments.k.shape[2]) {}

  bool sees(std::int64_t b, std::int64_t t, std::int64_t s) const {
    if (arguments_.causal) {
      const double before = offset_ ? offset_(b) : 0.0;
      if (static_cast<double>(s) > before + static_cast<double>(t)) return false;
    }
    if (!q_segment_) return true;
    return q_segment_(b, t) >= 0 && q_segment_(b, t) == k_segment_(b, s);
  }

  // -infinity for a key that the query does not see.
  double score(std::int64_t b, std::int64_t h, std::int64_t t, std::int64_t s) const {
    if (!sees(b, t, s)) return -std::numeric_limits<double>::infinity();
    double dot = 0;
    for (std::int64_t d = 0; d < arguments_.q.shape[3]; ++d) {
      dot += q_(b, t, h, d) * k_(b, s, h / group_, d);
    }
    return arguments_.scale * dot;
  }

  // What a weight is multiplied with: 0 where it is dropped, 1 / (1 - p) where it is kept.
  double kept(std::int64_t b, std::int64_t h, std::int64_t t, std::int64_t s) const {
    if (arguments_.dropout <= 0) return 1;
    const Shape& q = arguments_.q.shape;
    const std::int64_t element = ((b * q[2] + h) * q[1] + t) * arguments_.k.shape[1] + s;
    const float drawn = arguments_.random.uniform(static_cast<std::uint64_t>(element));
    if (drawn < arguments_.dropout) return 0;
    return 1 / (1 - static_cast<double>(arguments_.dropout));
  }

  std::int64_t group() const { return group_; }

 private:
  const AttentionArguments& arguments_;
  At<T> q_, k_;
  At<std::int32_t> offset_, q_segment_, k_segment_;
  std::int64_t group_;  // query heads to a key head
};

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

// scores -> weights, in place; returns the log-sum-exp. No key seen: zeros and -infinity.
double normalise(std::vector<double>& scores) {
  double most = -std::numeric_limits<double>::infinity();
  for (const double score : scores) most = std::max(most, score);
  if (std::isinf(most) && most < 0) {
    std::fill(scores.begin(), scores.end(), 0.0);
    return most;
  }
  double sum = 0;
  for (const double score : scores) sum += std::exp(score - most);
  for (double& score : scores) score = std::exp(score - most) / sum;
  return most + std::log(sum);
}
}  // namespace

void ReferenceBackend::attention(const AttentionArguments& arguments) {
  const Shape& shape = arguments.q.shape;
  const std::int64_t B = shape[0], T_ = shape[1], H = shape[2], D = shape[3];
  const std::int64_t S = arguments.k.shape[1];
  for_floating(arguments.q.dtype, [&]<class T>(std::type_identity<T>) {
    const Query<T> query(arguments);
    const At<T> v(arguments.v), y(arguments.y);  // [B, S, G, D], [B, T, H, D]
    const At<Wide<T>> lse(arguments.lse);        // [B, H, T]
    std::vector<double> weights(at(S));
    for (std::int64_t b = 0; b < B; ++b) {
      for (std::int64_t h = 0; h < H; ++h) {
        for (std::int64_t t = 0; t < T_; ++t) {
          for (std::int64_t s = 0; s < S; ++s) weights[at(s)] = query.score(b, h, t, s);
          const double log_sum = normalise(weights);
          if (lse) lse(b, h, t) = log_sum;
          for (std::int64_t s = 0; s < S; ++s) weights[at(s)] *= query.kept(b, h, t, s);
          for (std::int64_t d = 0; d < D; ++d) {
            double sum = 0;
            for (std::int64_t s = 0; s < S; ++s) {
              if (weights[at(s)] != 0) sum += weights[at(s)] * v(b, s, h / query.group(), d);
            }
            y(b, t, h, d) = sum;
          }
        }
      }
    }
  });
}

// With p the weights, m what dropout leaves of one, and dp_s = m_s (dy . v_s):
//   dv_s = sum_t m_s p_s dy; dscore_s = p_s (dp_s - sum_s p_s dp_s);
//   dq = scale sum_s dscore_s k_s; dk_s = scale sum_t dscore_s q.
// Heads that share a key head add up.
void ReferenceBackend::attention_gradient(const AttentionGradients& arguments) {
  const AttentionArguments& forward = arguments.forward;
  const std::int64_t B = forward.q.shape[0], T_ = forward.q.shape[1], H = forward.q.shape[2];
  const std::int64_t S = forward.k.shape[1], G = forward.k.shape[2], D = forward.k.shape[3];
  for_floating(forward.q.dtype, [&]<class T>(std::type_identity<T>) {
    const Query<T> query(forward);
    const At<T> q(forward.q), k(forward.k), v(forward.v), dy(arguments.dy);
    const At<T> dq(arguments.dq.view), dk(arguments.dk.view), dv(arguments.dv.view);
    std::vector<double> p(at(S)), dp(at(S)), key_sum(at(S * D)), value_sum(at(S * D));
    for (std::int64_t b = 0; b < B; ++b) {
      for (std::int64_t g = 0; g < G; ++g) {
        std::fill(key_sum.begin(), key_sum.end(), 0.0);
        std::fill(value_sum.begin(), value_sum.end(), 0.0);
        for (std::int64_t h = g * query.group(); h < std::min(H, (g + 1) * query.group()); ++h) {
          for (std::int64_t t = 0; t < T_; ++t) {
            for (std::int64_t s = 0; s < S; ++s) p[at(s)] = query.score(b, h, t, s);
            normalise(p);
            double mean = 0;
            for (std::int64_t s = 0; s < S; ++s) {
              dp[at(s)] = 0;
              if (p[at(s)] == 0) continue;
              const double kept = query.kept(b, h, t, s);
              for (std::int64_t d = 0; d < D; ++d) {
                dp[at(s)] += kept * dy(b, t, h, d) * v(b, s, g, d);
                value_sum[at(s * D + d)] += kept * p[at(s)] * dy(b, t, h, d);
              }
              mean += p[at(s)] * dp[at(s)];
            }
            for (std::int64_t s = 0; s < S; ++s) {
              dp[at(s)] = forward.scale * p[at(s)] * (dp[at(s)] - mean);  // now dscore
            }
            for (std::int64_t d = 0; d < D; ++d) {
              double sum = 0;
              for (std::int64_t s = 0; s < S; ++s) {
                if (p[at(s)] == 0) continue;
                sum += dp[at(s)] * k(b, s, g, d);
                key_sum[at(s * D + d)] += dp[at(s)] * q(b, t, h, d);
              }
              if (dq) put(dq(b, t, h, d), sum, arguments.dq.add);
            }
          }
        }
        for (std::int64_t s = 0; s < S; ++s) {
          for (std::int64_t d = 0; d < D; ++d) {
            if (dk) put(dk(b, s, g, d), key_sum[at(s * D + d)], arguments.dk.add);
            if (dv) put(dv(b, s, g, d), value_sum[at(s * D + d)], arguments.dv.add);
          }
        }
      }
    }
  });
}

void ReferenceBackend::kv_append(const View& x, const View& position, const View& cache) {
  const At<std::int32_t> start(position);
  for (std::int64_t b = 0; b < x.shape[0]; ++b) {
    const auto first = static_cast<std::int64_t>(static_cast<double>(start(b)));
    if (first < 0 || first + x.shape[1] > cache.shape[1]) {
      fail("kv_append: row ", b, " would write the positions ", first, " to ", first + x.shape[1],
           " of a cache for ", cache.shape[1]);
    }
    copy(sliced(x, 0, b, b + 1), sliced(sliced(cache, 0, b, b + 1), 1, first, first + x.shape[1]));
  }
}

}  // namespace lathe
