#include <lathe/text/ngrams.h>

#include <algorithm>

namespace lathe {

NgramCounts count_ngrams(std::span<const std::string_view> items, std::size_t n) {
  NgramCounts all;
  if (n == 0) return all;
  std::string key;
  for (std::size_t i = 0; i + n <= items.size(); ++i) {
    key.clear();
    for (std::size_t k = 0; k < n; ++k) {
      key += items[i + k];
      key += '\n';
    }
    ++all.counts[key];
    ++all.total;
  }
  return all;
}

std::int64_t common_ngrams(const NgramCounts& a, const NgramCounts& b) {
  std::int64_t common = 0;
  for (const auto& [ngram, count] : a.counts) {
    const auto other = b.counts.find(ngram);
    if (other != b.counts.end()) common += std::min(count, other->second);
  }
  return common;
}

}  // namespace lathe
