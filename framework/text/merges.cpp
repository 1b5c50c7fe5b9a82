#include <lathe/text/merges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <queue>
#include <tuple>

namespace lathe {

namespace {
// Up to here, looking at all pairs for each merge beats keeping a queue.
constexpr std::size_t short_word = 48;
}  // namespace

MergeTable::MergeTable(std::span<const Merge> merges) {
  const std::size_t size = std::bit_ceil(std::max<std::size_t>(merges.size() * 2, 2));
  slots_.resize(size);
  mask_ = size - 1;
  shift_ = 64 - std::countr_zero(size);
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::uint64_t pair = key_of(merges[rank].left, merges[rank].right);
    std::size_t slot = slot_of(pair);
    while (slots_[slot].pair != pair && slots_[slot].pair != no_pair) slot = (slot + 1) & mask_;
    slots_[slot] = {pair, static_cast<std::uint32_t>(rank), merges[rank].result};
  }
}

std::size_t MergeTable::merge(std::span<std::int32_t> ids) const {
  if (ids.size() < 2) return ids.size();
  return ids.size() <= short_word ? merge_short(ids) : merge_long(ids);
}

std::size_t MergeTable::merge_short(std::span<std::int32_t> ids) const {
  struct Candidate {
    std::uint32_t rank;
    std::int32_t result;
  };
  std::array<Candidate, short_word> pairs;  // pairs[i] is of ids[i] and ids[i + 1]
  std::size_t count = ids.size();
  const auto look = [&](std::size_t i) {
    const Entry& entry = find(ids[i], ids[i + 1]);
    pairs[i] = {entry.rank, entry.result};
  };
  for (std::size_t i = 0; i + 1 < count; ++i) look(i);
  while (count > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i) {
      if (pairs[i].rank < pairs[best].rank) best = i;
    }
    if (pairs[best].rank == no_rank) break;
    ids[best] = pairs[best].result;
    for (std::size_t i = best + 1; i + 1 < count; ++i) {
      ids[i] = ids[i + 1];
      pairs[i - 1] = pairs[i];
    }
    --count;
    if (best + 1 < count) look(best);
    if (best > 0) look(best - 1);
  }
  return count;
}

std::size_t MergeTable::merge_long(std::span<std::int32_t> ids) const {
  constexpr std::int32_t gone = -1;
  using Candidate = std::tuple<std::uint32_t, std::size_t, std::int32_t, std::int32_t>;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const std::size_t count = ids.size();
  std::vector<std::size_t> before(count);
  std::vector<std::size_t> after(count);
  for (std::size_t i = 0; i < count; ++i) {
    before[i] = i - 1;  // wraps to a value >= count at the first
    after[i] = i + 1;
  }
  const auto offer = [&](std::size_t left) {
    const std::size_t right = after[left];
    if (right >= count) return;
    const Entry& entry = find(ids[left], ids[right]);
    if (entry.rank != no_rank) queue.emplace(entry.rank, left, ids[left], ids[right]);
  };
  for (std::size_t i = 0; i < count; ++i) offer(i);
  while (!queue.empty()) {
    const auto [rank, left, left_id, right_id] = queue.top();
    queue.pop();
    // Stale once one of its two tokens has changed. Equal ids at the same place are as good as the
    // tokens that were offered: their rank is the same.
    if (ids[left] != left_id) continue;
    const std::size_t right = after[left];
    if (right >= count || ids[right] != right_id) continue;
    ids[left] = find(left_id, right_id).result;
    ids[right] = gone;
    after[left] = after[right];
    if (after[left] < count) before[after[left]] = left;
    offer(left);
    if (before[left] < count) offer(before[left]);
  }
  const auto end = std::remove(ids.begin(), ids.end(), gone);
  return static_cast<std::size_t>(end - ids.begin());
}

}  // namespace lathe
