// What flows from a feed through an objective: a plain struct of host values.
#pragma once

#include <cstdint>
#include <vector>

namespace lathe {

// B rows of T places; N = B T. Every array is row-major and filled by the feed.
struct Batch {
  std::int64_t rows = 0;    // B
  std::int64_t length = 0;  // T

  std::vector<std::int32_t> tokens;     // [B, T] ids; padding holds 0
  std::vector<std::int32_t> targets;    // [B, T] the next token; -1 where none is asked for
  std::vector<float> weights;           // [B, T] of each target's loss; 0 beside -1
  std::vector<std::int32_t> positions;  // [B, T] place within the piece; restarts at each seam
  // [B, T] number of the piece within its row, -1 padding; only equal numbers attend to each
  // other. Empty when every row is one whole piece.
  std::vector<std::int32_t> segments;
  std::vector<std::int64_t> examples;  // [B] index of the row's first example, or -1
};

}  // namespace lathe
