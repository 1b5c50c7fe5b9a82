// Whole texts of a collection as records of fixed size, for a replay.
#pragma once

#include <lathe/data/batch.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace lathe {

// A row of a collection of texts: its tokens, what was asked for, and what came of it.
class TextLayout {
 public:
  TextLayout() = default;
  explicit TextLayout(std::int64_t length);  // longest row

  std::size_t bytes() const;
  void write(const Batch& collection, std::int64_t row, std::span<std::byte> record) const;
  // Padded to the longest of the records.
  Batch batch(std::span<const std::span<const std::byte>> records) const;

 private:
  std::size_t length_ = 0;
};

}  // namespace lathe
