// Shapes, operands and a plain computation in double precision for the tests of the attention
// kernels.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "../../plugins/backends/onednn/kernels/attention.h"

namespace lathe::kernels::example {

using Index = std::int64_t;
using Doubles = std::vector<double>;
using Ids = std::vector<std::int32_t>;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr float sentinel = 12345.0f;

struct Shape {
  Index batch = 1, queries = 1, keys = 1, heads = 1, key_heads = 1, width = 16;
  bool causal = false;
  float dropout = 0.0f;
  Ids offset, query_segment, key_segment;  // empty = none
  bool bf = false;
};

// Memory for one operand: strided as asked, everything between the values holds the sentinel.
class Buffer {
 public:
  Buffer(const Shape& s, Index time, Index heads, Index gap = 0, Index lead = 0)
      : bf_(s.bf), width_(s.width), heads_(heads), time_(time), batch_(s.batch), lead_(lead) {
    operand.head = s.width;
    operand.time = heads * s.width + gap;
    operand.batch = time * operand.time;
    const auto size = static_cast<std::size_t>(s.batch * operand.batch + lead + gap + 64);
    floats_.assign(bf_ ? 0 : size, sentinel);
    halves_.assign(bf_ ? size : 0, bf16(sentinel));
    operand.data =
        bf_ ? static_cast<void*>(halves_.data() + lead) : static_cast<void*>(floats_.data() + lead);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::size_t at(Index b, Index t, Index h, Index d) const {
    return static_cast<std::size_t>(lead_ + b * operand.batch + t * operand.time +
                                    h * operand.head + d);
  }
  double get(Index b, Index t, Index h, Index d) const {
    const std::size_t i = at(b, t, h, d);
    return bf_ ? static_cast<double>(static_cast<float>(halves_[i]))
               : static_cast<double>(floats_[i]);
  }
  void set(Index b, Index t, Index h, Index d, float x) {
    const std::size_t i = at(b, t, h, d);
    if (bf_) {
      halves_[i] = bf16(x);
    } else {
      floats_[i] = x;
    }
  }
  void fill(std::uint64_t seed) {
    const RandomStream random(seed, "attention-test");
    std::uint64_t i = 0;
    each([&](Index b, Index t, Index h, Index d) {
      set(b, t, h, d, static_cast<float>(random.normal(i++)));
    });
  }
  Doubles values() const {
    Doubles all;
    each([&](Index b, Index t, Index h, Index d) { all.push_back(get(b, t, h, d)); });
    return all;
  }
  // Whether every element that belongs to no head still holds the sentinel.
  bool untouched_between() const {
    std::vector<bool> used(bf_ ? halves_.size() : floats_.size());
    each([&](Index b, Index t, Index h, Index d) { used[at(b, t, h, d)] = true; });
    for (std::size_t i = 0; i < used.size(); ++i) {
      const float x = bf_ ? static_cast<float>(halves_[i]) : floats_[i];
      const float expected = bf_ ? static_cast<float>(bf16(sentinel)) : sentinel;
      if (!used[i] && x != expected) return false;
    }
    return true;
  }
  bool same_bits(const Buffer& other) const {
    const auto same = [](const auto& a, const auto& b) {
      return a.size() == b.size() &&
             (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0);
    };
    return same(floats_, other.floats_) && same(halves_, other.halves_);
  }
  template <class F>
  void each(F f) const {
    for (Index b = 0; b < batch_; ++b)
      for (Index t = 0; t < time_; ++t)
        for (Index h = 0; h < heads_; ++h)
          for (Index d = 0; d < width_; ++d) f(b, t, h, d);
  }

  AttentionOperand operand;

 private:
  bool bf_;
  Index width_, heads_, time_, batch_, lead_;
  std::vector<float> floats_;
  std::vector<bf16> halves_;
};

inline std::size_t flat(Index a) { return static_cast<std::size_t>(a); }

// The definition, in double: outputs, lse and, with an output gradient, all gradients.
struct Plain {
  const Shape& s;
  double scale;
  RandomStream random;
  Doubles q, k, v;  // dense [B,T,H,D], [B,S,G,D]
  Doubles out, lse, dq, dk, dv;
  Doubles dq_terms, dk_terms;  // the same sums without cancellation: every term by its magnitude

