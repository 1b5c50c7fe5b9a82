#include <lathe/nn/block.h>

namespace lathe {

Recompute recompute_of(const std::string& name) {
  if (name == "none") return Recompute::none;
  if (name == "gelu") return Recompute::gelu;
  if (name == "norm") return Recompute::norm;
  if (name == "block") return Recompute::block;
  fail("there is no recompute = \"", name, "\". Valid: none, gelu, norm, block");
}

Block::Block(Parameters& parameters, const std::string& name, int index,
             const BlockOptions& options)
    : with_(options), index_(index) {
  const std::int64_t head_width = options.width / options.heads;
  const std::int64_t packed = (options.heads + 2 * options.key_heads) * head_width;
  const Initial inner = Initial::normal(options.deviation);
  const Initial outer = Initial::normal(options.residual_deviation);
  attention_norm_ = Normalisation(parameters, name + ".attention_norm", options.width, options.norm,
                                  options.bias, options.epsilon);
  qkv_ = Linear(parameters, name + ".qkv", options.width, packed, options.bias, inner);
  projection_ =
      Linear(parameters, name + ".projection", options.width, options.width, options.bias, outer);
  feed_norm_ = Normalisation(parameters, name + ".feed_norm", options.width, options.norm,
                             options.bias, options.epsilon);
  up_ = Linear(parameters, name + ".up", options.width,
               options.gated ? 2 * options.hidden : options.hidden, options.bias, inner);
  down_ = Linear(parameters, name + ".down", options.hidden, options.width, options.bias, outer);
}

// A stream of its own for each place where a block drops values out; the pass itself keeps number
// 0.
RandomStream Block::stream(const PassOptions& pass, int which) const {
  RandomStream own = pass.dropout;
  own.key[1] += static_cast<std::uint32_t>(4 * index_ + 1 + which);
  return own;
}

Tensor Block::attend(const Tensor& normed, const Tensor& x, const Places& places,
                     const PassOptions& pass) const {
  const std::int64_t rows = places.rows;
  const std::int64_t length = places.length;
  const std::int64_t head_width = with_.width / with_.heads;
  const std::int64_t key_width = with_.key_heads * head_width;
  const std::vector<Tensor> parts = split(qkv_(normed), {with_.width, key_width, key_width});
  Tensor q = parts[0].reshape({rows * length, with_.heads, head_width});
  Tensor k = parts[1].reshape({rows * length, with_.key_heads, head_width});
  if (with_.rotary_base > 0) {
    q = rotary(q, places.positions, with_.rotary_base);
    k = rotary(k, places.positions, with_.rotary_base);
  }
  q = q.reshape({rows, length, with_.heads, head_width});
  k = k.reshape({rows, length, with_.key_heads, head_width});
  Tensor v = parts[2].reshape({rows, length, with_.key_heads, head_width});

  AttentionOptions options{.causal = with_.causal,
                           .offset = {},
                           .q_segment = places.segments,
                           .k_segment = places.segments,
                           .random = stream(pass, 0)};
  if (pass.training) options.dropout = with_.dropout;
  if (places.cache != nullptr) {
    const LayerCache& cache = places.cache->layers[static_cast<std::size_t>(index_)];
    k.backend().kv_append(k.view(), places.cache->lengths.view(), cache.keys.view());
    k.backend().kv_append(v.view(), places.cache->lengths.view(), cache.values.view());
    k = cache.keys;
    v = cache.values;
    options.offset = places.cache->lengths;
  }
  const Tensor mixed = attention(q, k, v, options).reshape({rows * length, with_.width});
  if (!pass.training || with_.dropout == 0) return projection_(mixed, Activation::none, x);
  return add(x, dropout(projection_(mixed), with_.dropout, stream(pass, 1)));
}

Tensor Block::feed_forward(const Tensor& normed, const Tensor& x, const PassOptions& pass) const {
  const bool keeps = with_.recompute == Recompute::none || with_.recompute == Recompute::block;
  const Keep keep = keeps ? Keep::result : Keep::recipe;
  const Tensor hidden =
      with_.gated ? swiglu(up_(normed), keep) : up_(normed, with_.activation, {}, keep);
  if (!pass.training || with_.dropout == 0) return down_(hidden, Activation::none, x);
  return add(x, dropout(down_(hidden), with_.dropout, stream(pass, 2)));
}

Tensor Block::operator()(const Tensor& x, const Places& places, const PassOptions& pass) const {
  // With a cache nothing is learnt, and running twice would append twice.
  if (with_.recompute != Recompute::block || places.cache != nullptr) return run(x, places, pass);
  return recomputed([this, x, places, pass] { return run(x, places, pass); });
}

Tensor Block::run(const Tensor& x, const Places& places, const PassOptions& pass) const {
  const Keep keep = with_.recompute == Recompute::norm ? Keep::recipe : Keep::result;
  if (with_.post_norm) {
    const Tensor mixed = attention_norm_(attend(x, x, places, pass), keep);
    return feed_norm_(feed_forward(mixed, mixed, pass), keep);
  }
  const Tensor mixed = attend(attention_norm_(x, keep), x, places, pass);
  return feed_forward(feed_norm_(mixed, keep), mixed, pass);
}

}  // namespace lathe
