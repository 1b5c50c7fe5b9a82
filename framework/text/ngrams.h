// Counts of n-grams: what BLEU, ROUGE, chrF and measures of repetition are made of.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace lathe {

// How often each run of n items occurs. Keyed by the items with line feeds between them, which is
// unambiguous for words and for single characters.
struct NgramCounts {
  std::unordered_map<std::string, std::int64_t> counts;
  std::int64_t total = 0;  // max(0, items - n + 1)
};

NgramCounts count_ngrams(std::span<const std::string_view> items, std::size_t n);

// sum over the n-grams of min(count in a, count in b).
std::int64_t common_ngrams(const NgramCounts& a, const NgramCounts& b);

}  // namespace lathe
