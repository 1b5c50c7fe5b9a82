// Attention forward: one pass over the keys with a running softmax (Dao, "FlashAttention-2", 2023),
// and, for one query with a cache, a pass by many blocks that share the keys.
#include "attention.h"

#include <device/launch.h>
#include <device/range.h>

#include "checked_row.h"
#include "cuda.h"
#include "types.h"

namespace lathe {
namespace {
using namespace cuda;

constexpr int warps = 4;
constexpr int block_queries = 16 * warps;

// A block takes 64 queries of one head, a warp 16 of them, and goes through the keys. While it
// multiplies with one tile, the next one is on its way: K arrives during P V, V during Q K^T.
template <class T, int width>
struct AttentionForward {
  static constexpr int threads = warps * warp_size;
  static constexpr int keys = sizeof(T) == 2 ? 64 : 32;
  static constexpr int stride = row_stride<T, width>;
  static constexpr std::size_t shared_bytes = (block_queries + 2 * keys) * stride * sizeof(T) +
                                              warps * scratch_floats<T, keys> * sizeof(float);

  AttentionCall<T> call;
  Heads<T> y;

  // One tile of scores in the lanes, and what the warp has of its 16 rows so far. A lane has two
  // rows, and of each the columns that place_in_c says.
  struct State {
    float o[width / 8][4];
    float most[2];  // of scale * log2(e) * score
    float sum[2];   // of this lane's columns
  };
  LATHE_DEVICE void operator()(const Block& block) const {
    T* const queries = block.shared<T>();
    T* const k_tile = queries + block_queries * stride;
    T* const v_tile = k_tile + keys * stride;
    float* const scratch =
        reinterpret_cast<float*>(v_tile + keys * stride) + block.warp() * scratch_floats<T, keys>;
    const std::int64_t first = longest_first(block.x(), block.blocks_x()) * block_queries;
    const std::int64_t last =
        first + block_queries < call.queries ? first + block_queries - 1 : call.queries - 1;
    TilePlace at{block.z(), block.y(), call.keys_before(block.z()), first + 16 * block.warp(), 0};
    const std::int64_t g = key_head(at.h, call.heads, call.key_heads);
    const Rows<const T> k = call.k.rows(at.b, g), v = call.v.rows(at.b, g);
    const T* const own = queries + 16 * block.warp() * stride;
    State state{};
    state.most[0] = state.most[1] = -INFINITY;

    const Span blocks = key_blocks(last, call.keys, at.before, call.causal, keys);
    load_tile<block_queries, width, threads>(block, call.q.rows(at.b, at.h), first, queries);
    if (blocks.end > 0) load_tile<keys, width, threads>(block, k, 0, k_tile);
    for (std::int64_t n = 0; n < blocks.end; ++n) {
      await_copies();
      block.barrier();
      load_tile<keys, width, threads>(block, v, n * keys, v_tile);
      float scores[keys / 8][4];
      multiply<keys, width>(block, own, k_tile, scores);
      await_copies();
      block.barrier();
      if (n + 1 < blocks.end) {
        load_tile<keys, width, threads>(block, k, (n + 1) * keys, k_tile);
      }
      at.s = n * keys;
      weigh(block, at, scores, state);
      accumulate<keys, width>(block, scores, v_tile, scratch, state.o);
    }
    await_copies();
    finish(block, at, state, queries + 16 * block.warp() * stride);
  }

  // Scores become weights, relative to the most so far, and what was summed before follows.
  LATHE_DEVICE void weigh(const Block& block, const TilePlace& at, float (&scores)[keys / 8][4],
                          State& state) const {
    const float factor = call.scale * log2_of_e;
    const std::uint32_t seen = call.template seen<keys / 8>(block, at);
    float most[2] = {state.most[0], state.most[1]};
    LATHE_UNROLL
    for (int j = 0; j < keys / 8; ++j) {
      LATHE_UNROLL
      for (int i = 0; i < 4; ++i) {
        scores[j][i] = seen >> (4 * j + i) & 1 ? scores[j][i] * factor : -INFINITY;
        most[i / 2] = fmaxf(most[i / 2], scores[j][i]);
      }
    }
    float shrink[2], base[2];
    LATHE_UNROLL
    for (int row = 0; row < 2; ++row) {
      most[row] = fmaxf(most[row], block.shuffle_xor(most[row], 1));
      most[row] = fmaxf(most[row], block.shuffle_xor(most[row], 2));
      base[row] = most[row] == -INFINITY ? 0 : most[row];
      shrink[row] = exp2f(state.most[row] - base[row]);
      state.most[row] = most[row];
      state.sum[row] *= shrink[row];
    }
    LATHE_UNROLL
    for (int j = 0; j < width / 8; ++j) {
      LATHE_UNROLL
      for (int i = 0; i < 4; ++i) state.o[j][i] *= shrink[i / 2];
    }
    LATHE_UNROLL
    for (int j = 0; j < keys / 8; ++j) {
      LATHE_UNROLL
      for (int i = 0; i < 4; ++i) {
        scores[j][i] = exp2f(scores[j][i] - base[i / 2]);
        state.sum[i / 2] += scores[j][i];
      }
    }
    if (call.dropout <= 0) return;
    const std::uint32_t kept = call.template kept<keys / 8>(block, at);
    LATHE_UNROLL
    for (int j = 0; j < keys / 8; ++j) {
      LATHE_UNROLL
      for (int i = 0; i < 4; ++i) scores[j][i] *= kept >> (4 * j + i) & 1 ? call.raise() : 0;
    }
  }

