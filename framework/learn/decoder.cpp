#include <lathe/learn/decoder.h>

#include <lathe/base/error.h>

#include <algorithm>
#include <bit>

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

constexpr std::int64_t most_steps = 16;
// The words of a row: token, position, left and count, its stream and its draw, each an array of
// its own, and then the tokens that it wrote.
constexpr std::int64_t single_words = 4, stream_words = 4, draw_words = 2;
constexpr std::int64_t state_words = single_words + stream_words + draw_words;
}  // namespace

// What write() keeps on the device, so that a step is the same work each time.
struct Decoder::Loop {
  Loop(const std::shared_ptr<Backend>& backend, std::int64_t count, std::int64_t history_length)
      : rows(count),
        words(Tensor::zeros(backend, {(state_words + most_steps) * rows}, DType::i32)),
        log_probabilities(Tensor::empty(backend, {2, rows, most_steps}, DType::f64)) {
    if (history_length != 0) {
      history = Tensor::zeros(backend, {rows, history_length}, DType::i32);
    }
  }

  // The first rows of the array that begins after `before` words of each row.
  Tensor part(std::int64_t before, std::int64_t columns, std::int64_t count) const {
    const View array = sliced(words.view(), 0, before * rows, (before + columns) * rows);
    if (columns == 1) return {words.storage(), sliced(array, 0, 0, count)};
    return {words.storage(), sliced(reshaped(array, {rows, columns}), 0, 0, count)};
  }
  Tensor token(std::int64_t count) const { return part(0, 1, count); }
  Tensor position(std::int64_t count) const { return part(1, 1, count); }

  View chances(std::int64_t which, std::int64_t count) const {
    const View one = sliced(log_probabilities.view(), 0, which, which + 1);
    return sliced(reshaped(one, {rows, most_steps}), 0, 0, count);
  }

  std::int64_t rows;
  Tensor words;              // [(state_words + most_steps) B] i32
  Tensor log_probabilities;  // [2, B, P] f64
  Tensor history;            // [B, S] i32, or none
};

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

Decoder::~Decoder() = default;

Tensor Decoder::forward(const std::vector<std::int32_t>& tokens, std::int64_t first,
                        std::int64_t count, const std::vector<std::int32_t>& lengths) {
  const auto& backend = parameters_.backend();
  const auto places = static_cast<std::int64_t>(tokens.size());
  const std::int64_t length = places / count;
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
  return last.reshape({count, hidden.size(1)});
}

std::vector<float> Decoder::begin(std::int64_t row, std::span<const std::int32_t> sequence) {
  if (sequence.empty()) fail("row ", row, " has no tokens: begin with at least one");
  const NoGradient silent;
  lengths_[index(row)] = static_cast<std::int32_t>(sequence.size());
  const Arena::Step memory(*arena_, cat("1x", sequence.size()));
  return model_.logits(forward({sequence.begin(), sequence.end()}, row, 1, {0})).floats();
}

void Decoder::fill(std::int64_t row, std::span<const std::int32_t> sequence) {
  if (sequence.empty()) fail("row ", row, " has no tokens: begin with at least one");
  const NoGradient silent;
  lengths_[index(row)] = static_cast<std::int32_t>(sequence.size() - 1);
  if (sequence.size() == 1) return;
  const Arena::Step memory(*arena_, cat("fill 1x", sequence.size()));
  forward({sequence.begin(), sequence.end() - 1}, row, 1, {0});
}

void Decoder::fill(const std::vector<std::vector<std::int32_t>>& sequences) {
  const NoGradient silent;
  for (std::size_t row = 0; row < sequences.size();) {
    const std::size_t size = sequences[row].size();
    if (size == 0) fail("sequence ", row, " has no tokens: begin with at least one");
    if (static_cast<std::int64_t>(size) > capacity_) {
      fail("sequence ", row, " of ", size, " tokens is longer than the context of ", capacity_);
    }
    const std::size_t first = row;
    std::vector<std::int32_t> tokens;
    for (; row < sequences.size() && sequences[row].size() == size; ++row) {
      tokens.insert(tokens.end(), sequences[row].begin(), sequences[row].end() - 1);
      lengths_[row] = static_cast<std::int32_t>(size - 1);
    }
    if (size == 1) continue;
    const std::size_t count = row - first;
    const Arena::Step memory(*arena_, cat("fill ", count, "x", size - 1));
    forward(tokens, static_cast<std::int64_t>(first), static_cast<std::int64_t>(count),
            std::vector<std::int32_t>(count, 0));
  }
}

std::int64_t Decoder::burst() const {
  return parameters_.backend()->host_memory() ? 1 : most_steps;
}

