// Examples into rows of T places: best-fit packing, and the arrays of a batch.
#pragma once

#include <lathe/data/batch.h>
#include <lathe/data/dataset.h>

#include <cstdint>
#include <span>
#include <vector>

namespace lathe {

// Which items share a row: best-fit decreasing, O(n log n). Longest first, each into the fullest
// row that still has room (among equals the one that got there last), else into a new row; items of
// equal length are taken in their order. The number of rows depends on the lengths alone, never on
// the order of the items, so every epoch of a shuffled packing has equally many rows. It is at most
// 11/9 of the optimum plus 4 (Johnson et al., SIAM J. Comput. 3, 1974).
// lengths [n], each in 1..row_length; Error otherwise. Result: item numbers of each row.
std::vector<std::vector<std::int64_t>> best_fit_decreasing(std::span<const std::int64_t> lengths,
                                                           std::int64_t row_length);

// B rows of T places of padding: tokens 0, targets -1, weights 0, positions 0, segments and
// examples -1.
Batch padding_batch(std::int64_t rows, std::int64_t length);

// Writes the tokens of one piece at places at..at+n-1 of a row: positions from 0, its segment
// number, and as target of each place the next token of the piece, -1 at its last place (so no
// loss crosses the seam) and wherever the next token weighs nothing. `weights` are those of the
// tokens, as in Example; they become token_weights as they are.
void place_piece(Batch& batch, std::int64_t row, std::int64_t at, std::int32_t segment,
                 std::span<const std::int32_t> tokens, std::span<const float> weights);

// Drops `segments` if every row is one whole piece.
void drop_trivial_segments(Batch& batch);

}  // namespace lathe