  LATHE_DEVICE void finish(const Block& block, const TilePlace& at, State& state, T* tile) const {
    float inverse[2];
    LATHE_UNROLL
    for (int row = 0; row < 2; ++row) {
      state.sum[row] += block.shuffle_xor(state.sum[row], 1);
      state.sum[row] += block.shuffle_xor(state.sum[row], 2);
      inverse[row] = state.sum[row] > 0 ? 1 / state.sum[row] : 0;
      const std::int64_t t = at.t + block.lane() / 4 + 8 * row;
      if (call.lse != nullptr && block.lane() % 4 == 0 && t < call.queries) {
        call.lse_at(at.b, at.h, t) = state.most[row] * log_of_2 + logf(state.sum[row]);
      }
    }
    spread_rows<width>(block, state.o, inverse, tile);
    store_rows<width>(block, tile, y.rows(at.b, at.h), at.t, false);
  }
};

// ---- One query. A group of lanes takes a key at a time, eight values each; groups, warps and
// blocks each keep a running softmax, and these are merged in a fixed order.

// How many keys a block takes. It depends on nothing else, so a row's bits do not depend on what
// else is in the batch.
constexpr int share_keys = 128;

template <class T, int width>
struct AttentionDecode {
  static constexpr int threads = warps * warp_size;
  static constexpr int lanes = width / 8;  // of a group
  static constexpr int groups = threads / lanes;
  static constexpr std::size_t shared_bytes = groups * (width + 2) * sizeof(float);

  AttentionCall<T> call;
  Heads<T> y;
  float* partial;  // [B, H, shares, width + 2], where there is more than one share
  int shares;

  struct State {
    float most, sum, o[8];
  };

  LATHE_DEVICE static void load_eight(const Rows<const T>& rows, std::int64_t place, int column,
                                      float (&values)[8]) {
    const T* from = rows.data + place * rows.stride + column;
    if (rows.packed && column + 8 <= rows.width) {
      for (int part = 0; part < 8; part += pack_of<T>) {
        const Pack<T, pack_of<T>> pack = load<pack_of<T>>(from + part);
        for (int i = 0; i < pack_of<T>; ++i) values[part + i] = to_float(pack.at[i]);
      }
      return;
    }
    for (int i = 0; i < 8; ++i) values[i] = column + i < rows.width ? to_float(from[i]) : 0;
  }

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t b = block.z(), h = block.y(), share = block.x();
    const std::int64_t g = key_head(h, call.heads, call.key_heads);
    const Rows<const T> k = call.k.rows(b, g), v = call.v.rows(b, g);
    const int group = block.thread() / lanes, lane = block.thread() % lanes;
    const std::int64_t before = call.keys_before(b);
    const TilePlace at{b, h, before, 0, 0};
    const Span seen = key_blocks(0, call.keys, before, call.causal, 1);
    const std::int64_t end =
        seen.end < (share + 1) * share_keys ? seen.end : (share + 1) * share_keys;
    float query[8];
    load_eight(call.q.rows(b, h), 0, 8 * lane, query);
    State state{-INFINITY, 0, {}};
    // Every group goes round equally often, for the shuffles of a warp belong together.
    for (std::int64_t begin = share * share_keys; begin < end; begin += groups) {
      const std::int64_t s = begin + group;
      const bool there = s < end && call.sees(at, 0, s);
      float values[8];
      float score = 0;
      if (there) {
        load_eight(k, s, 8 * lane, values);
        for (int i = 0; i < 8; ++i) score += query[i] * values[i];
      }
      for (int step = 1; step < lanes; step *= 2) score += block.shuffle_xor(score, step);
      if (!there) continue;
      const float x = score * call.scale * log2_of_e;
      const float most = fmaxf(state.most, x);
      const float shrink = exp2f(state.most - most), power = exp2f(x - most);
      const bool kept = call.dropout <= 0 || call.keeps(at, 0, s);
      const float weight = kept ? power * call.raise() : 0;
      load_eight(v, s, 8 * lane, values);
      for (int i = 0; i < 8; ++i) state.o[i] = state.o[i] * shrink + weight * values[i];
      state.sum = state.sum * shrink + power;
      state.most = most;
    }
    float* const mine = block.shared<float>() + group * (width + 2);
    for (int i = 0; i < 8; ++i) mine[8 * lane + i] = state.o[i];
    if (lane == 0) {
      mine[width] = state.most;
      mine[width + 1] = state.sum;
    }
    block.barrier();
    merge(block, block.shared<float>(), groups, [&](int d, float most, float sum, float o) {
      if (shares == 1) {
        write(b, h, d, most, sum, o);
        return;
      }
      float* const out = partial + ((b * call.heads + h) * shares + share) * (width + 2);
      out[d] = o;
      out[width] = most;
      out[width + 1] = sum;
    });
  }

