// Forward attention. A task is either some row blocks of one key head, so that a packed key block
// serves all of them, or all rows of some key heads, so that memory is read in order when the rows
// are few, as in decoding. See attention.h for the bits.
#include <omp.h>

#include "attention_tiles.h"

namespace lathe::kernels::LATHE_ISA {
namespace {

constexpr Index row_block = 96;
constexpr Index most_blocks = 12;  // row blocks, of one or of several heads, in a task

// What one thread works on; all rows are padded to a multiple of 16 values. The first part is used
// by one row block after another, the second belongs to one row block.
struct Tiles {
  float* keys;         // [key_block, D], packed
  float* keys_across;  // [D, key_block], packed
  float* values;       // [key_block, D]
  float* weights;      // [row_block, key_block]: scores, then weights
  float* next_peaks;   // [row_block]
  float* shrink;       // [row_block]: exp(old maximum - new)

  float* queries;  // [row_block, D], packed; f32 is scaled
  float* out;      // [row_block, D], not yet divided by the sum
  float* sums;     // [row_block, 16]: lanes of the running sum
  float* peaks;    // [row_block]: running maximum
};

Index shared_size(Index padded) { return 3 * key_block * padded + row_block * (key_block + 2); }
Index block_size(Index padded) { return row_block * (2 * padded + vector_width + 1); }

Tiles cut(float* memory, Index padded, Index block) {
  Tiles t;
  const auto take = [&memory](Index count) {
    float* part = memory;
    memory += count;
    return part;
  };
  t.keys = take(key_block * padded);
  t.keys_across = take(key_block * padded);
  t.values = take(key_block * padded);
  t.weights = take(row_block * key_block);
  t.next_peaks = take(row_block);
  t.shrink = take(row_block);
  take(block * block_size(padded));
  t.queries = take(row_block * padded);
  t.out = take(row_block * padded);
  t.sums = take(row_block * vector_width);
  t.peaks = take(row_block);
  return t;
}

Bits union_of(const Bits* seen, Index rows) {
  Bits any = 0;
  for (Index i = 0; i < rows; ++i) any |= seen[i];
  return any;
}

template <class T>
void scores(const Attention& a, const Tiles& t, const Bits* seen, Index rows, Index padded) {
  const Index size = packed<T>(padded);
  const Product product{.a = t.queries,
                        .a_stride = size,
                        .b = t.keys_across,
                        .b_stride = key_block,
                        .c = t.weights,
                        .c_stride = key_block,
                        .depth = in_pairs<T> ? size : a.width,
                        .scale = a.scale};
  for (Index i = 0; i < rows; i += tile_rows) {
    const Index count = smaller(tile_rows, rows - i);
    const Index columns = round_up(end_bit(union_of(seen + i, count)), vector_width);
    multiply<false, false, in_pairs<T>>(product, i, count, columns);
  }
}

// Hidden scores become -infinity; next_peaks and shrink follow from the largest visible ones.
void find_peaks(const Tiles& t, const Bits* seen, Index rows) {
  const vfloat hidden = broadcast(-__builtin_inff());
  for (Index i = 0; i < rows; ++i) {
    float* row = t.weights + i * key_block;
    const Index vectors = round_up(end_bit(seen[i]), vector_width) / vector_width;
    const bool all = seen[i] == low_bits(vectors * vector_width);
    vfloat peak = broadcast(t.peaks[i]);
    for (Index v = 0; v < vectors; ++v) {
      vfloat x = load(row + v * vector_width);
      if (!all) {
        x = select(lane_mask(seen[i], v), x, hidden);
        store(row + v * vector_width, x);
      }
      peak = max(peak, x);
    }
    t.next_peaks[i] = largest(peak);
  }
  for (Index i = 0; i < rows; i += vector_width) {
    const vfloat before = load(t.peaks + i);
    const vfloat after = load(t.next_peaks + i);
    // Equal also covers rows that have seen nothing yet: -infinity both times.
    store(t.shrink + i, select(equal(before, after), broadcast(1.0f), exp(before - after)));
    store(t.peaks + i, after);
  }
}

void weigh(const Attention& a, const Tiles& t, const Bits* seen, Index b, Index key_head, Index row,
           Index rows, Index first, Index padded) {
  alignas(64) float factors[key_block];
  for (Index i = 0; i < rows; ++i) {
    if (seen[i] == 0) continue;
    float* weights = t.weights + i * key_block;
    const Index columns = round_up(end_bit(seen[i]), vector_width);
    const bool all = seen[i] == low_bits(columns);
    const vfloat peak = broadcast(t.peaks[i]);
    vfloat sum_here = broadcast(0.0f);
    if (a.dropout > 0.0f) {
      dropout_factors(a, element_index(a, b, row_at(a, key_head, row + i), first), columns,
                      factors);
    }
    for (Index s = 0; s < columns; s += vector_width) {
      vfloat p = exp(load(weights + s) - peak);
      if (!all) p = select(lane_mask(seen[i], s / vector_width), p, broadcast(0.0f));
      sum_here = sum_here + p;
      if (a.dropout > 0.0f) p = p * load(factors + s);
      store(weights + s, p);
    }
    float* sum_before = t.sums + i * vector_width;
    const vfloat shrink = broadcast(t.shrink[i]);
    store(sum_before, fma(load(sum_before), shrink, sum_here));
    if (t.shrink[i] == 1.0f) continue;
    float* out = t.out + i * padded;
    for (Index d = 0; d < padded; d += vector_width) store(out + d, load(out + d) * shrink);
  }
}

// The values of one key block, packed or where they came from.
struct Values {
  const float* data;
  Index stride;
};

// Adds weights times values key by key. A hidden key is left out rather than added with weight 0:
// its value may be anything. The rows of a tile share a run of visible keys; what a row sees after
// that run, it adds alone.
void add_values(const Tiles& t, const Values& values, const Bits* seen, Index rows, Index padded) {
  for (Index i = 0; i < rows; i += tile_rows) {
    const Index count = smaller(tile_rows, rows - i);
    Bits any = 0, every = ~Bits{0};
    for (Index r = i; r < i + count; ++r) {
      any |= seen[r];
      every &= seen[r];
    }
    if (any == 0) continue;
    const Index low = first_bit(any);
    const Index shared = run_length(every, low);
    const auto add_run = [&](Index r, Index how_many, Index key, Index run) {
      const Product product{
          t.weights + key, key_block, values.data + key * values.stride, values.stride, t.out,
          padded,          run};
      multiply<false, true>(product, r, how_many, padded);
    };
    if (shared > 0) add_run(i, count, low, shared);
    for (Index r = i; r < i + count; ++r) {
      Bits rest = seen[r] & ~low_bits(low + shared);
      while (rest != 0) {
        const Index key = first_bit(rest);
        const Index run = run_length(rest, key);
        add_run(r, 1, key, run);
        rest &= ~low_bits(key + run);
      }
    }
  }
}

template <class T>
void start(const Attention& a, const Tiles& t, Index b, Index key_head, Index row, Index rows,
           Index padded) {
  for (Index i = 0; i < rows; ++i) {
    const Row at = row_at(a, key_head, row + i);
    const Row soon = row_at(a, key_head, row + smaller(i + prefetch_distance, rows - 1));
    prefetch_row(element<T>(a.q, b, soon.time, soon.head), a.width);
    const T* query = element<T>(a.q, b, at.time, at.head);
    float* to = t.queries + i * packed<T>(padded);
    if constexpr (in_pairs<T>) {
      copy_row(to, query, a.width);
    } else {
      load_row(to, query, a.width, a.scale);
    }
  }
  fill_zero(t.out, rows * padded);
  fill_zero(t.sums, rows * vector_width);
  for (Index i = 0; i < row_block; ++i) t.peaks[i] = -__builtin_inff();
}

template <class T>
void finish(const Attention& a, const Tiles& t, Index b, Index key_head, Index row, Index rows,
            Index padded) {
  for (Index i = 0; i < rows; ++i) {
    const Row at = row_at(a, key_head, row + i);
    const float total = sum(load(t.sums + i * vector_width));
    const bool nothing = total == 0.0f;
    const vfloat divide = broadcast(nothing ? 0.0f : 1.0f / total);
    T* to = element<T>(a.out, b, at.time, at.head);
    for (Index d = 0; d < a.width; d += vector_width) {
      // Adding +0 makes -0 into +0: which of the two a chain left depends on underflow alone.
      const vfloat x = load(t.out + i * padded + d) * divide + broadcast(0.0f);
      if (d + vector_width <= a.width) {
        store(to + d, x);
      } else {
        store(to + d, x, static_cast<std::size_t>(a.width - d));
      }
    }
    if (a.lse == nullptr) continue;
    const float log_total = first_lane(log(broadcast(total)));
    a.lse[(b * a.heads + at.head) * a.queries + at.time] =
        nothing ? -__builtin_inff() : t.peaks[i] + log_total;
  }
}

struct Task {
  Index b;
  Index key_head, heads;  // key_head to key_head + heads
  Index row, rows;        // of each of them
};

// Asks for part `part` of `parts` of the next key block, in the order of the memory.
template <class T>
void prefetch_keys(const Attention& a, const Task& task, Index first, Index end, Index part,
                   Index parts) {
  const Index from = first + key_block * part / parts;
  const Index to = smaller(end, first + key_block * (part + 1) / parts);
  for (const AttentionOperand* x : {&a.k, &a.v}) {
    for (Index key = from; key < to; ++key) {
      for (Index head = task.key_head; head < task.key_head + task.heads; ++head) {
        prefetch_row(element<T>(*x, task.b, key, head), a.width);
      }
    }
  }
}

// Transposes a whole block of keys where it lies. The processor makes no sense of eight rows read
// side by side: the next eight are asked for in their order.
template <class T>
void transpose_keys(const Attention& a, float* to, const T* keys) {
  constexpr Index in_float = sizeof(float) / sizeof(T);
  const Index width = a.width / in_float, stride = a.k.time / in_float;
  for (Index j = 0; j < key_block; j += 8) {
    const T* rows = keys + j * a.k.time;
    Index asked = 0;
    for (Index d = 0; d < width; d += 8) {
      for (; asked * width < 8 * (d + 8); ++asked) {
        prefetch_row(rows + (8 + asked) * a.k.time, a.width);
      }
      transpose_eight(to + d * key_block + j, key_block, reinterpret_cast<const float*>(rows) + d,
                      stride);
    }
  }
}

// Makes one key block ready: keys transposed, values row by row. For few rows a copy would cost as
// much as the products, so that whole blocks stay where they are, values of bf16 excepted; many
// rows would pay for strides of kilobytes, which share few cache sets.
template <class T>
Values load_tiles(const Attention& a, const Tiles& t, Index b, Index head, Index first, Index count,
                  bool in_place) {
  const Index padded = round_up(a.width, vector_width);
  in_place = in_place && count == key_block && padded == a.width;
  if (in_place && (sizeof(T) == sizeof(float) || (in_pairs<T> && a.k.time % 2 == 0))) {
    transpose_keys(a, t.keys_across, element<T>(a.k, b, first, head));
  } else {
    load_across<T>(t.keys_across, t.keys, a.k, b, head, first, count, a.width);
  }
  if constexpr (sizeof(T) == sizeof(float)) {
    if (in_place) return {element<T>(a.v, b, first, head), a.v.time};
  }
  load_block<T>(t.values, a.v, b, head, first, count, a.width);
  return {t.values, padded};
}

// Whether the keys of a head follow one another, and its values: then each head is read alone and
// the processor sees what comes. Else heads lie side by side and are read together.
bool is_by_head(const Attention& a) { return a.k.time == a.width && a.v.time == a.width; }

template <class T>
void attend(const Attention& a, float* memory, const Task& task) {
  const Index padded = round_up(a.width, vector_width);
  const Index b = task.b, blocks = (task.rows + row_block - 1) / row_block;
  const auto each_block = [&](Index head, auto act) {
    for (Index i = 0; i < blocks; ++i) {
      act(cut(memory, padded, head * blocks + i), task.row + i * row_block,
          smaller(row_block, task.rows - i * row_block));
    }
  };
  for (Index head = 0; head < task.heads; ++head) {
    each_block(head, [&](const Tiles& t, Index row, Index rows) {
      start<T>(a, t, b, task.key_head + head, row, rows, padded);
    });
  }
  Bits seen[row_block];
  const bool by_head = is_by_head(a);
  const Index end = key_end(a, b, row_at(a, task.key_head, task.row + task.rows - 1).time);
  for (Index first = 0; first < end; first += key_block) {
    for (Index head = 0; head < task.heads; ++head) {
      const Index key_head = task.key_head + head;
      if (!by_head) prefetch_keys<T>(a, task, first + key_block, end, head, task.heads);
      Values values{nullptr, 0};
      each_block(head, [&](const Tiles& t, Index row, Index rows) {
        if (visible_rows(a, b, key_head, row, rows, first, seen) == 0) return;
        if (values.data == nullptr) {
          values = load_tiles<T>(a, t, b, key_head, first, smaller(key_block, end - first),
                                 task.rows <= vector_width);
        }
        scores<T>(a, t, seen, rows, padded);
        find_peaks(t, seen, rows);
        weigh(a, t, seen, b, key_head, row, rows, first, padded);
        add_values(t, values, seen, rows, padded);
      });
    }
  }
  for (Index head = 0; head < task.heads; ++head) {
    each_block(head, [&](const Tiles& t, Index row, Index rows) {
      finish<T>(a, t, b, task.key_head + head, row, rows, padded);
    });
  }
}

// How the work is cut; of no influence on the bits.
struct Plan {
  Index heads, rows;  // of a task
  Index head_parts, row_parts, tasks;

