// Attention backward. The weights are computed again from q, k and lse, once by blocks of keys for
// dK and dV and once by blocks of queries for dQ: two products more than with atomic additions, and
// the same bits every time.
//
//   P = exp(scale q k^T - lse); dP = M (dY V^T), with M what dropout leaves of a weight;
//   delta = sum_d dY Y; dS = scale P (dP - delta);
//   dV = (M P)^T dY; dK = dS^T Q; dQ = dS K.
#include <device/launch.h>
#include <device/range.h>

#include "attention.h"
#include "cuda.h"
#include "types.h"

namespace lathe {
namespace {
using namespace cuda;

constexpr int warps = 4;
constexpr int own_rows = 16 * warps;  // of keys or of queries: what a block makes gradients of

// delta[b, h, t] = sum_d dY Y, in f32: a warp for each.
template <class T>
struct AttentionDelta {
  static constexpr int threads = 128;
  Heads<const T> y, dy;
  float* delta;  // [B, H, T]
  std::int64_t queries;
  int heads;

  LATHE_DEVICE void operator()(const Block& block) const {
    const std::int64_t b = block.z(), h = block.y();
    const std::int64_t t = std::int64_t{block.x()} * (threads / warp_size) + block.warp();
    if (t >= queries) return;
    const T* const left = y.rows(b, h).data + t * y.time;
    const T* const right = dy.rows(b, h).data + t * dy.time;
    float sum = 0;
    for (int d = block.lane(); d < y.width; d += warp_size) {
      sum += to_float(left[d]) * to_float(right[d]);
    }
    for (int step = 1; step < warp_size; step *= 2) sum += block.shuffle_xor(sum, step);
    if (block.lane() == 0) delta[(b * heads + h) * queries + t] = sum;
  }
};

// What both kernels below have in hand.
template <class T>
struct GradientCall {
  AttentionCall<T> forward;
  Heads<const T> dy;
  const float* delta;  // [B, H, T]

  LATHE_DEVICE float delta_at(std::int64_t b, std::int64_t h, std::int64_t t) const {
    return delta[(b * forward.heads + h) * forward.queries + t];
  }
  // The weight of a score, from the log-sum-exp times log2(e).
  LATHE_DEVICE float weight(float score, float lse2) const {
    return exp2f(score * forward.scale * log2_of_e - lse2);
  }
};

// Rows of the other side that are in shared memory at a time: as many as the registers hold scores
// for.
template <class T, int width>
inline constexpr int passing_rows = sizeof(T) == 2 ? (width == 128 ? 16 : 64)
                                                   : (width == 32 ? 32 : 16);

// A block takes 64 keys of one key head, a warp 16 of them, and goes through the queries that see
// them, of every query head that reads this key head. Scores lie transposed: rows are keys.
template <class T, int width>
struct AttentionKeyGradient {
  static constexpr int threads = warps * warp_size;
  static constexpr int queries = passing_rows<T, width>;
  static constexpr int stride = row_stride<T, width>;
  static constexpr std::size_t shared_bytes =
      (2 * own_rows + 2 * queries) * stride * sizeof(T) +
      (warps * scratch_floats<T, queries> + 2 * queries) * sizeof(float);

  GradientCall<T> call;
  Heads<T> dk, dv;
  bool wants_dk, wants_dv, add_dk, add_dv;

  struct Tiles {
    T *k, *v, *q, *dy;
    float *lse2, *delta;  // of the passing queries
    float* scratch;       // of this warp
  };
  LATHE_DEVICE static Tiles tiles(const Block& block) {
    Tiles at;
    at.k = block.shared<T>();
    at.v = at.k + own_rows * stride;
    at.q = at.v + own_rows * stride;
    at.dy = at.q + queries * stride;
    at.lse2 = reinterpret_cast<float*>(at.dy + queries * stride);
    at.delta = at.lse2 + queries;
    at.scratch = at.delta + queries + block.warp() * scratch_floats<T, queries>;
    return at;
  }