  // A thread d merges column d of `count` states and hands it on.
  template <class Take>
  LATHE_DEVICE static void merge(const Block& block, const float* states, int count,
                                 const Take& take) {
    const int d = block.thread();
    if (d >= width) return;
    float most = -INFINITY;
    for (int i = 0; i < count; ++i) most = fmaxf(most, states[i * (width + 2) + width]);
    const float base = most == -INFINITY ? 0 : most;
    float sum = 0, o = 0;
    for (int i = 0; i < count; ++i) {
      const float* state = states + i * (width + 2);
      const float shrink = exp2f(state[width] - base);
      sum += state[width + 1] * shrink;
      o += state[d] * shrink;
    }
    take(d, most, sum, o);
  }

  LATHE_DEVICE void write(std::int64_t b, std::int64_t h, int d, float most, float sum,
                          float o) const {
    if (d == 0 && call.lse != nullptr) call.lse_at(b, h, 0) = most * log_of_2 + logf(sum);
    if (d < y.width) put(y.rows(b, h).data[d], sum > 0 ? o / sum : 0, false);
  }
};

// Merges the shares of a row and head.
template <class T, int width>
struct AttentionMerge {
  static constexpr int threads = width;
  AttentionDecode<T, width> decode;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t b = block.y(), h = block.x();
    const float* states =
        decode.partial + (b * decode.call.heads + h) * decode.shares * (width + 2);
    decode.merge(block, states, decode.shares, [&](int d, float most, float sum, float o) {
      decode.write(b, h, d, most, sum, o);
    });
  }
};

// A copy into a cache: thread for thread an element.
template <class T>
struct Append {
  static constexpr int threads = 256;
  Heads<const T> x;
  Heads<T> cache;
  std::int64_t x_width, cache_width;  // strides of the D values
  const std::int32_t* position;
  std::int64_t position_row;
  int heads;
  Finding* finding;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t b = block.z(), t = block.y();
    const std::int64_t place =
        checked_row(block, finding, Place::cache, position[b * position_row] + static_cast<int>(t),
                    b, cache.positions);
    if (place < 0) return;
    for (int i = block.x() * threads + block.thread(); i < heads * x.width;
         i += block.blocks_x() * threads) {
      const std::int64_t h = i / x.width, d = i % x.width;
      cache.data[b * cache.row + place * cache.time + h * cache.head + d * cache_width] =
          x.data[b * x.row + t * x.time + h * x.head + d * x_width];
    }
  }
};
}  // namespace

void CudaBackend::attention(const AttentionArguments& a) {
  if (attention_by_cudnn(a)) return;
  if (!fits(a)) return Backend::attention(a);
  const Range range("attention");
  const std::int64_t B = a.q.shape[0], T_ = a.q.shape[1], H = a.q.shape[2], D = a.q.shape[3];
  if (a.y.count() == 0) return;
  with_floating(a.q.dtype, [&]<class T>(std::type_identity<T>) {
    with_width(D, [&]<int width>(std::integral_constant<int, width>) {
      const AttentionCall<T> call(a);
      const Heads<T> y(a.y);
      if (T_ > 1) {
        using Kernel = AttentionForward<T, width>;
        launch({blocks_for(T_, block_queries), H, B}, Kernel::shared_bytes, stream_,
               Kernel{call, y});
        return;
      }
      using Kernel = AttentionDecode<T, width>;
      const std::int64_t shares = std::max<std::int64_t>(1, blocks_for(call.keys, share_keys));
      const std::int64_t states = shares == 1 ? 0 : B * H * shares * (width + 2);
      const Space partial(*this, static_cast<std::size_t>(states) * sizeof(float));
      const Kernel kernel{call, y, partial.as<float>(), static_cast<int>(shares)};
      launch({shares, H, B}, Kernel::shared_bytes, stream_, kernel);
      if (shares > 1) launch({H, B}, 0, stream_, AttentionMerge<T, width>{kernel});
    });
  });
}

void CudaBackend::kv_append(const View& x, const View& position, const View& cache) {
  const Range range("kv_append");
  with_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
    const std::int64_t values = x.shape[2] * x.shape[3];
    if (x.count() == 0) return;
    launch({blocks_for(values, Append<T>::threads), x.shape[1], x.shape[0]}, 0, stream_,
           Append<T>{.x = Heads<const T>(x),
                     .cache = Heads<T>(cache),
                     .x_width = x.stride(3),
                     .cache_width = cache.stride(3),
                     .position = position.as<std::int32_t>(),
                     .position_row = position.stride(0),
                     .heads = static_cast<int>(x.shape[2]),
                     .finding = finding_});
  });
}

}  // namespace lathe
