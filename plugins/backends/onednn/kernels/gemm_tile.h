// What the ways of a matrix product share: what its threads know, and one tile from packed operands
// into C. Included by gemm_kernel.cpp alone, once per instruction set.
#pragma once

#include <omp.h>

#include <cstdint>

#include "gemm_finish.h"
#include "gemm_micro.h"
#include "gemm_pack.h"
#include "gemm_split.h"

namespace lathe::kernels::LATHE_ISA::matrix {

constexpr std::int64_t tile_columns = 4;  // panels of B: 512 KiB of the L2 of a thread

// What all threads know of a product.
template <class Kind>
struct Shared {
  const Gemm& product;
  Operand<Kind> a_operand, b_operand;
  int threads;
  std::int64_t ticket = 0;

  explicit Shared(const Gemm& of)
      : product(of),
        a_operand{static_cast<const typename Kind::Element*>(of.a), of.a_row,
                  of.k == 1 ? 1 : of.a_column},
        b_operand{static_cast<const typename Kind::Element*>(of.b), of.b_column,
                  of.k == 1 ? 1 : of.b_row} {
    constexpr double too_small = 1 << 17;  // multiplications that cost less than waking threads
    const double work = static_cast<double>(of.m) * static_cast<double>(of.n) *
                        static_cast<double>(of.k < 16 ? 16 : of.k);
    threads = omp_in_parallel() || work < too_small ? 1 : omp_get_max_threads();
  }

  std::int64_t units() const { return ceiling(product.k, Kind::elements_per_unit); }
  // Elements of k in `length` units from unit `begin` on; the last unit may be half full.
  std::int64_t elements(std::int64_t begin, std::int64_t length) const {
    return smaller(length * Kind::elements_per_unit, product.k - begin * Kind::elements_per_unit);
  }
  // Numbers all pieces of work in the order in which they may begin; each goes to one thread.
  std::int64_t next() {
    std::int64_t mine;
#pragma omp atomic capture
    mine = ticket++;
    return mine;
  }
  int thread() const { return threads > 1 ? omp_get_thread_num() : 0; }
  void wait_for_all() const {
    if (threads > 1) {
#pragma omp barrier
    }
  }
};

// Whether whole lines of C go past the caches. Fetching a line only to overwrite it costs as much
// memory traffic as writing it.
static inline bool streams(const Gemm& product) {
  constexpr std::int64_t large = std::int64_t{2} << 20;  // bytes: no L2 keeps it
  constexpr std::int64_t line = 64 / static_cast<std::int64_t>(sizeof(float));
  return product.c_is_cold && !product.add && product.m * product.n * 4 >= large &&
         product.c_row % line == 0 && reinterpret_cast<std::uintptr_t>(product.c) % 64 == 0;
}

// One stretch of k for one tile. `sums` holds the tile between stretches, all panel_columns wide.
template <class Kind>
static void multiply_tile(const Gemm& product, const Place& place, bool is_first, bool is_last,
                          std::int64_t units, const Panels& panels, float* sums,
                          std::int64_t sums_row, const float* next_a) {
  alignas(64) float buffer[max_rows * panel_columns];
  const bool in_c = product.c_type == DType::f32 && place.columns == panel_columns;
  const bool plain = in_c && !product.bias && !product.residual && !product.before &&
                     product.activation == Activation::none;
  float* c =
      in_c ? static_cast<float*>(product.c) + place.row * product.c_row + place.column : nullptr;
  const auto size = static_cast<std::int64_t>(size_of(product.c_type));
  // The next tile to the right, in C or where its sums rest.
  const bool from_sums = !is_first || !is_last;
  Tile tile{sums,
            sums_row,
            sums,
            sums_row,
            from_sums ? reinterpret_cast<const char*>(sums + panel_columns)
                      : static_cast<const char*>(product.c) +
                            (place.row * product.c_row + place.column + panel_columns) * size,
            (from_sums ? sums_row : product.c_row) * (from_sums ? 4 : size),
            reinterpret_cast<const char*>(next_a),
            max_rows * 4 / tile_columns,
            false};
  if (is_first && !product.add) {
    tile.from = nullptr;
  } else if (is_first && in_c) {
    tile.from = c;
    tile.from_row = product.c_row;
  } else if (is_first) {
    read_result(product, place, buffer, panel_columns);
    tile.from = buffer;
    tile.from_row = panel_columns;
  }
  if (is_last) {
    tile.to = plain ? c : buffer;
    tile.to_row = plain ? product.c_row : panel_columns;
    tile.stream = plain && is_first && streams(product);
    if (tile.stream) {  // fetch what follows in A instead
      tile.next = tile.next_a;
      tile.next_row = 0;
    }
  }
  micro_for<Kind>(place.rows, panels)(units, panels, tile);
  if (is_last && !plain) finish(product, place, buffer, panel_columns);
}

}  // namespace lathe::kernels::LATHE_ISA::matrix
