// Matrix products for one instruction set: blocking, sharing of packed panels, threads.
//
// K is cut into blocks for the caches, never over threads: between blocks the sums rest in C or in
// scratch, unrounded, and the next block goes on from them. So no choice made here (block sizes,
// which thread takes which tile, the path for few rows) can change a bit of the result.
#include <omp.h>

#include <atomic>

#include "gemm_direct.h"
#include "gemm_pack.h"
#include "gemm_private.h"
#include "gemm_ready.h"
#include "gemm_small.h"
#include "gemm_split.h"
#include "gemm_thin.h"
#include "gemm_tile.h"

namespace lathe::kernels::LATHE_ISA::matrix {

constexpr std::int64_t depth_limit = 1536;  // units of k
constexpr std::int64_t row_limit = 74 * max_rows;
constexpr std::int64_t column_limit = 3072;
constexpr std::int64_t least_tile_rows = 8;   // panels of A for which packing those of B pays
constexpr std::int64_t few_rows_depth = 128;  // units of k: a panel of B fits L1

// The general path. For each block of columns, rows and k, in this order from the outside: all
// threads pack the block of A when it changed, wait for each other, and take tiles, for which each
// packs what it needs of B for itself: rewriting the same memory in its L2 costs less than sharing
// through memory. Two slots for A let a thread that is through with its tiles pack for the next
// block at once.
template <class Kind>
struct Blocked : Shared<Kind> {
  Split rows, columns, depth;
  std::int64_t a_slot, b_slot;
  bool sums_in_c;
  float *packed_a, *packed_b, *sums;
  std::int64_t taken[column_limit / (tile_columns * panel_columns)] = {};

  explicit Blocked(const Gemm& of)
      : Shared<Kind>(of),
        rows(of.m, row_limit, max_rows),
        columns(of.n, column_limit, panel_columns),
        depth(this->units(), depth_limit, 1),
        a_slot((rows.size * depth.size + 15) / 16 * 16),
        b_slot(tile_columns * panel_columns * depth.size) {
    sums_in_c = of.c_type == DType::f32 && of.n % panel_columns == 0 && of.residual != of.c;
    const std::int64_t sums_size = sums_in_c || depth.count == 1 ? 0 : rows.size * columns.size;
    packed_a =
        gemm_scratch(static_cast<std::size_t>(2 * a_slot + this->threads * b_slot + sums_size));
    packed_b = packed_a + 2 * a_slot;
    sums = packed_b + this->threads * b_slot;
  }

  struct Block {
    std::int64_t row, column, k;                  // where the block begins (k in units)
    std::int64_t row_count, column_count, units;  // and what it spans
    bool is_first, is_last;                       // of the blocks of k
  };

  void pack_a(const Block& at, std::int64_t panel, float* out) const {
    const std::int64_t row = panel * max_rows;
    const int count = static_cast<int>(smaller(max_rows, at.row_count - row));
    pack_rows<Kind>(this->a_operand, at.row + row, count, at.k * Kind::elements_per_unit,
                    this->elements(at.k, at.units), out + row * at.units);
  }
  void pack_b(const Block& at, std::int64_t column, float* out) const {
    const std::int64_t end = smaller(column + tile_columns * panel_columns, at.column_count);
    for (; column < end; column += panel_columns) {
      pack_columns<Kind>(this->b_operand, at.column + column,
                         static_cast<int>(smaller(panel_columns, end - column)),
                         at.k * Kind::elements_per_unit, this->elements(at.k, at.units), out);
      out += panel_columns * at.units;
    }
  }

  // Rows [row, row_end) of the block, as many columns from `column` on as one tile has.
  void multiply(const Block& at, std::int64_t row, std::int64_t row_end, std::int64_t column,
                const float* a, const float* b) const {
    const std::int64_t end = smaller(column + tile_columns * panel_columns, at.column_count);
    const std::int64_t sums_row = sums_in_c ? this->product.c_row : columns.size;
    for (; row < row_end; row += max_rows) {
      for (std::int64_t j = column; j < end; j += panel_columns) {
        const Place place{at.row + row, at.column + j,
                          static_cast<int>(smaller(max_rows, row_end - row)),
                          static_cast<int>(smaller(panel_columns, end - j))};
        float* rest =
            sums_in_c ? static_cast<float*>(this->product.c) + place.row * sums_row + place.column
                      : sums + row * sums_row + j;
        const std::int64_t done = j - column;
        multiply_tile<Kind>(
            this->product, place, at.is_first, at.is_last, at.units,
            Panels{a + row * at.units, place.rows, b + done * at.units, panel_columns}, rest,
            sums_row,
            a + (row + max_rows) * at.units +
                done / panel_columns * (max_rows * at.units / tile_columns));
      }
    }
  }

