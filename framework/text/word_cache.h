// Remembers the ids of short words, which are most of any text. One cache serves one thread at a
// time. It never changes a result: what it forgets is merged again.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace lathe {

class WordCache {
 public:
  static constexpr std::size_t longest = 15;  // bytes of a word

  // The word's bytes, padded with zeros, and its length in the last byte.
  struct Key {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    bool operator==(const Key&) const = default;
  };

  // At most three ids stand in the entry itself; more stand in the overflow from ids[0] on.
  struct Entry {
    Key key;
    std::uint32_t count = 0;
    std::array<std::int32_t, 3> ids{};
  };

  WordCache() : entries_(std::size_t{1} << bits) {}

  // `readable` bytes may be read from the begin of the word: with 16 of them the key costs two
  // loads and no loop (on a little-endian machine, as all that are supported).
  static Key key_of(std::string_view word, std::size_t readable) {
    std::array<std::uint64_t, 2> words{};
    if (readable >= 16) {
      std::memcpy(words.data(), word.data(), 16);
      const std::size_t unused = 64 - 8 * (word.size() & 7);
      const std::uint64_t mask = unused == 64 ? 0 : ~std::uint64_t{0} >> unused;
      const bool is_long = word.size() >= 8;
      words[1] &= is_long ? mask : 0;
      words[0] &= is_long ? ~std::uint64_t{0} : mask;
    } else {
      std::memcpy(words.data(), word.data(), word.size());
    }
    return {words[0], words[1] | (static_cast<std::uint64_t>(word.size()) << 56)};
  }

  const Entry* find(const Key& key) const {
    const std::size_t slot = slot_of(key);
    if (entries_[slot].key == key) return &entries_[slot];
    if (entries_[slot ^ 1].key == key) return &entries_[slot ^ 1];
    return nullptr;
  }

  // The newest word takes the first of its two slots and moves the old one to the second.
  void keep(const Key& key, std::span<const std::int32_t> ids) {
    if (overflow_.size() > overflow_limit) {
      overflow_.clear();
      entries_.assign(entries_.size(), Entry{});
    }
    Entry entry{key, static_cast<std::uint32_t>(ids.size()), {}};
    if (ids.size() <= entry.ids.size()) {
      for (std::size_t i = 0; i < ids.size(); ++i) entry.ids[i] = ids[i];
    } else {
      entry.ids[0] = static_cast<std::int32_t>(overflow_.size());
      overflow_.insert(overflow_.end(), ids.begin(), ids.end());
    }
    const std::size_t slot = slot_of(key);
    entries_[slot ^ 1] = entries_[slot];
    entries_[slot] = entry;
  }

  const std::int32_t* overflow(const Entry& entry) const { return overflow_.data() + entry.ids[0]; }

 private:
  static constexpr int bits = 15;
  static constexpr std::size_t overflow_limit = std::size_t{1} << 18;

  static std::size_t slot_of(const Key& key) {
    const std::uint64_t mixed =
        (key.low ^ (key.high >> 29) ^ (key.high << 23)) * 0x9E3779B97F4A7C15u;
    return static_cast<std::size_t>((mixed ^ (mixed << 17)) >> (64 - bits));
  }

  std::vector<Entry> entries_;
  std::vector<std::int32_t> overflow_;
};

}  // namespace lathe
