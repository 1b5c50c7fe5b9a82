#include <lathe/learn/likelihood.h>

#include <lathe/base/error.h>
#include <lathe/data/packing.h>
#include <lathe/learn/masking.h>
#include <lathe/learn/objective.h>

#include <algorithm>
#include <numeric>

namespace lathe {
namespace {
std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }
std::int64_t length_of(const LikelihoodRow& row) {
  return static_cast<std::int64_t>(row.tokens.size());
}
}  // namespace

std::vector<std::int64_t> places_of_text(std::span<const std::int32_t> tokens,
                                         const Tokenizer& tokenizer, bool causal) {
  std::vector<std::int64_t> places;
  for (std::size_t t = causal ? 1 : 0; t < tokens.size(); ++t) {
    if (!tokenizer.is_special(tokens[t])) places.push_back(static_cast<std::int64_t>(t));
  }
  return places;
}

// `first` and `count` say which places of the row are asked: all of a decoder's, one of a copy.
struct Likelihood::Asked {
  std::size_t row = 0;
  std::size_t first = 0;
  std::size_t count = 0;
};

Likelihood::Likelihood(const Model& model, const Parameters& parameters, const Tokenizer& tokenizer,
                       const LikelihoodOptions& options)
    : model_(model),
      parameters_(parameters),
      tokenizer_(tokenizer),
      with_(options),
      arena_(std::make_unique<Arena>(parameters.backend())) {
  if (!model.causal()) {
    mask_of(tokenizer);
  } else if (options.word_left_to_right) {
    fail(
        "words are read from left to right by a decoder as it is: hiding the rest of a word is for "
        "models that see both sides");
  }
}
Likelihood::~Likelihood() = default;

void Likelihood::check(const LikelihoodRow& row, std::size_t number) const {
  if (length_of(row) > model_.context()) {
    fail("text ", number, " has ", length_of(row), " tokens, but the model reads at most ",
         model_.context(), ": cut it into windows");
  }
  std::int64_t before = causal() ? 0 : -1;  // nothing is known of the first token
  for (const std::int64_t place : row.places) {
    if (place <= before || place >= length_of(row)) {
      fail("text ", number, " of ", length_of(row), " tokens is asked for its place ", place,
           ": places rise, and lie in ", causal() ? 1 : 0, " .. ", length_of(row) - 1);
    }
    before = place;
  }
}

// The token at a place, and what goes on with its word where that is asked for.
void Likelihood::hide(std::span<std::int32_t> tokens, std::int64_t place) const {
  std::size_t end = at(place) + 1;
  while (with_.word_left_to_right && end < tokens.size() && !tokenizer_.is_special(tokens[end]) &&
         !tokenizer_.begins_word(tokens[end - 1], tokens[end])) {
    ++end;
  }
  std::fill(tokens.begin() + place, tokens.begin() + static_cast<std::ptrdiff_t>(end),
            tokenizer_.mask_id());
}

std::vector<double> Likelihood::pass(std::span<const LikelihoodRow> rows,
                                     std::span<const Asked> some) {
  const NoGradient off_tape;
  std::int64_t longest = 0;
  for (const Asked& one : some) longest = std::max(longest, length_of(rows[one.row]));
  Batch batch = padding_batch(static_cast<std::int64_t>(some.size()), longest);
  std::vector<std::int32_t> places, targets;
  for (std::size_t b = 0; b < some.size(); ++b) {
    const LikelihoodRow& row = rows[some[b].row];
    const std::size_t begin = b * at(longest);
    for (std::size_t t = 0; t < row.tokens.size(); ++t) {
      batch.tokens[begin + t] = row.tokens[t];
      batch.positions[begin + t] = static_cast<std::int32_t>(t);
      batch.segments[begin + t] = 0;
    }
    for (const std::int64_t place : std::span(row.places).subspan(some[b].first, some[b].count)) {
      targets.push_back(row.tokens[at(place)]);
      places.push_back(static_cast<std::int32_t>(begin + at(place)) - (causal() ? 1 : 0));
      if (!causal()) hide(std::span(batch.tokens).subspan(begin, row.tokens.size()), place);
    }
  }
  drop_trivial_segments(batch);
  const auto& backend = parameters_.backend();
  const auto count = static_cast<std::int64_t>(places.size());
  const Arena::Step memory(*arena_, cat(batch.rows, "x", longest, " ", count));
  const DeviceBatch device(batch, parameters_);
  const Tensor asked =
      gather(model_.hidden(device.input), Tensor::of<std::int32_t>(backend, {count}, places));
  return model_.score(asked, Tensor::of<std::int32_t>(backend, {count}, targets), 1)
      .log_probability.values();
}

