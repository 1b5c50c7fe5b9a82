// The LM head in chunks of rows: the logits of a chunk, then in one kernel their loss and, in their
// place, the loss's gradient; then the products of that gradient. [N, V] is never whole.
#include <device/launch.h>
#include <device/range.h>

#include <algorithm>

#include "cuda.h"
#include "element.h"
#include "tiles.h"
#include "types.h"

namespace lathe {
namespace {
using namespace cuda;

// One number for each row, any distance apart; maybe none.
template <class T>
struct Column {
  T* data = nullptr;
  std::int64_t stride = 0;

  Column() = default;
  explicit Column(const View& view) : data(static_cast<T*>(view.data)), stride(view.strides[0]) {}
  LATHE_DEVICE explicit operator bool() const { return data != nullptr; }
  LATHE_DEVICE T& operator[](std::int64_t row) const { return data[row * stride]; }
};

// A row of logits, in the threads of a block.
template <class T>
struct LogitRow {
  static constexpr int threads = 256;
  static constexpr int pack = pack_of<T>;
  static constexpr std::size_t shared_bytes = threads / warp_size * sizeof(Softmax);

  T* logits;       // 16-byte aligned
  int vocabulary;  // V
  float scale;     // 1 / temperature

  // Calls body(first column, values) for this thread's packs; what is behind the end is -infinity.
  template <class Body>
  LATHE_DEVICE void for_each(const Block& block, const Body& body) const {
    for (int column = block.thread() * pack; column < vocabulary; column += threads * pack) {
      float values[pack];
      if (column + pack <= vocabulary) {
        const Pack<T, pack> read = load<pack>(logits + column);
        for (int i = 0; i < pack; ++i) values[i] = to_float(read.at[i]) * scale;
      } else {
        for (int i = 0; i < pack; ++i) {
          values[i] = column + i < vocabulary ? to_float(logits[column + i]) * scale : -INFINITY;
        }
      }
      body(column, values);
    }
  }

  // Replaces every logit by f(column, scaled logit).
  template <class F>
  LATHE_DEVICE void replace(const Block& block, const F& f) const {
    for_each(block, [&](int column, const float(&values)[pack]) {
      Pack<T, pack> out;
      for (int i = 0; i < pack; ++i) {
        out.at[i] = from_float<T>(column + i < vocabulary ? f(column + i, values[i]) : 0.0f);
      }
      if (column + pack <= vocabulary) {
        store(logits + column, out);
      } else {
        for (int i = 0; column + i < vocabulary; ++i) logits[column + i] = out.at[i];
      }
    });
  }

  // Every thread gets the same bits: lane 0 of each warp, then warp after warp.
  LATHE_DEVICE static Softmax over_block(const Block& block, Softmax mine) {
    for (int step = 1; step < warp_size; step *= 2) {
      Softmax other;
      other.most = block.shuffle_xor(mine.most, step);
      other.sum = block.shuffle_xor(mine.sum, step);
      other.weighted = block.shuffle_xor(mine.weighted, step);
      mine = merged(mine, other);
    }
    Softmax* const shared = block.shared<Softmax>();
    if (block.lane() == 0) shared[block.warp()] = mine;
    block.barrier();
    Softmax whole;
    for (int warp = 0; warp < threads / warp_size; ++warp) whole = merged(whole, shared[warp]);
    block.barrier();
    return whole;
  }
  LATHE_DEVICE static float over_block(const Block& block, float mine) {
    for (int step = 1; step < warp_size; step *= 2) mine += block.shuffle_xor(mine, step);
    float* const shared = block.shared<float>();
    if (block.lane() == 0) shared[block.warp()] = mine;
    block.barrier();
    float whole = 0;
    for (int warp = 0; warp < threads / warp_size; ++warp) whole += shared[warp];
    block.barrier();
    return whole;
  }

