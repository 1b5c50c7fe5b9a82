// Attention in fine-grained ops. It holds the weights of all heads, [B, H, T, S] in the wide type.
// Heads are laid out [B, G, R, ...] with R = H / G query heads to a key head.
#include <lathe/tensor/composed.h>

#include <cmath>
#include <vector>

namespace lathe {
using namespace composed;

namespace {
struct Extents {
  std::int64_t B, T, H, D, S, G, R;

  explicit Extents(const AttentionArguments& arguments)
      : B(arguments.q.shape[0]),
        T(arguments.q.shape[1]),
        H(arguments.q.shape[2]),
        D(arguments.q.shape[3]),
        S(arguments.k.shape[1]),
        G(arguments.k.shape[2]),
        R(G == 0 ? 0 : H / G) {}

  // [B, T, H, D], dense -> [B, G, R, T, D]
  View queries(const View& q) const {
    return transposed(transposed(reshaped(q, {B, T, G, R, D}), 1, 2), 2, 3);
  }
  // [B, S, G, D], dense -> [B, G, R, S, D], each key head repeated for its query heads
  View keys(const View& k) const {
    const View turned = transposed(transposed(reshaped(k, {B, S, G, 1, D}), 1, 2), 2, 3);
    return broadcast(turned, {B, G, R, S, D});
  }
  // [B, G, R, T, D], dense -> [B, T, H, D]
  View by_position(const View& y) const { return transposed(reshaped(y, {B, H, T, D}), 1, 2); }
};

// 1 where the query must not see the key: [B, 1, 1, T, S].
Scratch hidden(Backend& backend, const AttentionArguments& arguments, DType type) {
  const Extents of(arguments);
  Scratch mask(backend, type, {of.B, 1, 1, of.T, of.S});
  if (arguments.causal) {
    Scratch last = cast(backend, reshaped(counting(backend, type, of.T), {1, 1, 1, of.T, 1}), type);
    if (arguments.offset) {
      const Scratch offset = cast(backend, arguments.offset, type);
      last = apply(backend, Binary::add, last, reshaped(offset, {of.B, 1, 1, 1, 1}));
    }
    const Scratch key = counting(backend, type, of.S);
    mask = apply(backend, Binary::maximum, mask, apply(backend, Binary::less, last, key));
  }
  if (arguments.q_segment) {
    const Scratch query = cast(backend, arguments.q_segment, type);
    const Scratch key = cast(backend, arguments.k_segment, type);
    const View column = reshaped(query, {of.B, 1, 1, of.T, 1});
    const Scratch same =
        apply(backend, Binary::equal, column, reshaped(key, {of.B, 1, 1, 1, of.S}));
    mask = apply(backend, Binary::maximum, mask, apply(backend, Binary::subtract, 1.0, same));
    mask = apply(backend, Binary::maximum, mask, apply(backend, Binary::less, column, 0.0));
  }
  return mask;
}

// The scaled scores, -infinity where hidden: [B, G, R, T, S].
Scratch scores(Backend& backend, const AttentionArguments& arguments, const View& q,
               const View& k) {
  const Extents of(arguments);
  const Scratch dots = product(backend, of.queries(q), transposed(of.keys(k), 3, 4));
  return choose(backend, hidden(backend, arguments, q.dtype), -INFINITY,
                apply(backend, Binary::multiply, dots, arguments.scale));
}

Scratch without_infinity(Backend& backend, const View& x) {
  return choose(backend, apply(backend, Binary::equal, x, -INFINITY), 0, x);
}

// Dropout counts its elements in [B, H, T, S], which is the order of [B, G, R, T, S].
Scratch thinned(Backend& backend, const AttentionArguments& arguments, const View& weights) {
  Scratch y(backend, weights.dtype, weights.shape);
  if (arguments.dropout > 0) {
    backend.dropout(weights, arguments.dropout, arguments.random, {y, false});
  } else {
    backend.copy(weights, y);
  }
  return y;
}
}  // namespace

void Backend::attention(const AttentionArguments& arguments) {
  const Extents of(arguments);
  const Scratch q = wide(*this, arguments.q);
  const Scratch k = wide(*this, arguments.k);
  const Scratch v = wide(*this, arguments.v);
  const Scratch score = scores(*this, arguments, q, k);
  const Scratch most = without_infinity(*this, reduced(*this, Reduce::maximum, score, -1));
  Scratch p = apply(*this, Unary::exp, apply(*this, Binary::subtract, score, most));
  const Scratch sum = reduced(*this, Reduce::sum, p, -1);
  if (arguments.lse) {
    const Scratch lse = apply(*this, Binary::add, apply(*this, Unary::log, sum), most);
    copy(reshaped(lse, arguments.lse.shape), arguments.lse);
  }
  const Scratch divisor = choose(*this, apply(*this, Binary::equal, sum, 0.0), 1, sum);
  p = thinned(*this, arguments, apply(*this, Binary::divide, p, divisor));
  copy(of.by_position(product(*this, p, of.keys(v))), arguments.y);
}

void Backend::attention_gradient(const AttentionGradients& arguments) {
  const AttentionArguments& forward = arguments.forward;
  const Extents of(forward);
  const Scratch q = wide(*this, forward.q);
  const Scratch k = wide(*this, forward.k);
  const Scratch v = wide(*this, forward.v);
  const Scratch dy = wide(*this, arguments.dy);
  const Scratch lse = without_infinity(*this, wide(*this, forward.lse));
  const Scratch p = apply(*this, Unary::exp,
                          apply(*this, Binary::subtract, scores(*this, forward, q, k),
                                reshaped(lse, {of.B, of.G, of.R, of.T, 1})));
  // A key head's gradient is the sum over its query heads.
  const auto put_keys = [&](const View& each, const Target& target) {
    const Scratch sum = reduced(*this, Reduce::sum, each, 2);
    put(*this, transposed(reshaped(sum, {of.B, of.G, of.S, of.D}), 1, 2), target);
  };
  if (arguments.dv) {
    const Scratch kept = thinned(*this, forward, p);
    put_keys(product(*this, transposed(kept, 3, 4), of.queries(dy)), arguments.dv);
  }
  if (!arguments.dq && !arguments.dk) return;
  const Scratch dp =
      thinned(*this, forward, product(*this, of.queries(dy), transposed(of.keys(v), 3, 4)));
  const Scratch mean = reduced(*this, Reduce::sum, apply(*this, Binary::multiply, p, dp), -1);
  const Scratch dscore = apply(
      *this, Binary::multiply,
      apply(*this, Binary::multiply, p, apply(*this, Binary::subtract, dp, mean)), forward.scale);
  if (arguments.dq) {
    put(*this, of.by_position(product(*this, dscore, of.keys(k))), arguments.dq);
  }
  if (arguments.dk) {
    put_keys(product(*this, transposed(dscore, 3, 4), of.queries(q)), arguments.dk);
  }
}

void Backend::kv_append(const View& x, const View& position, const View& cache) {
  const Scratch dense = cast(*this, position, DType::i32);
  std::vector<std::int32_t> first(static_cast<std::size_t>(position.count()));
  download(first.data(), dense.view().data, first.size() * sizeof first[0]);
  for (std::int64_t b = 0; b < x.shape[0]; ++b) {
    const std::int64_t start = first[static_cast<std::size_t>(b)];
    copy(sliced(x, 0, b, b + 1), sliced(sliced(cache, 0, b, b + 1), 1, start, start + x.shape[1]));
  }
}

}  // namespace lathe
