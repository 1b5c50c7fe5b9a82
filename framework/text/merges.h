// Byte-pair merging of one word (Sennrich, Haddow and Birch 2016): of all neighbours, the pair with
// the lowest rank becomes one token, the leftmost first, until no pair has a rank.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lathe {

struct Merge {
  std::int32_t left = 0;
  std::int32_t right = 0;
  std::int32_t result = 0;

  bool operator==(const Merge&) const = default;
};

// From a pair of ids to its rank and result; open addressing, at most half full.
class MergeTable {
 public:
  static constexpr std::uint32_t no_rank = 0xFFFFFFFFu;

  struct Entry {
    std::uint64_t pair = no_pair;
    std::uint32_t rank = no_rank;
    std::int32_t result = -1;
  };

  // In the order of their ranks. Of equal pairs the last counts, as in Hugging Face's tokenizers.
  explicit MergeTable(std::span<const Merge> merges);

  // The entry of a pair; its rank is no_rank where there is none.
  const Entry& find(std::int32_t left, std::int32_t right) const {
    const std::uint64_t pair = key_of(left, right);
    for (std::size_t slot = slot_of(pair);; slot = (slot + 1) & mask_) {
      const Entry& entry = slots_[slot];
      if (entry.pair == pair || entry.pair == no_pair) return entry;
    }
  }

  // Merges the ids of a word in place and returns how many are left at its begin.
  std::size_t merge(std::span<std::int32_t> ids) const;

 private:
  static constexpr std::uint64_t no_pair = ~std::uint64_t{0};

  static std::uint64_t key_of(std::int32_t left, std::int32_t right) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
           static_cast<std::uint32_t>(right);
  }
  std::size_t slot_of(std::uint64_t pair) const {
    return static_cast<std::size_t>((pair * 0x9E3779B97F4A7C15u) >> shift_);
  }
  std::size_t merge_short(std::span<std::int32_t> ids) const;
  std::size_t merge_long(std::span<std::int32_t> ids) const;

  std::vector<Entry> slots_;
  std::size_t mask_ = 0;
  int shift_ = 0;
};

}  // namespace lathe
