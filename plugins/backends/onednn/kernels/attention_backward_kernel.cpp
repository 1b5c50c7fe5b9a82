// Backward attention. Every gradient element is one chain over ascending rows (k, v) or ascending
// keys (q), tile after tile, so the two ways to walk over the tiles give the same bits:
//  - together: one task for each key head computes all three gradients, five products a tile;
//  - apart: tasks for blocks of rows (q) and for blocks of keys (k, v), seven products a tile, when
//    there are too few key heads for the threads or the sequence is long.
#include <omp.h>

#include "attention_tiles.h"

namespace lathe::kernels::LATHE_ISA {
namespace {

constexpr Index row_block = 64;

// A block of rows: queries and gradients of the output, packed.
struct Rows {
  float* queries;       // [row_block, D], scaled
  float* out_gradient;  // [row_block, D]
  float* lse;           // [row_block]
  float* delta;         // [row_block]: sum of out times its gradient
  float* gradient;      // [row_block, D] of the queries, not yet scaled
  float* query_rows;    // [row_block, D], packed: the queries and
  float* out_rows;      // the gradients of the output as products along D take them
  static Index size(Index padded) { return row_block * (4 * padded + 2); }
};

// A block of keys.
struct Keys {
  float* keys;           // [key_block, D]
  float* keys_across;    // [D, key_block], packed
  float* values_across;  // [D, key_block], packed
  float* k_gradient;     // [key_block, D]
  float* v_gradient;     // [key_block, D]
  static Index size(Index padded) { return 5 * key_block * padded; }
};

struct Tile {
  float* weights;   // [row_block, key_block]: scores, then weights (with dropout) for v
  float* gradient;  // [row_block, key_block]: of the weights, then of the scores
  static Index size() { return 2 * row_block * key_block; }
};

template <class T>
Rows rows_at(float* memory, Index padded) {
  const Index block = row_block * padded;
  float* small = memory + 4 * block;
  Rows rows{memory, memory + block, small, small + row_block, memory + 2 * block,
            memory, memory + block};
  if constexpr (in_pairs<T>) {
    rows.query_rows = memory + 3 * block;
    rows.out_rows = rows.query_rows + block / 2;
  }
  return rows;
}

Keys keys_at(float* memory, Index padded) {
  const Index block = key_block * padded;
  return {memory, memory + block, memory + 2 * block, memory + 3 * block, memory + 4 * block};
}

Tile tile_at(float* memory) { return {memory, memory + row_block * key_block}; }

// One key head of one batch row, and what is wanted of it.
struct Head {
  const AttentionBackward& a;
  const Attention& forward;
  Index b, key_head, padded;
  Index rows() const { return forward.queries * (forward.heads / forward.key_heads); }
};

template <class T>
void load_rows(const Head& h, const Rows& to, Index row, Index count) {
  const Attention& f = h.forward;
  const Index size = packed<T>(h.padded);
  alignas(64) float out[vector_width];
  for (Index i = 0; i < count; ++i) {
    const Row at = row_at(f, h.key_head, row + i);
    const Row soon = row_at(f, h.key_head, smaller(row + i + prefetch_distance, h.rows() - 1));
    for (const AttentionOperand* x : {&f.q, &h.a.out_gradient, &f.out}) {
      prefetch_row(element<T>(*x, h.b, soon.time, soon.head), f.width);
    }
    float* q = to.queries + i * h.padded;
    float* gradient = to.out_gradient + i * h.padded;
    to.lse[i] = f.lse[(h.b * f.heads + at.head) * f.queries + at.time];
    to.delta[i] = 0.0f;
    if (to.lse[i] == -__builtin_inff()) {  // sees nothing: whatever it holds must not count
      fill_zero(q, h.padded);
      fill_zero(gradient, h.padded);
      if constexpr (in_pairs<T>) {
        fill_zero(to.query_rows + i * size, size);
        fill_zero(to.out_rows + i * size, size);
      }
      continue;
    }
    const T* query = element<T>(f.q, h.b, at.time, at.head);
    const T* out_gradient = element<T>(h.a.out_gradient, h.b, at.time, at.head);
    load_row(q, query, f.width, f.scale);
    load_row(gradient, out_gradient, f.width, 1.0f);
    if constexpr (in_pairs<T>) {
      copy_row(to.query_rows + i * size, query, f.width);
      copy_row(to.out_rows + i * size, out_gradient, f.width);
    }
    const T* result = element<T>(f.out, h.b, at.time, at.head);
    vfloat delta = broadcast(0.0f);
    for (Index d = 0; d < f.width; d += vector_width) {
      load_row(out, result + d, smaller(vector_width, f.width - d), 1.0f);
      delta = fma(load(out), load(gradient + d), delta);
    }
    to.delta[i] = sum(delta);
  }
  fill_zero(to.gradient, count * h.padded);
}

template <class T>
void load_keys(const Head& h, const Keys& to, Index first) {
  const Attention& f = h.forward;
  const Index count = smaller(key_block, f.keys - first);
  // Both pass through the room of the keys on their way to being transposed.
  load_across<T>(to.values_across, to.keys, f.v, h.b, h.key_head, first, count, f.width);
  load_across<T>(to.keys_across, to.keys, f.k, h.b, h.key_head, first, count, f.width);
  if (in_pairs<T>) load_block<T>(to.keys, f.k, h.b, h.key_head, first, count, f.width);
  for (Index j = 0; f.key_segment != nullptr && j < count; ++j) {
    // Padding enters products with weight 0, where a NaN would not vanish.
    if (f.key_segment[h.b * f.keys + first + j] < 0) fill_zero(to.keys + j * h.padded, h.padded);
  }
  fill_zero(to.k_gradient, key_block * h.padded);
  fill_zero(to.v_gradient, key_block * h.padded);
}

// From scores and gradients of the weights to weights and gradients of the scores; all `columns`
// of every row are written, hidden ones as 0.
void differentiate(const Head& h, const Rows& rows, const Tile& tile, const Bits* seen, Index row,
                   Index count, Index first, Index columns) {
  const Attention& f = h.forward;
  alignas(64) float factors[key_block];
  const vfloat zero = broadcast(0.0f);
  for (Index i = 0; i < count; ++i) {
    float* weights = tile.weights + i * key_block;
    float* gradient = tile.gradient + i * key_block;
    if (seen[i] == 0) {
      fill_zero(weights, columns);
      fill_zero(gradient, columns);
      continue;
    }
    if (f.dropout > 0.0f) {
      dropout_factors(f, element_index(f, h.b, row_at(f, h.key_head, row + i), first), columns,
                      factors);
    }
    const bool all = (~seen[i] & low_bits(columns)) == 0;
    const vfloat lse = broadcast(rows.lse[i]);
    const vfloat delta = broadcast(rows.delta[i]);
    for (Index s = 0; s < columns; s += vector_width) {
      const vfloat p = exp(load(weights + s) - lse);
      vfloat dropped = p;
      vfloat g = load(gradient + s);
      if (f.dropout > 0.0f) {
        const vfloat factor = load(factors + s);
        dropped = p * factor;
        g = g * factor;
      }
      g = p * (g - delta);
      if (!all) {
        const vmask mask = lane_mask(seen[i], s / vector_width);
        dropped = select(mask, dropped, zero);
        g = select(mask, g, zero);
      }
      store(weights + s, dropped);
      store(gradient + s, g);
    }
  }
}

void add_query_gradient(const Rows& rows, const Keys& keys, const Tile& tile, const Bits* seen,
                        Index count, Index padded) {
  for (Index i = 0; i < count; i += tile_rows) {
    const Index group = smaller(tile_rows, count - i);
    Bits any = 0;
    for (Index r = i; r < i + group; ++r) any |= seen[r];
    if (any == 0) continue;
    const Index low = first_bit(any);
    const Product product{tile.gradient + low, key_block, keys.keys + low * padded, padded,
                          rows.gradient,       padded,    end_bit(any) - low};
    multiply<false, true>(product, i, group, padded);
  }
}

void add_key_gradients(const Rows& rows, const Keys& keys, const Tile& tile, const Bits* seen,
                       Index count, Index columns, Index padded) {
  for (Index j = 0; j < columns; j += tile_rows) {
    const Index group = smaller(tile_rows, columns - j);
    const Bits mine = low_bits(group) << j;
    Index low = 0, high = count;
    while (low < high && (seen[low] & mine) == 0) ++low;
    while (high > low && (seen[high - 1] & mine) == 0) --high;
    if (low == high) continue;
    const Index skip = low * key_block, depth = high - low;
    const Product v{tile.weights + skip,
                    key_block,
                    rows.out_gradient + low * padded,
                    padded,
                    keys.v_gradient,
                    padded,
                    depth};
    multiply<true, true>(v, j, group, padded);
    const Product k{tile.gradient + skip,
                    key_block,
                    rows.queries + low * padded,
                    padded,
                    keys.k_gradient,
                    padded,
                    depth};
    multiply<true, true>(k, j, group, padded);
  }
}

// Adds what the tile of `count` rows from `row` on and the keys from `first` on contributes.
template <class T>
void differentiate_tile(const Head& h, const Rows& rows, const Keys& keys, const Tile& tile,
                        Index row, Index count, Index first, bool want_q, bool want_kv) {
  const Attention& f = h.forward;
  Bits seen[row_block];
  const Bits any = visible_rows(f, h.b, h.key_head, row, count, first, seen);
  if (any == 0) return;
  const Index columns = round_up(end_bit(any), vector_width);
  const Product scores{.a = rows.query_rows,
                       .a_stride = packed<T>(h.padded),
                       .b = keys.keys_across,
                       .b_stride = key_block,
                       .c = tile.weights,
                       .c_stride = key_block,
                       .depth = in_pairs<T> ? h.padded / 2 : f.width,
                       .scale = f.scale};
  Product gradients = scores;
  gradients.a = rows.out_rows;
  gradients.b = keys.values_across;
  gradients.c = tile.gradient;
  gradients.scale = 1.0f;
  for (Index i = 0; i < count; i += tile_rows) {
    const Index group = smaller(tile_rows, count - i);
    Bits group_any = 0;
    for (Index r = i; r < i + group; ++r) group_any |= seen[r];
    const Index needed = round_up(end_bit(group_any), vector_width);
    multiply<false, false, in_pairs<T>>(scores, i, group, needed);
    multiply<false, false, in_pairs<T>>(gradients, i, group, needed);
  }
  differentiate(h, rows, tile, seen, row, count, first, columns);
  if (want_q) add_query_gradient(rows, keys, tile, seen, count, h.padded);
  if (want_kv) add_key_gradients(rows, keys, tile, seen, count, columns, h.padded);
}

template <class T>
void write_row(T* to, const float* from, Index width, float scale, bool add) {
  alignas(64) float before[vector_width];
  for (Index d = 0; d < width; d += vector_width) {
    const Index count = smaller(vector_width, width - d);
    vfloat x = load(from + d) * broadcast(scale);
    if (add) {
      load_row(before, to + d, count, 1.0f);
      x = load(before) + x;
    }
    store(to + d, x, static_cast<std::size_t>(count));
  }
}

template <class T>
void write_rows(const Head& h, const Rows& rows, Index row, Index count) {
  for (Index i = 0; i < count; ++i) {
    const Row at = row_at(h.forward, h.key_head, row + i);
    write_row(element<T>(h.a.q_gradient, h.b, at.time, at.head), rows.gradient + i * h.padded,
              h.forward.width, h.forward.scale, h.a.add_q);
  }
}

template <class T>
void write_keys(const Head& h, const Keys& keys, Index first) {
  for (Index j = 0; j < smaller(key_block, h.forward.keys - first); ++j) {
    write_row(element<T>(h.a.k_gradient, h.b, first + j, h.key_head),
              keys.k_gradient + j * h.padded, h.forward.width, 1.0f, h.a.add_k);
    write_row(element<T>(h.a.v_gradient, h.b, first + j, h.key_head),
              keys.v_gradient + j * h.padded, h.forward.width, 1.0f, h.a.add_v);
  }
}

// The key blocks that a block of rows can see end here.
Index end_of(const Head& h, Index row, Index count) {
  return key_end(h.forward, h.b, row_at(h.forward, h.key_head, row + count - 1).time);
}

template <class T>
void head_task(const Head& h, float* memory) {
  const Tile tile = tile_at(memory);
  const Rows rows = rows_at<T>(memory + Tile::size(), h.padded);
  float* blocks = memory + Tile::size() + Rows::size(h.padded);
  const auto block = [&](Index first) {
    return keys_at(blocks + first / key_block * Keys::size(h.padded), h.padded);
  };
  for (Index first = 0; first < h.forward.keys; first += key_block) {
    load_keys<T>(h, block(first), first);
  }
  for (Index row = 0; row < h.rows(); row += row_block) {
    const Index count = smaller(row_block, h.rows() - row);
    load_rows<T>(h, rows, row, count);
    for (Index first = 0; first < end_of(h, row, count); first += key_block) {
      differentiate_tile<T>(h, rows, block(first), tile, row, count, first, true, true);
    }
    write_rows<T>(h, rows, row, count);
  }
  for (Index first = 0; first < h.forward.keys; first += key_block) {
    write_keys<T>(h, block(first), first);
  }
}

template <class T>
void rows_task(const Head& h, float* memory, Index row) {
  const Tile tile = tile_at(memory);
  const Rows rows = rows_at<T>(memory + Tile::size(), h.padded);
  const Keys keys = keys_at(memory + Tile::size() + Rows::size(h.padded), h.padded);
  const Index count = smaller(row_block, h.rows() - row);
  load_rows<T>(h, rows, row, count);
  for (Index first = 0; first < end_of(h, row, count); first += key_block) {
    load_keys<T>(h, keys, first);
    differentiate_tile<T>(h, rows, keys, tile, row, count, first, true, false);
  }
  write_rows<T>(h, rows, row, count);
}

template <class T>
void keys_task(const Head& h, float* memory, Index first) {
  const Tile tile = tile_at(memory);
  const Rows rows = rows_at<T>(memory + Tile::size(), h.padded);
  const Keys keys = keys_at(memory + Tile::size() + Rows::size(h.padded), h.padded);
  load_keys<T>(h, keys, first);
  for (Index row = 0; row < h.rows(); row += row_block) {
    const Index count = smaller(row_block, h.rows() - row);
    if (end_of(h, row, count) <= first) continue;
    load_rows<T>(h, rows, row, count);
    differentiate_tile<T>(h, rows, keys, tile, row, count, first, false, true);
  }
  write_keys<T>(h, keys, first);
}

// Whether one task a key head is the faster way: five products for each tile instead of seven, but
// the last tasks leave threads idle; and the gradients of all its keys have to be held at once.
bool together(Index heads, Index threads, Index key_floats) {
  constexpr Index most_floats = Index{1} << 22;
  const Index rounds = (heads + threads - 1) / threads;
  return key_floats <= most_floats && 5 * rounds * threads <= 7 * heads;
}

template <class T>
void run(const AttentionBackward& a) {
  const Attention& f = a.forward;
  const Index padded = round_up(f.width, vector_width);
  const Index heads = f.batch * f.key_heads;
  const Index all_rows = f.queries * (f.heads / f.key_heads);
  const Index row_blocks = (all_rows + row_block - 1) / row_block;
  const Index key_blocks = (f.keys + key_block - 1) / key_block;
  const Index most = omp_get_max_threads();
  const Index key_floats = key_blocks * Keys::size(padded);
  const bool in_one = together(heads, most, key_floats);
  const Index tasks = in_one ? heads : heads * (row_blocks + key_blocks);
  const Index threads = larger(1, smaller(most, tasks));
  const Index each = round_up(
      Tile::size() + Rows::size(padded) + (in_one ? key_floats : Keys::size(padded)), 1024);
  float* scratch = attention_scratch(static_cast<std::size_t>(each * threads));
#pragma omp parallel for schedule(dynamic) num_threads(static_cast <int>(threads)) if (threads > 1)
  for (Index task = 0; task < tasks; ++task) {
    float* memory = scratch + each * omp_get_thread_num();
    const Index head = task % heads;
    const Index part = task / heads;
    const Head h{a, f, head / f.key_heads, head % f.key_heads, padded};
    if (in_one) {
      head_task<T>(h, memory);
    } else if (part < key_blocks) {  // long tasks first: causal, early keys are seen by most rows
      keys_task<T>(h, memory, part * key_block);
    } else {
      rows_task<T>(h, memory, (row_blocks - 1 - (part - key_blocks)) * row_block);
    }
  }
}

}  // namespace

void attention_backward_kernel(const AttentionBackward& a) {
  if (a.forward.type == DType::bf16) {
    run<bf16>(a);
  } else {
    run<float>(a);
  }
}

}  // namespace lathe::kernels::LATHE_ISA