  // Takes tiles of a block until none is left. `begin` counts the rows of tiles of all blocks
  // before; returns it for the next block. Each thread has columns of its own, for it packs B for
  // a column of tiles once; when through with them it helps the others, from the last column on.
  std::int64_t take_tiles(const Block& at, const float* a, float* b, std::int64_t begin) {
    const std::int64_t across = ceiling(at.column_count, tile_columns * panel_columns);
    const std::int64_t panels = ceiling(at.row_count, max_rows);
    const std::int64_t wanted = ceiling(8 * this->threads, across);
    const std::int64_t possible = ceiling(panels, least_tile_rows);
    const std::int64_t tile_rows = ceiling(panels, smaller(wanted, possible)) * max_rows;
    const std::int64_t end = begin + ceiling(at.row_count, tile_rows);
    const auto take_column = [&](std::int64_t index) {
      const std::int64_t column = index * tile_columns * panel_columns;
      bool packed = false;
      for (std::int64_t tile; (tile = take(index, begin, end)) < end;) {
        if (!packed) pack_b(at, column, b);
        packed = true;
        const std::int64_t row = (tile - begin) * tile_rows;
        multiply(at, row, smaller(row + tile_rows, at.row_count), column, a, b);
      }
    };
    const std::int64_t first = across * this->thread() / this->threads;
    const std::int64_t last = across * (this->thread() + 1) / this->threads;
    for (std::int64_t index = first; index < last; ++index) take_column(index);
    for (std::int64_t index = across; index-- > last;) take_column(index);
    for (std::int64_t index = first; index-- > 0;) take_column(index);
    return end;
  }

  // The next tile, from `begin` to `end`, of a column of tiles; `end` when all are taken.
  std::int64_t take(std::int64_t column, std::int64_t begin, std::int64_t end) {
    std::atomic_ref<std::int64_t> next(taken[column]);
    std::int64_t seen = next.load(std::memory_order_relaxed);
    while (seen < end) {
      const std::int64_t tile = seen < begin ? begin : seen;
      if (next.compare_exchange_weak(seen, tile + 1, std::memory_order_relaxed)) return tile;
    }
    return end;
  }

  void work() {
    std::int64_t mine = this->next(), begin = 0, tiles = 0, in_slot = -1;
    float* a = packed_a + a_slot;
    float* b = packed_b + b_slot * this->thread();
    for (std::int64_t j = 0; j < columns.count; ++j) {
      for (std::int64_t i = 0; i < rows.count; ++i) {
        for (std::int64_t p = 0; p < depth.count; ++p) {
          const Block at{rows.begin(i),     columns.begin(j), depth.begin(p), rows.length(i),
                         columns.length(j), depth.length(p),  p == 0,         p == depth.count - 1};
          if (in_slot != i * depth.count + p) {
            in_slot = i * depth.count + p;
            a = a == packed_a ? packed_a + a_slot : packed_a;
            const std::int64_t end = begin + ceiling(at.row_count, max_rows);
            for (; mine < end; mine = this->next()) pack_a(at, mine - begin, a);
            begin = end;
            this->wait_for_all();
          }
          tiles = take_tiles(at, a, b, tiles);
        }
      }
    }
  }
};

// Few rows (decoding): reading B is the cost. Up to eight rows take it from where it lies
// (gemm_direct.h); otherwise each thread packs one panel of it at a time into its L1 and uses it
// there for all rows.
template <class Kind>
struct FewRows : Shared<Kind> {
  Split depth;
  const float* packed_a;
  float* own_a = nullptr;  // null when A is used where it lies
  float* own;              // per thread: a panel of B, then the sums of its columns
  std::int64_t own_size;

  explicit FewRows(const Gemm& of) : Shared<Kind>(of), depth(this->units(), few_rows_depth, 1) {
    own_size = few_rows_depth * panel_columns + ceiling(of.m, max_rows) * max_rows * panel_columns;
    const bool as_is = of.m == 1 && this->a_operand.k_step == 1 && of.ab_type == DType::f32;
    const std::int64_t a_size = as_is ? 0 : (of.m * this->units() + 15) / 16 * 16;
    float* scratch = gemm_scratch(static_cast<std::size_t>(a_size + own_size * this->threads));
    own = scratch + a_size;
    packed_a = as_is ? static_cast<const float*>(of.a) : scratch;
    own_a = as_is ? nullptr : scratch;
    plan_direct();
  }

  // A packed: for each stretch of k, panel after panel.
  std::int64_t a_offset(std::int64_t stretch, std::int64_t row) const {
    return depth.begin(stretch) * this->product.m + row * depth.length(stretch);
  }
  int panel_rows(std::int64_t row) const {
    return static_cast<int>(smaller(max_rows, this->product.m - row));
  }