  LATHE_DEVICE void operator()(const Block& block) const {
    const AttentionCall<T>& f = call.forward;
    const Tiles at = tiles(block);
    const std::int64_t b = block.z(), g = block.y();
    const std::int64_t first = std::int64_t{block.x()} * own_rows;
    const std::int64_t mine = first + 16 * block.warp();
    const std::int64_t before = f.keys_before(b);
    const int shared_by = f.heads / f.key_heads;
    load_tile<own_rows, width, threads>(block, f.k.rows(b, g), first, at.k);
    load_tile<own_rows, width, threads>(block, f.v.rows(b, g), first, at.v);
    float dk_sum[width / 8][4] = {}, dv_sum[width / 8][4] = {};
    const Span blocks = query_blocks(first, f.queries, before, f.causal, queries);
    for (std::int64_t h = g * shared_by; h < (g + 1) * shared_by; ++h) {
      for (std::int64_t m = blocks.begin; m < blocks.end; ++m) {
        const std::int64_t query = m * queries;
        block.barrier();
        load_queries(block, at, b, h, query);
        await_copies();
        block.barrier();
        add_block(block, at, {b, h, before, query, mine, true}, dk_sum, dv_sum);
      }
    }
    // Without any query that sees these keys the copies are still under way.
    await_copies();
    block.barrier();
    const float one[2] = {1, 1};
    T* const tile = at.k + 16 * block.warp() * stride;
    if (wants_dk) {
      spread_rows<width>(block, dk_sum, one, tile);
      store_rows<width>(block, tile, dk.rows(b, g), mine, add_dk);
    }
    if (wants_dv) {
      spread_rows<width>(block, dv_sum, one, tile);
      store_rows<width>(block, tile, dv.rows(b, g), mine, add_dv);
    }
  }

  LATHE_DEVICE void load_queries(const Block& block, const Tiles& at, std::int64_t b,
                                 std::int64_t h, std::int64_t query) const {
    const AttentionCall<T>& f = call.forward;
    load_tile<queries, width, threads>(block, f.q.rows(b, h), query, at.q);
    load_tile<queries, width, threads>(block, call.dy.rows(b, h), query, at.dy);
    for (int i = block.thread(); i < queries; i += threads) {
      const bool there = query + i < f.queries;
      at.lse2[i] = there ? f.lse_at(b, h, query + i) * log2_of_e : 0;
      at.delta[i] = there ? call.delta_at(b, h, query + i) : 0;
    }
  }

  LATHE_DEVICE void add_block(const Block& block, const Tiles& at, const TilePlace& where,
                              float (&dk_sum)[width / 8][4], float (&dv_sum)[width / 8][4]) const {
    const AttentionCall<T>& f = call.forward;
    const T* const k = at.k + 16 * block.warp() * stride;
    const T* const v = at.v + 16 * block.warp() * stride;
    const std::uint32_t seen = f.template seen<queries / 8>(block, where);
    const std::uint32_t kept = f.template kept<queries / 8>(block, where);
    float p[queries / 8][4], other[queries / 8][4];
    multiply<queries, width>(block, k, at.q, p);
    LATHE_UNROLL
    for (int j = 0; j < queries / 8; ++j) {
      LATHE_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int column = 8 * j + place_in_c(block.lane(), i).column, bit = 4 * j + i;
        p[j][i] = seen >> bit & 1 ? call.weight(p[j][i], at.lse2[column]) : 0;
        other[j][i] = kept >> bit & 1 ? p[j][i] * f.raise() : 0;
      }
    }
    if (wants_dv) accumulate<queries, width>(block, other, at.dy, at.scratch, dv_sum);
    if (!wants_dk) return;
    multiply<queries, width>(block, v, at.dy, other);
    LATHE_UNROLL
    for (int j = 0; j < queries / 8; ++j) {
      LATHE_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int column = 8 * j + place_in_c(block.lane(), i).column, bit = 4 * j + i;
        const float keep = kept >> bit & 1 ? f.raise() : 0;
        other[j][i] = f.scale * p[j][i] * (keep * other[j][i] - at.delta[column]);
      }
    }
    accumulate<queries, width>(block, other, at.q, at.scratch, dk_sum);
  }
};

// A block takes 64 queries of one head and goes through the keys that they see.
template <class T, int width>
struct AttentionQueryGradient {
  static constexpr int threads = warps * warp_size;
  static constexpr int keys = passing_rows<T, width>;
  static constexpr int stride = row_stride<T, width>;
  static constexpr std::size_t shared_bytes = (2 * own_rows + 2 * keys) * stride * sizeof(T) +
                                              warps * scratch_floats<T, keys> * sizeof(float);

  GradientCall<T> call;
  Heads<T> dq;
  bool add;

