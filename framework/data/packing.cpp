#include <lathe/base/error.h>
#include <lathe/data/packing.h>

#include <algorithm>
#include <numeric>
#include <set>

namespace lathe {

std::vector<std::vector<std::int64_t>> best_fit_decreasing(std::span<const std::int64_t> lengths,
                                                           std::int64_t row_length) {
  std::vector<std::int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const auto length_of = [&](std::int64_t item) { return lengths[static_cast<std::size_t>(item)]; };
  for (const std::int64_t item : order) {
    if (length_of(item) < 1 || length_of(item) > row_length) {
      fail("packing: item ", item, " has ", length_of(item), " places; expected 1 to ", row_length);
    }
  }
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t left, std::int64_t right) {
    return length_of(left) > length_of(right);
  });

  std::vector<std::vector<std::int64_t>> rows;
  // Rows by the room they have left, and which amounts of room there are.
  std::vector<std::vector<std::size_t>> with_room(static_cast<std::size_t>(row_length));
  std::set<std::int64_t> rooms;
  for (const std::int64_t item : order) {
    const auto fullest = rooms.lower_bound(length_of(item));
    std::size_t row = rows.size();
    std::int64_t room = row_length;
    if (fullest == rooms.end()) {
      rows.emplace_back();
    } else {
      room = *fullest;
      std::vector<std::size_t>& candidates = with_room[static_cast<std::size_t>(room)];
      row = candidates.back();
      candidates.pop_back();
      if (candidates.empty()) rooms.erase(fullest);
    }
    rows[row].push_back(item);
    room -= length_of(item);
    if (room == 0) continue;
    with_room[static_cast<std::size_t>(room)].push_back(row);
    rooms.insert(room);
  }
  return rows;
}

Batch padding_batch(std::int64_t rows, std::int64_t length) {
  const auto places = static_cast<std::size_t>(rows * length);
  Batch batch;
  batch.rows = rows;
  batch.length = length;
  batch.tokens.assign(places, 0);
  batch.targets.assign(places, -1);
  batch.weights.assign(places, 0.0f);
  batch.positions.assign(places, 0);
  batch.segments.assign(places, -1);
  batch.examples.assign(static_cast<std::size_t>(rows), -1);
  batch.token_weights.assign(places, 0.0f);
  return batch;
}

void place_piece(Batch& batch, std::int64_t row, std::int64_t at, std::int32_t segment,
                 std::span<const std::int32_t> tokens, std::span<const float> weights) {
  if (at + static_cast<std::int64_t>(tokens.size()) > batch.length ||
      weights.size() != tokens.size()) {
    fail("a piece of ", tokens.size(), " tokens and ", weights.size(), " weights at place ", at,
         " does not fit a row of ", batch.length);
  }
  auto place = static_cast<std::size_t>(row * batch.length + at);
  for (std::size_t i = 0; i < tokens.size(); ++i, ++place) {
    batch.tokens[place] = tokens[i];
    batch.positions[place] = static_cast<std::int32_t>(i);
    batch.segments[place] = segment;
    batch.token_weights[place] = weights[i];
    if (i + 1 < tokens.size() && weights[i + 1] != 0.0f) {
      batch.targets[place] = tokens[i + 1];
      batch.weights[place] = weights[i + 1];
    }
  }
}

void drop_trivial_segments(Batch& batch) {
  const bool whole = std::all_of(batch.segments.begin(), batch.segments.end(),
                                 [](std::int32_t segment) { return segment == 0; });
  if (whole) batch.segments.clear();
}

}  // namespace lathe