  Plan(const Attention& a, Index all_rows, Index threads) {
    const Index blocks = (all_rows + row_block - 1) / row_block;
    // About four tasks a thread even out their lengths; decoding is limited by memory anyway.
    const Index shares = all_rows <= vector_width ? threads : 4 * threads;
    const Index share = larger(1, smaller(most_blocks, blocks * a.batch * a.key_heads / shares));
    rows = smaller(blocks, share) * row_block;
    row_parts = (all_rows + rows - 1) / rows;
    const Index most_heads = is_by_head(a) ? 1 : larger(1, share / blocks);
    head_parts = (a.key_heads + most_heads - 1) / most_heads;
    heads = (a.key_heads + head_parts - 1) / head_parts;
    head_parts = (a.key_heads + heads - 1) / heads;
    tasks = a.batch * head_parts * row_parts;
  }
  // Later rows of a causal head see more keys: first the long tasks, then the short ones.
  Task task(const Attention& a, Index all_rows, Index index) const {
    const Index row = (row_parts - 1 - index / (a.batch * head_parts)) * rows;
    const Index head = index % head_parts * heads;
    return {index / head_parts % a.batch, head, smaller(heads, a.key_heads - head), row,
            smaller(rows, all_rows - row)};
  }
};

template <class T>
void run(const Attention& a) {
  const Index all_rows = a.queries * (a.heads / a.key_heads);
  const Index most_threads = omp_get_max_threads();
  const Plan plan(a, all_rows, most_threads);
  const Index threads = smaller(most_threads, plan.tasks);
  const Index padded = round_up(a.width, vector_width);
  const Index blocks = (plan.rows + row_block - 1) / row_block * plan.heads;
  const Index each = round_up(shared_size(padded) + blocks * block_size(padded), 1024);
  float* scratch = attention_scratch(static_cast<std::size_t>(each * threads));
#pragma omp parallel for schedule(dynamic) num_threads(static_cast <int>(threads)) if (threads > 1)
  for (Index i = 0; i < plan.tasks; ++i) {
    attend<T>(a, scratch + each * omp_get_thread_num(), plan.task(a, all_rows, i));
  }
}

}  // namespace

void attention_forward_kernel(const Attention& a) {
  if (a.type == DType::bf16) {
    run<bf16>(a);
  } else {
    run<float>(a);
  }
}

}  // namespace lathe::kernels::LATHE_ISA