  LATHE_DEVICE void operator()(const Block& block) const {
    const AttentionCall<T>& f = call.forward;
    T* const q_tile = block.shared<T>();
    T* const dy_tile = q_tile + own_rows * stride;
    T* const k_tile = dy_tile + own_rows * stride;
    T* const v_tile = k_tile + keys * stride;
    float* const scratch =
        reinterpret_cast<float*>(v_tile + keys * stride) + block.warp() * scratch_floats<T, keys>;
    const std::int64_t b = block.z(), h = block.y();
    const std::int64_t first = longest_first(block.x(), block.blocks_x()) * own_rows;
    const std::int64_t last = first + own_rows < f.queries ? first + own_rows - 1 : f.queries - 1;
    const std::int64_t mine = first + 16 * block.warp();
    const std::int64_t before = f.keys_before(b);
    const std::int64_t g = key_head(h, f.heads, f.key_heads);
    load_tile<own_rows, width, threads>(block, f.q.rows(b, h), first, q_tile);
    load_tile<own_rows, width, threads>(block, call.dy.rows(b, h), first, dy_tile);
    float lse2[2], delta[2];
    LATHE_UNROLL
    for (int row = 0; row < 2; ++row) {
      const std::int64_t t = mine + block.lane() / 4 + 8 * row;
      lse2[row] = t < f.queries ? f.lse_at(b, h, t) * log2_of_e : 0;
      delta[row] = t < f.queries ? call.delta_at(b, h, t) : 0;
    }
    float sum[width / 8][4] = {};
    const Span blocks = key_blocks(last, f.keys, before, f.causal, keys);
    for (std::int64_t n = 0; n < blocks.end; ++n) {
      block.barrier();
      load_tile<keys, width, threads>(block, f.k.rows(b, g), n * keys, k_tile);
      load_tile<keys, width, threads>(block, f.v.rows(b, g), n * keys, v_tile);
      await_copies();
      block.barrier();
      const TilePlace where{b, h, before, mine, n * keys};
      const std::uint32_t seen = f.template seen<keys / 8>(block, where);
      const std::uint32_t kept = f.template kept<keys / 8>(block, where);
      float p[keys / 8][4], ds[keys / 8][4];
      multiply<keys, width>(block, q_tile + 16 * block.warp() * stride, k_tile, p);
      multiply<keys, width>(block, dy_tile + 16 * block.warp() * stride, v_tile, ds);
      LATHE_UNROLL
      for (int j = 0; j < keys / 8; ++j) {
        LATHE_UNROLL
        for (int i = 0; i < 4; ++i) {
          const int bit = 4 * j + i;
          const float weight = seen >> bit & 1 ? call.weight(p[j][i], lse2[i / 2]) : 0;
          const float keep = kept >> bit & 1 ? f.raise() : 0;
          ds[j][i] = f.scale * weight * (keep * ds[j][i] - delta[i / 2]);
        }
      }
      accumulate<keys, width>(block, ds, k_tile, scratch, sum);
    }
    await_copies();
    block.barrier();
    T* const tile = q_tile + 16 * block.warp() * stride;
    const float one[2] = {1, 1};
    spread_rows<width>(block, sum, one, tile);
    store_rows<width>(block, tile, dq.rows(b, h), mine, add);
  }
};
}  // namespace

void CudaBackend::attention_gradient(const AttentionGradients& a) {
  const AttentionArguments& f = a.forward;
  if (attention_by_cudnn(a)) return;
  if (!fits(f) || !has_whole_heads(a.dy) || !has_whole_heads(a.dq.view) ||
      !has_whole_heads(a.dk.view) || !has_whole_heads(a.dv.view)) {
    return Backend::attention_gradient(a);
  }
  const Range range("attention_gradient");
  const std::int64_t B = f.q.shape[0], T_ = f.q.shape[1], H = f.q.shape[2], D = f.q.shape[3];
  const std::int64_t S = f.k.shape[1], G = f.k.shape[2];
  const Space delta(*this, static_cast<std::size_t>(B * H * T_) * sizeof(float));
  with_floating(f.q.dtype, [&]<class T>(std::type_identity<T>) {
    const GradientCall<T> call{AttentionCall<T>(f), Heads<const T>(a.dy), delta.as<float>()};
    using Delta = AttentionDelta<T>;
    launch({blocks_for(T_, Delta::threads / warp_size), H, B}, 0, stream_,
           Delta{Heads<const T>(f.y), call.dy, delta.as<float>(), T_, static_cast<int>(H)});
    with_width(D, [&]<int width>(std::integral_constant<int, width>) {
      if (a.dk || a.dv) {
        using Kernel = AttentionKeyGradient<T, width>;
        Kernel kernel{.call = call,
                      .dk = {},
                      .dv = {},
                      .wants_dk = static_cast<bool>(a.dk),
                      .wants_dv = static_cast<bool>(a.dv),
                      .add_dk = a.dk.add,
                      .add_dv = a.dv.add};
        if (a.dk) kernel.dk = Heads<T>(a.dk.view);
        if (a.dv) kernel.dv = Heads<T>(a.dv.view);
        launch({blocks_for(S, own_rows), G, B}, Kernel::shared_bytes, stream_, kernel);
      }
      if (a.dq) {
        using Kernel = AttentionQueryGradient<T, width>;
        launch({blocks_for(T_, own_rows), H, B}, Kernel::shared_bytes, stream_,
               Kernel{call, Heads<T>(a.dq.view), a.dq.add});
      }
    });
  });
}

}  // namespace lathe