  std::size_t query(Index b, Index t, Index h) const {
    return flat(((b * s.queries + t) * s.heads + h) * s.width);
  }
  std::size_t key(Index b, Index j, Index h) const {
    return flat(((b * s.keys + j) * s.key_heads + h / (s.heads / s.key_heads)) * s.width);
  }
  bool sees(Index b, Index t, Index j) const {
    const Index before = s.offset.empty() ? 0 : s.offset[flat(b)];
    if (s.causal && j > before + t) return false;
    if (s.query_segment.empty()) return true;
    const std::int32_t mine = s.query_segment[flat(b * s.queries + t)];
    return mine >= 0 && mine == s.key_segment[flat(b * s.keys + j)];
  }
  double kept(Index b, Index h, Index t, Index j) const {
    if (s.dropout == 0.0f) return 1.0;
    const Index index = ((b * s.heads + h) * s.queries + t) * s.keys + j;
    const bool drop = random.uniform(static_cast<std::uint64_t>(index)) < s.dropout;
    return drop ? 0.0 : 1.0 / (1.0 - static_cast<double>(s.dropout));
  }

  Doubles weights(Index b, Index t, Index h, double& log_sum) const {
    Doubles p(flat(s.keys), 0.0);
    double peak = -infinity;
    for (Index j = 0; j < s.keys; ++j) {
      if (!sees(b, t, j)) continue;
      for (Index d = 0; d < s.width; ++d) {
        p[flat(j)] += scale * q[query(b, t, h) + flat(d)] * k[key(b, j, h) + flat(d)];
      }
      peak = std::max(peak, p[flat(j)]);
    }
    double sum = 0.0;
    for (Index j = 0; j < s.keys; ++j) {
      p[flat(j)] = sees(b, t, j) ? std::exp(p[flat(j)] - peak) : 0.0;
      sum += p[flat(j)];
    }
    log_sum = sum > 0.0 ? peak + std::log(sum) : -infinity;
    for (double& x : p) x = sum > 0.0 ? x / sum : 0.0;
    return p;
  }
  void forward() {
    out.assign(q.size(), 0.0);
    lse.assign(flat(s.batch * s.heads * s.queries), 0.0);
    for (Index b = 0; b < s.batch; ++b)
      for (Index h = 0; h < s.heads; ++h)
        for (Index t = 0; t < s.queries; ++t) {
          const Doubles p = weights(b, t, h, lse[flat((b * s.heads + h) * s.queries + t)]);
          for (Index j = 0; j < s.keys; ++j) {
            if (!sees(b, t, j)) continue;
            const double w = p[flat(j)] * kept(b, h, t, j);
            for (Index d = 0; d < s.width; ++d) {
              out[query(b, t, h) + flat(d)] += w * v[key(b, j, h) + flat(d)];
            }
          }
        }
  }
  void backward(const Doubles& dout) {
    dq.assign(q.size(), 0.0);
    dk.assign(k.size(), 0.0);
    dv.assign(v.size(), 0.0);
    dq_terms = dq;
    dk_terms = dk;
    for (Index b = 0; b < s.batch; ++b)
      for (Index h = 0; h < s.heads; ++h)
        for (Index t = 0; t < s.queries; ++t) backward_row(b, h, t, dout);
  }
  void backward_row(Index b, Index h, Index t, const Doubles& dout) {
    double unused = 0.0;
    const Doubles p = weights(b, t, h, unused);
    const std::size_t i = query(b, t, h);
    Doubles dp(flat(s.keys), 0.0), dp_terms = dp;
    double delta = 0.0, delta_terms = 0.0;
    for (Index j = 0; j < s.keys; ++j) {
      if (!sees(b, t, j)) continue;
      const std::size_t at = key(b, j, h);
      const double factor = kept(b, h, t, j);
      for (std::size_t d = 0; d < flat(s.width); ++d) {
        dp[flat(j)] += factor * dout[i + d] * v[at + d];
        dp_terms[flat(j)] += factor * std::abs(dout[i + d] * v[at + d]);
        dv[at + d] += factor * p[flat(j)] * dout[i + d];
      }
      delta += p[flat(j)] * dp[flat(j)];
      delta_terms += p[flat(j)] * dp_terms[flat(j)];
    }
    for (Index j = 0; j < s.keys; ++j) {
      if (!sees(b, t, j)) continue;
      const double ds = scale * p[flat(j)] * (dp[flat(j)] - delta);
      const double ds_terms = scale * p[flat(j)] * (dp_terms[flat(j)] + delta_terms);
      for (std::size_t d = 0; d < flat(s.width); ++d) {
        dq[i + d] += ds * k[key(b, j, h) + d];
        dk[key(b, j, h) + d] += ds * q[i + d];
        dq_terms[i + d] += ds_terms * std::abs(k[key(b, j, h) + d]);
        dk_terms[key(b, j, h) + d] += ds_terms * std::abs(q[i + d]);
      }
    }
  }
};

// Operands of one call, its results, and the plain computation beside it.
struct Example {
  explicit Example(const Shape& shape, Index gap = 0, Index lead = 0)
      : s(shape),
        q(s, s.queries, s.heads, gap, lead),
        k(s, s.keys, s.key_heads, gap, lead),
        v(s, s.keys, s.key_heads, gap, lead),
        out(s, s.queries, s.heads, gap, lead),
        dout(s, s.queries, s.heads, gap, lead),
        dq(s, s.queries, s.heads, gap, lead),
        dk(s, s.keys, s.key_heads, gap, lead),
        dv(s, s.keys, s.key_heads, gap, lead),
        lse(flat(s.batch * s.heads * s.queries) + 1, sentinel) {
    q.fill(1);
    k.fill(2);
    v.fill(3);
    dout.fill(4);
  }
  Attention arguments() {
    Attention a;
    a.batch = s.batch;
    a.queries = s.queries;
    a.keys = s.keys;
    a.heads = s.heads;
    a.key_heads = s.key_heads;
    a.width = s.width;
    a.q = q.operand;
    a.k = k.operand;
    a.v = v.operand;
    a.out = out.operand;
    a.type = s.bf ? DType::bf16 : DType::f32;
    a.lse = lse.data();
    a.scale = 1.0f / std::sqrt(static_cast<float>(s.width));
    a.causal = s.causal;
    if (!s.offset.empty()) a.offset = s.offset.data();
    if (!s.query_segment.empty()) a.query_segment = s.query_segment.data();
    if (!s.key_segment.empty()) a.key_segment = s.key_segment.data();
    a.dropout = s.dropout;
    a.random = RandomStream(7, "dropout", 3);
    return a;
  }
  AttentionBackward backward_arguments() {
    AttentionBackward a;
    a.forward = arguments();
    a.out_gradient = dout.operand;
    a.q_gradient = dq.operand;
    a.k_gradient = dk.operand;
    a.v_gradient = dv.operand;
    return a;
  }
  Plain plain() {
    const Attention a = arguments();
    return Plain{s,          static_cast<double>(a.scale),
                 a.random,   q.values(),
                 k.values(), v.values(),
                 {},         {},
                 {},         {},
                 {},         {},
                 {}};
  }

  Shape s;
  Buffer q, k, v, out, dout, dq, dk, dv;
  std::vector<float> lse;
};

// Segments of lengths 5, 38, 64, 1, 70, ... with some padding at the end of each row of the batch.
inline Ids some_segments(Index batch, Index time, Index padding) {
  constexpr Index lengths[] = {5, 38, 64, 1, 70, 13};
  Ids ids;
  for (Index b = 0; b < batch; ++b) {
    Index left = lengths[b % 6];
    std::int32_t id = 0;
    for (Index t = 0; t < time; ++t, --left) {
      if (left == 0) {
        ++id;
        left = lengths[(b + id) % 6];
      }
      ids.push_back(t >= time - padding ? -1 : id);
    }
  }
  return ids;
}

}  // namespace lathe::kernels::example