// What a recorded step stands on: where one of these has moved, the recording is void.
std::vector<const void*> Decoder::memory() const {
  std::vector<const void*> all{arena_->slab()};
  for (const Parameter& parameter : parameters_.all()) all.push_back(parameter.value.view().data);
  for (const LayerCache& layer : cache_.layers) {
    all.push_back(layer.keys.view().data);
    all.push_back(layer.values.view().data);
  }
  return all;
}

void Decoder::step(const WritingRule& rule, std::int64_t rows) {
  const NoGradient silent;
  const Arena::Step memory(*arena_, cat("write ", rows));
  KeyValueCache part = rows_of(cache_, 0, rows);
  part.lengths = loop_->position(rows);
  ModelInput input;
  input.tokens = loop_->token(rows);
  input.places.rows = rows;
  input.places.length = 1;
  input.places.positions = loop_->position(rows);
  input.places.cache = &part;
  const Tensor logits = model_.logits(model_.hidden(input));
  const View history = loop_->history ? sliced(loop_->history.view(), 0, 0, rows) : View{};
  parameters_.backend()->sample({.logits = logits.view(),
                                 .how = rule.how,
                                 .end = rule.end,
                                 .draw_step = rule.draw_step,
                                 .history = history,
                                 .random = loop_->part(single_words, stream_words, rows).view(),
                                 .draw = loop_->part(8, draw_words, rows).view(),
                                 .left = loop_->part(2, 1, rows).view(),
                                 .position = input.places.positions.view(),
                                 .token = input.tokens.view(),
                                 .count = loop_->part(3, 1, rows).view(),
                                 .written = loop_->part(state_words, most_steps, rows).view(),
                                 .log_probability = loop_->chances(0, rows),
                                 .sampled_log_probability = loop_->chances(1, rows)});
}

std::vector<std::vector<Choice>> Decoder::write(const WritingRule& rule,
                                                const std::vector<Turn>& turns) {
  Backend& backend = *parameters_.backend();
  const bool remembers = rule.how.repetition_penalty != 1;
  if (!loop_) {
    loop_ = std::make_unique<Loop>(parameters_.backend(), rows_, remembers ? capacity_ + 1 : 0);
  }
  std::int64_t used = 0, steps = 0;
  std::vector<std::int32_t> words(index(state_words * rows_)), seen;
  if (remembers) seen.resize(index(rows_ * (capacity_ + 1)));
  for (std::int64_t row = 0; row < rows_; ++row) {
    const Turn& turn = turns[index(row)];
    const std::int64_t left = std::min({turn.left, burst(), room(row)});
    if (left <= 0) continue;
    used = row + 1;
    steps = std::max(steps, left);
    const auto low = [](std::uint64_t word) { return static_cast<std::int32_t>(word); };
    const auto put = [&](std::int64_t array, std::int32_t word) { words[index(array)] = word; };
    put(row, turn.context.back());
    put(rows_ + row, lengths_[index(row)]);
    put(2 * rows_ + row, static_cast<std::int32_t>(left));
    const std::int64_t stream = 4 * rows_ + 4 * row;
    put(stream, low(turn.random.key[0]));
    put(stream + 1, low(turn.random.key[1]));
    put(stream + 2, low(turn.random.step));
    put(stream + 3, low(turn.random.step >> 32));
    put(8 * rows_ + 2 * row, low(turn.draw));
    put(8 * rows_ + 2 * row + 1, low(turn.draw >> 32));
    if (remembers) {
      std::copy(turn.context.begin(), turn.context.end(), seen.begin() + row * (capacity_ + 1));
    }
  }
  std::vector<std::vector<Choice>> results(turns.size());
  if (used == 0) return results;
  backend.upload(loop_->words.view().data, words.data(), words.size() * sizeof words[0]);
  if (remembers) {
    backend.upload(loop_->history.view().data, seen.data(), seen.size() * sizeof seen[0]);
  }
  // Batches of few sizes, so that few recordings and few plans do; rows that rest at the end of
  // the batch are left out.
  const std::int64_t rows =
      std::min(rows_, static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(used))));
  for (std::int64_t i = 0; i < steps; ++i) {
    backend.repeat(
        recordings_[rows], [&] { return memory(); }, [&] { step(rule, rows); });
  }
  words.resize(index(loop_->words.count()));
  std::vector<double> chances(index(loop_->log_probabilities.count()));
  backend.download(words.data(), loop_->words.view().data, words.size() * sizeof words[0]);
  backend.download(chances.data(), loop_->log_probabilities.view().data,
                   chances.size() * sizeof chances[0]);
  for (std::int64_t row = 0; row < used; ++row) {
    const std::int32_t count = words[index(3 * rows_ + row)];
    lengths_[index(row)] += count;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t place = row * most_steps + i;
      results[index(row)].push_back({words[index(state_words * rows_ + place)],
                                     chances[index(place)],
                                     chances[index(rows_ * most_steps + place)]});
    }
  }
  return results;
}

}  // namespace lathe