  void multiply(std::int64_t column, float* panel, float* sums) const {
    const int count = static_cast<int>(smaller(panel_columns, this->product.n - column));
    for (std::int64_t p = 0; p < depth.count; ++p) {
      const std::int64_t units = depth.length(p);
      pack_columns<Kind>(this->b_operand, column, count, depth.begin(p) * Kind::elements_per_unit,
                         this->elements(depth.begin(p), units), panel);
      for (std::int64_t row = 0; row < this->product.m; row += max_rows) {
        multiply_tile<Kind>(
            this->product, Place{row, column, panel_rows(row), count}, p == 0, p == depth.count - 1,
            units, Panels{packed_a + a_offset(p, row), panel_rows(row), panel, panel_columns},
            sums + row * panel_columns, panel_columns, packed_a);
      }
    }
  }

  // All columns or none need no packing, 16 to a group. A piece of work is a stretch of
  // them, so that what a thread fetches ahead is its own.
  std::int64_t direct_groups = 0, direct_pieces = 0;

  void plan_direct() {
#if defined(__AVX512F__)
    const Gemm& of = this->product;
    const bool along = this->a_operand.k_step == 1 && this->b_operand.k_step == 1;
    if (!reads_directly<Kind> || !along || of.m > direct_rows || of.k == 0) return;
    direct_groups = ceiling(of.n, direct_columns);
    direct_pieces = smaller(direct_groups, this->threads);
#endif
  }
  void multiply_piece([[maybe_unused]] std::int64_t piece) const {
#if defined(__AVX512F__)
    if constexpr (reads_directly<Kind>) {
      const std::int64_t end = (piece + 1) * direct_groups / direct_pieces;
      const Direct<Kind> multiply_columns = direct_for<Kind>(this->product.m);
      for (std::int64_t group = piece * direct_groups / direct_pieces; group < end; ++group) {
        multiply_columns(this->product, this->a_operand, this->b_operand, group * direct_columns);
      }
    }
#endif
  }

  void work() {
    std::int64_t mine = this->next();
    for (; mine < direct_pieces; mine = this->next()) multiply_piece(mine);
    const std::int64_t first_column = direct_groups * direct_columns;
    if (first_column >= this->product.n) return;
    mine -= direct_pieces;
    const std::int64_t a_panels = ceiling(this->product.m, max_rows);
    const std::int64_t pieces = own_a ? a_panels * depth.count : 0;
    for (; mine < pieces; mine = this->next() - direct_pieces) {
      const std::int64_t row = mine % a_panels * max_rows, p = mine / a_panels;
      pack_rows<Kind>(this->a_operand, row, panel_rows(row),
                      depth.begin(p) * Kind::elements_per_unit,
                      this->elements(depth.begin(p), depth.length(p)), own_a + a_offset(p, row));
    }
    if (own_a) this->wait_for_all();
    float* panel = own + own_size * this->thread();
    const std::int64_t end = pieces + ceiling(this->product.n - first_column, panel_columns);
    for (; mine < end; mine = this->next() - direct_pieces) {
      multiply(first_column + (mine - pieces) * panel_columns, panel,
               panel + few_rows_depth * panel_columns);
    }
  }
};

template <class Work>
static void run(const Gemm& product) {
  Work shared(product);
  const auto work = [&] {
    shared.work();
    if (streams(product)) _mm_sfence();  // so that all threads see what this one has written
  };
  if (shared.threads == 1) {
    work();
  } else {
#pragma omp parallel num_threads(shared.threads)
    work();
  }
}

template <class Kind>
static void run_ready(const Gemm& product) {
  if constexpr (std::is_same_v<Kind, Single>) {
    if (fits_registers(product)) return multiply_at_once(product);
  }
  run<Ready<Kind>>(product);
}

template <class Kind>
static void run_kind(const Gemm& product) {
  if (product.b_panels != nullptr && product.m <= few_rows && product.k > 0) {
    run_ready<Kind>(product);
  } else if (is_thin(product)) {
    multiply_thin(product);
  } else if (fits_caches<Kind>(product)) {
    Small<Kind>(product).run();
  } else if (product.m <= few_rows) {
    run<FewRows<Kind>>(product);
  } else {
    run<Blocked<Kind>>(product);
  }
}

}  // namespace lathe::kernels::LATHE_ISA::matrix

namespace lathe::kernels::LATHE_ISA {

#if defined(__AVX512BF16__)
using Bf16Kind = matrix::Paired;
#else
using Bf16Kind = matrix::Widened;
#endif

void pack_panels(const PanelPacking& packing) {
  if (packing.type == DType::bf16) {
    matrix::pack_all_panels<Bf16Kind>(packing);
  } else {
    matrix::pack_all_panels<matrix::Single>(packing);
  }
}

void gemm(const Gemm& product) {
  if (product.ab_type == DType::bf16) {
    matrix::run_kind<Bf16Kind>(product);
  } else {
    matrix::run_kind<matrix::Single>(product);
  }
}

}  // namespace lathe::kernels::LATHE_ISA
