#include <lathe/learn/decoder.h>

#include <lathe/base/error.h>

#include <algorithm>

namespace lathe {
namespace {
std::size_t index(std::int64_t value) { return static_cast<std::size_t>(value); }

// Rows of a cache as a cache of their own.
KeyValueCache rows_of(const KeyValueCache& cache, std::int64_t begin, std::int64_t end) {
  const auto window = [&](const Tensor& all) {
    return Tensor(all.storage(), sliced(all.view(), 0, begin, end));
  };
  KeyValueCache part;
  for (const LayerCache& layer : cache.layers) {
    part.layers.push_back({window(layer.keys), window(layer.values)});
  }
  return part;
}
}  // namespace

Decoder::Decoder(const Model& model, const Parameters& parameters, std::int64_t rows,
                 std::int64_t capacity)
    : model_(model),
      parameters_(parameters),
      rows_(rows),
      capacity_(capacity),
      cache_(model.make_cache(parameters.backend(), activation_type(parameters.precision()), rows,
                              capacity)),
      lengths_(index(rows)),
      arena_(std::make_unique<Arena>(parameters.backend())) {}

std::vector<float> Decoder::forward(const std::vector<std::int32_t>& tokens, std::int64_t first,
                                    std::int64_t count, const std::vector<std::int32_t>& lengths) {
  const NoGradient silent;
  const auto& backend = parameters_.backend();
  const auto places = static_cast<std::int64_t>(tokens.size());
  const std::int64_t length = places / count;
  const Arena::Step memory(*arena_, cat(count, "x", length));
  std::vector<std::int32_t> positions(tokens.size());
  for (std::int64_t n = 0; n < places; ++n) {
    positions[index(n)] = lengths[index(n / length)] + static_cast<std::int32_t>(n % length);
  }
  KeyValueCache part = rows_of(cache_, first, first + count);
  part.lengths = Tensor::of<std::int32_t>(backend, {count}, lengths);
  ModelInput input;
  input.tokens = Tensor::of<std::int32_t>(backend, {places}, tokens);
  input.places.rows = count;
  input.places.length = length;
  input.places.positions = Tensor::of<std::int32_t>(backend, {places}, positions);
  input.places.cache = &part;
  const Tensor hidden = model_.hidden(input);
  const Tensor by_row = hidden.reshape({count, length, hidden.size(1)});
  const Tensor last = contiguous(slice(by_row, 1, length - 1, length));
  return model_.logits(last.reshape({count, hidden.size(1)})).floats();
}

std::vector<float> Decoder::begin(std::int64_t row, std::span<const std::int32_t> sequence) {
  lengths_[index(row)] = static_cast<std::int32_t>(sequence.size());
  if (sequence.empty()) return {};
  return forward({sequence.begin(), sequence.end()}, row, 1, {0});
}

std::vector<float> Decoder::begin(const std::vector<std::vector<std::int32_t>>& sequences) {
  std::vector<float> logits;
  for (std::size_t row = 0; row < sequences.size();) {
    const std::size_t length = sequences[row].size();
    if (length == 0) fail("sequence ", row, " has no tokens: begin with at least one");
    if (static_cast<std::int64_t>(length) > capacity_) {
      fail("sequence ", row, " of ", length, " tokens is longer than the context of ", capacity_);
    }
    std::size_t end = row;
    std::vector<std::int32_t> tokens;
    while (end < sequences.size() && sequences[end].size() == length) {
      tokens.insert(tokens.end(), sequences[end].begin(), sequences[end].end());
      lengths_[end++] = static_cast<std::int32_t>(length);
    }
    const std::vector<float> some =
        forward(tokens, static_cast<std::int64_t>(row), static_cast<std::int64_t>(end - row),
                std::vector<std::int32_t>(end - row, 0));
    logits.insert(logits.end(), some.begin(), some.end());
    row = end;
  }
  return logits;
}

std::vector<float> Decoder::next(std::span<const std::int32_t> tokens) {
  // A resting row is kept company at place 0.
  std::vector<std::int32_t> fed(tokens.begin(), tokens.end());
  std::vector<std::int32_t> lengths = lengths_;
  for (std::size_t row = 0; row < fed.size(); ++row) {
    if (fed[row] < 0) {
      fed[row] = lengths[row] = 0;
    } else if (lengths_[row]++ >= capacity_) {
      fail("row ", row, " is longer than the context of ", capacity_, " tokens");
    }
  }
  return forward(fed, 0, rows_, lengths);
}

}  // namespace lathe
