#include <lathe/learn/text_records.h>

#include <lathe/base/error.h>
#include <lathe/data/packing.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace lathe {
namespace {
// What is kept of each place.
struct Place {
  std::int32_t token = 0;
  std::int32_t target = -1;
  float weight = 0;
  std::int32_t position = 0;
  std::int32_t segment = -1;
  float reward = 0;
  float discount = 0;
  float behaviour = 0;
  std::uint8_t terminated = 0;
  std::uint8_t truncated = 0;
  std::uint8_t unused[2] = {0, 0};
};

// The number of places that are not padding: those of segment 0 and above come first.
std::size_t used(const Batch& batch, std::size_t first) {
  const auto length = static_cast<std::size_t>(batch.length);
  std::size_t count = 0;
  while (count < length && (batch.segments.empty() || batch.segments[first + count] >= 0)) ++count;
  return count;
}
}  // namespace

TextLayout::TextLayout(std::int64_t length) : length_(static_cast<std::size_t>(length)) {}

std::size_t TextLayout::bytes() const { return sizeof(std::int64_t) + length_ * sizeof(Place); }

void TextLayout::write(const Batch& collection, std::int64_t row,
                       std::span<std::byte> record) const {
  const auto first = static_cast<std::size_t>(row * collection.length);
  const std::size_t count = used(collection, first);
  if (count > length_) {
    fail("a text of ", count, " tokens does not fit into the replay's rows of ", length_,
         "; raise train.length");
  }
  const Experience& lived = collection.experience;
  const auto stored = static_cast<std::int64_t>(count);
  std::memcpy(record.data(), &stored, sizeof stored);
  for (std::size_t t = 0; t < count; ++t) {
    const std::size_t n = first + t;
    const Place place{.token = collection.tokens[n],
                      .target = collection.targets[n],
                      .weight = collection.weights[n],
                      .position = collection.positions[n],
                      .segment = collection.segments.empty() ? 0 : collection.segments[n],
                      .reward = lived.rewards[n],
                      .discount = lived.discounts[n],
                      .behaviour = lived.behaviour[n],
                      .terminated = lived.terminated[n],
                      .truncated = lived.truncated[n]};
    std::memcpy(record.data() + sizeof stored + t * sizeof place, &place, sizeof place);
  }
}

Batch TextLayout::batch(std::span<const std::span<const std::byte>> records) const {
  std::vector<std::int64_t> counts;
  for (const auto record : records) {
    std::int64_t& count = counts.emplace_back();
    std::memcpy(&count, record.data(), sizeof count);
  }
  const std::int64_t length = *std::max_element(counts.begin(), counts.end());
  Batch batch = padding_batch(static_cast<std::int64_t>(records.size()), length);
  Experience& lived = batch.experience;
  const std::size_t places = batch.tokens.size();
  lived.rewards.resize(places);
  lived.discounts.resize(places);
  lived.terminated.resize(places);
  lived.truncated.resize(places);
  lived.behaviour.resize(places);
  for (std::size_t row = 0; row < records.size(); ++row) {
    for (std::size_t t = 0; t < static_cast<std::size_t>(counts[row]); ++t) {
      Place place;
      std::memcpy(&place, records[row].data() + sizeof(std::int64_t) + t * sizeof place,
                  sizeof place);
      const std::size_t n = row * static_cast<std::size_t>(length) + t;
      batch.tokens[n] = place.token;
      batch.targets[n] = place.target;
      batch.weights[n] = place.weight;
      batch.positions[n] = place.position;
      if (!batch.segments.empty()) batch.segments[n] = place.segment;
      lived.rewards[n] = place.reward;
      lived.discounts[n] = place.discount;
      lived.behaviour[n] = place.behaviour;
      lived.terminated[n] = place.terminated;
      lived.truncated[n] = place.truncated;
    }
  }
  return batch;
}

}  // namespace lathe