  LATHE_DEVICE Softmax softmax(const Block& block) const {
    Softmax mine;
    for_each(block, [&](int, const float(&values)[pack]) { mine.add(values); });
    return over_block(block, mine);
  }
  // The sum of all logits.
  LATHE_DEVICE float sum(const Block& block) const {
    float mine = 0;
    for_each(block, [&](int, const float(&values)[pack]) {
      for (const float value : values) mine += value == -INFINITY ? 0 : value;
    });
    return over_block(block, mine);
  }
};

// A chunk of logits, a block for each row.
struct Chunk {
  void* logits;
  std::int64_t stride;  // elements from row to row
  std::int64_t first;   // the chunk's first row
  int vocabulary;
  Column<const std::int32_t> targets;

  template <class T>
  LATHE_DEVICE LogitRow<T> row(const Block& block, float scale) const {
    return {static_cast<T*>(logits) + block.x() * stride, vocabulary, scale};
  }
};

// loss = (1 - smoothing) (lse - l_t) + smoothing (lse - mean l) + z lse^2
// d loss / d l_v = p_v (1 + 2 z lse) - (1 - smoothing) [v = t] - smoothing / V
template <class T>
struct LossOfRows {
  static constexpr int threads = LogitRow<T>::threads;
  Chunk chunk;
  Column<const float> weights;
  Column<float> loss, lse;
  float smoothing, z_loss;
  bool gradient;

  LATHE_DEVICE void operator()(const Block& block) const {
    const LogitRow<T> row = chunk.row<T>(block, 1);
    const std::int64_t n = chunk.first + block.x();
    const int target = chunk.targets[n];
    if (target < 0) {
      if (block.thread() == 0) loss[n] = lse[n] = 0;
      if (gradient) row.replace(block, [](int, float) { return 0.0f; });
      return;
    }
    const float wanted = to_float(row.logits[target]);
    const float even = smoothing > 0 ? row.sum(block) / static_cast<float>(row.vocabulary) : 0;
    const float all = row.softmax(block).log_sum();
    if (block.thread() == 0) {
      loss[n] = (1 - smoothing) * (all - wanted) + (smoothing > 0 ? smoothing * (all - even) : 0) +
                z_loss * all * all;
      lse[n] = all;
    }
    if (!gradient) return;
    const float weight = weights[n];
    const float pull = 1 + 2 * z_loss * all;
    const float share = smoothing / static_cast<float>(row.vocabulary);
    row.replace(block, [&](int column, float logit) {
      const float push = (column == target ? 1 - smoothing : 0) + share;
      return weight * (expf(logit - all) * pull - push);
    });
  }
};

// log p_t, log-sum-exp and entropy of softmax(l / temperature).
template <class T>
struct TokensOfRows {
  static constexpr int threads = LogitRow<T>::threads;
  Chunk chunk;
  float scale;
  Column<float> log_probability, lse, entropy;

  LATHE_DEVICE void operator()(const Block& block) const {
    const LogitRow<T> row = chunk.row<T>(block, scale);
    const std::int64_t n = chunk.first + block.x();
    const int target = chunk.targets[n];
    const Softmax all = row.softmax(block);
    if (block.thread() != 0) return;
    const bool counts = target >= 0;
    log_probability[n] = counts ? to_float(row.logits[target]) * scale - all.log_sum() : 0;
    lse[n] = counts ? all.log_sum() : 0;
    if (entropy) entropy[n] = counts ? all.entropy() : 0;
  }
};

// d log p_t / d l_v = ([v = t] - p_v) / temperature
// d entropy / d l_v = -p_v (log p_v + entropy) / temperature
template <class T>
struct GradientOfRows {
  static constexpr int threads = LogitRow<T>::threads;
  Chunk chunk;
  float scale;
  Column<const float> dlog_probability, dentropy;