std::vector<std::vector<double>> Likelihood::log_probabilities(std::span<const LikelihoodRow> rows,
                                                               const Listener& heard) {
  std::vector<std::vector<double>> results(rows.size());
  std::vector<Asked> all;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    check(rows[r], r);
    const std::size_t count = rows[r].places.size();
    results[r].resize(count);
    if (causal() && count > 0) all.push_back({r, 0, count});
    for (std::size_t i = 0; !causal() && i < count; ++i) all.push_back({r, i, 1});
  }
  // Those of equal length go together, so that few places are padding.
  std::stable_sort(all.begin(), all.end(), [&](const Asked& a, const Asked& b) {
    return rows[a.row].tokens.size() > rows[b.row].tokens.size();
  });
  std::int64_t done = 0;
  for (std::size_t begin = 0; begin < all.size();) {
    const std::int64_t fitting = with_.places / length_of(rows[all[begin].row]);
    const std::size_t size = std::min(at(std::max<std::int64_t>(fitting, 1)), all.size() - begin);
    const auto some = std::span(all).subspan(begin, size);
    const std::vector<double> values = pass(rows, some);
    auto value = values.begin();
    for (const Asked& one : some) {
      const auto last = value + static_cast<std::ptrdiff_t>(one.count);
      std::copy(value, last, results[one.row].begin() + static_cast<std::ptrdiff_t>(one.first));
      value = last;
    }
    begin += size;
    done += static_cast<std::int64_t>(values.size());
    if (heard) heard(done);
  }
  return results;
}

std::vector<TextWindow> text_windows(std::int64_t count, std::int64_t length, std::int64_t stride,
                                     bool causal) {
  // The first token of a decoder's window is there for those behind it alone.
  const std::int64_t most = causal ? length - 1 : length;
  if (stride < 1 || stride > most) {
    fail("windows of ", length, " tokens cannot be ", stride, " apart: 1 to ", most, " can");
  }
  std::vector<TextWindow> windows;
  for (std::int64_t begin = 0; count > 0; begin = std::min(begin + stride, count - length)) {
    const std::int64_t end = std::min(begin + length, count);
    TextWindow window{.begin = begin, .end = end, .from = 0, .to = end};
    if (!windows.empty()) {
      TextWindow& before = windows.back();
      if (!causal) before.to = (begin + before.end) / 2;
      window.from = before.to;
    }
    windows.push_back(window);
    if (end == count) break;
  }
  return windows;
}

std::vector<LikelihoodRow> in_windows(const LikelihoodRow& text, std::int64_t length,
                                      std::int64_t stride, bool causal) {
  if (length_of(text) <= length) return {text};
  std::vector<LikelihoodRow> rows;
  for (const TextWindow& window : text_windows(length_of(text), length, stride, causal)) {
    LikelihoodRow row;
    row.tokens.assign(text.tokens.begin() + window.begin, text.tokens.begin() + window.end);
    for (const std::int64_t place : text.places) {
      if (place >= window.from && place < window.to) row.places.push_back(place - window.begin);
    }
    if (!row.places.empty()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace lathe
