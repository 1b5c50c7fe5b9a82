// Token-by-token passes of B sequences through a key-value cache: what generation and rollouts of
// language models share.
#pragma once

#include <lathe/learn/model.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace lathe {

class Decoder {
 public:
  Decoder(const Model& model, const Parameters& parameters, std::int64_t rows,
          std::int64_t capacity);

  std::int64_t capacity() const { return capacity_; }
  // Begins every row with its own sequence, of at most `capacity` tokens. Gives the logits after
  // the last token of each: [B, V]. Neighbours of equal length go through the model together.
  std::vector<float> begin(const std::vector<std::vector<std::int32_t>>& sequences);
  // Begins one row anew: [V], or nothing after an empty sequence.
  std::vector<float> begin(std::int64_t row, std::span<const std::int32_t> sequence);
  // One more token for every row; a row with -1 rests, and what stands at its place of the result
  // means nothing. [B, V]
  std::vector<float> next(std::span<const std::int32_t> tokens);
  // Tokens in the cache of a row.
  std::int64_t length(std::int64_t row) const { return lengths_[static_cast<std::size_t>(row)]; }

 private:
  // Feeds T tokens of each of the rows first ... first + count - 1.
  std::vector<float> forward(const std::vector<std::int32_t>& tokens, std::int64_t first,
                             std::int64_t count, const std::vector<std::int32_t>& lengths);

  const Model& model_;
  const Parameters& parameters_;
  std::int64_t rows_;
  std::int64_t capacity_;
  KeyValueCache cache_;
  std::vector<std::int32_t> lengths_;  // [B]
  std::unique_ptr<Arena> arena_;
};

}  // namespace lathe