  LATHE_DEVICE void operator()(const Block& block) const {
    const LogitRow<T> row = chunk.row<T>(block, scale);
    const std::int64_t n = chunk.first + block.x();
    const int target = chunk.targets[n];
    if (target < 0) {
      row.replace(block, [](int, float) { return 0.0f; });
      return;
    }
    const Softmax whole = row.softmax(block);
    const float all = whole.log_sum(), entropy = whole.entropy();
    const float chosen = dlog_probability[n], spread = dentropy ? dentropy[n] : 0;
    row.replace(block, [&](int column, float logit) {
      const float p = expf(logit - all);
      const float slope = chosen * ((column == target ? 1.0f : 0.0f) - p);
      return scale * (slope - spread * p * (logit - all + entropy));
    });
  }
};

View rows_of(const View& view, std::int64_t begin, std::int64_t end) {
  return view ? sliced(view, 0, begin, end) : view;
}
}  // namespace

template <class Run>
void CudaBackend::over_head(const View& x, const View& weight, const View& targets,
                            const Target& dx, const Target& dweight, const Run& run) {
  const std::int64_t rows = x.shape[0], vocabulary = weight.shape[0];
  if (rows == 0 && dweight && !dweight.add) fill(dweight.view, 0);
  if (rows == 0) return;
  const std::int64_t most = std::min<std::int64_t>(with_.head_rows, rows);
  const std::int64_t stride = blocks_for(vocabulary, 64) * 64;  // rows begin at 128 bytes
  const Space logits(*this, static_cast<std::size_t>(most * stride) * size_of(x.dtype));
  for (std::int64_t begin = 0; begin < rows; begin += most) {
    const std::int64_t end = std::min(rows, begin + most);
    View block = dense_view(logits.as<void>(), x.dtype, {end - begin, vocabulary});
    block.strides[0] = stride;
    const View some = rows_of(x, begin, end);
    matmul(some, transposed(weight, 0, 1), {block, false});
    const Chunk chunk{logits.as<void>(), stride, begin, static_cast<int>(vocabulary),
                      Column<const std::int32_t>(targets)};
    with_floating(x.dtype, [&]<class T>(std::type_identity<T>) {
      run(std::type_identity<T>{}, chunk, end - begin);
    });
    if (dx) matmul(block, weight, {rows_of(dx.view, begin, end), dx.add});
    if (dweight) {
      matmul(transposed(block, 0, 1), some, {dweight.view, dweight.add || begin > 0});
    }
  }
}

void CudaBackend::head_loss(const HeadLossArguments& a) {
  const Range range("head_loss");
  over_head(a.x, a.weight, a.targets, a.dx, a.dweight,
            [&]<class T>(std::type_identity<T>, const Chunk& chunk, std::int64_t rows) {
              launch({rows}, LogitRow<T>::shared_bytes, stream_,
                     LossOfRows<T>{.chunk = chunk,
                                   .weights = Column<const float>(a.weights),
                                   .loss = Column<float>(a.loss),
                                   .lse = Column<float>(a.lse),
                                   .smoothing = static_cast<float>(a.smoothing),
                                   .z_loss = static_cast<float>(a.z_loss),
                                   .gradient = a.dx || a.dweight});
            });
}

void CudaBackend::head_tokens(const HeadTokensArguments& a) {
  const Range range("head_tokens");
  over_head(a.x, a.weight, a.targets, {}, {},
            [&]<class T>(std::type_identity<T>, const Chunk& chunk, std::int64_t rows) {
              launch({rows}, LogitRow<T>::shared_bytes, stream_,
                     TokensOfRows<T>{.chunk = chunk,
                                     .scale = static_cast<float>(1 / a.temperature),
                                     .log_probability = Column<float>(a.log_probability),
                                     .lse = Column<float>(a.lse),
                                     .entropy = Column<float>(a.entropy)});
            });
}

void CudaBackend::head_tokens_gradient(const HeadTokensGradients& a) {
  const Range range("head_tokens_gradient");
  const HeadTokensArguments& f = a.forward;
  over_head(f.x, f.weight, f.targets, a.dx, a.dweight,
            [&]<class T>(std::type_identity<T>, const Chunk& chunk, std::int64_t rows) {
              launch({rows}, LogitRow<T>::shared_bytes, stream_,
                     GradientOfRows<T>{.chunk = chunk,
                                       .scale = static_cast<float>(1 / f.temperature),
                                       .dlog_probability = Column<const float>(a.dlog_probability),
                                       .dentropy = Column<const float>(a.dentropy)});
            });
}

}  // namespace lathe
