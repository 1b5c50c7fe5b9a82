#include <lathe/base/error.h>
#include <lathe/learn/masking.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lathe {
namespace {
std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }
std::uint64_t number(std::int64_t value) { return static_cast<std::uint64_t>(value); }
std::int64_t count_of(const MaskPiece& piece) {
  return static_cast<std::int64_t>(piece.places.size());
}

// The streams of a row.
MaskDraws of_row(const MaskDraws& draws, const Batch& batch, const MaskPiece& piece) {
  MaskDraws own = draws;
  const std::uint64_t row = number(batch.first_row + piece.row);
  own.choose = draws.choose.at(row);
  own.replace = draws.replace.at(row);
  return own;
}

// Some rows of the batch as they are; targets and weights hold nothing.
Batch rows_of(const Batch& batch, const std::vector<std::int64_t>& rows) {
  Batch some;
  some.rows = static_cast<std::int64_t>(rows.size());
  some.length = batch.length;
  const auto copy = [&](const auto& from, auto& to) {
    if (from.empty()) return;
    to.reserve(rows.size() * at(batch.length));
    for (const std::int64_t row : rows) {
      const auto first = from.begin() + static_cast<std::ptrdiff_t>(row * batch.length);
      to.insert(to.end(), first, first + static_cast<std::ptrdiff_t>(batch.length));
    }
  };
  copy(batch.tokens, some.tokens);
  copy(batch.positions, some.positions);
  copy(batch.segments, some.segments);
  some.targets.assign(some.tokens.size(), -1);
  some.weights.assign(some.tokens.size(), 0.0F);
  return some;
}

// A masked batch that shows all rows, with nothing hidden yet.
MaskedBatch whole(const Batch& batch) {
  std::vector<std::int64_t> rows(at(batch.rows));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  MaskedBatch masked;
  masked.seen = rows_of(batch, rows);
  return masked;
}

// Asks for what stands at a place of the batch; the question is put at row `shown` of `seen`.
void ask(MaskedBatch& masked, const Batch& batch, std::int64_t row, std::int64_t place,
         std::int64_t shown, double factor) {
  const std::size_t from = at(row * batch.length + place);
  masked.places.push_back(static_cast<std::int32_t>(shown * batch.length + place));
  masked.targets.push_back(batch.tokens[from]);
  masked.weights.push_back(factor * static_cast<double>(batch.token_weights[from]));
  ++masked.asked;
}

void hide(MaskedBatch& masked, std::int64_t shown, std::int64_t place, std::int32_t token) {
  masked.seen.tokens[at(shown * masked.seen.length + place)] = token;
}

void fill_up(MaskedBatch& masked, std::int64_t size) {
  masked.places.resize(at(std::max(size, masked.asked)), 0);
  masked.targets.resize(masked.places.size(), -1);
  masked.weights.resize(masked.places.size(), 0);
}

double sum_of_weights(const Batch& batch, const MaskPiece& piece) {
  double sum = 0;
  for (const std::int64_t place : piece.places) {
    sum += static_cast<double>(batch.token_weights[at(piece.row * batch.length + place)]);
  }
  return sum;
}

// Indices 0..count-1 of a piece's places in a random order: by the numbers drawn at the places.
std::vector<std::int64_t> shuffled(const MaskPiece& piece, const RandomStream& random,
                                   const std::vector<std::int64_t>& among) {
  std::vector<std::pair<double, std::int64_t>> drawn;
  for (const std::int64_t i : among) {
    drawn.emplace_back(random.uniform53(number(piece.places[at(i)])), i);
  }
  std::sort(drawn.begin(), drawn.end());
  std::vector<std::int64_t> order;
  for (const auto& [key, i] : drawn) order.push_back(i);
  return order;
}

std::vector<std::int64_t> all_of(const MaskPiece& piece) {
  std::vector<std::int64_t> all(piece.places.size());
  std::iota(all.begin(), all.end(), std::int64_t{0});
  return all;
}

// A number for the piece as a whole; no place of any length of row has it.
std::uint64_t of_piece(const MaskPiece& piece) {
  return (std::uint64_t{1} << 40) + number(piece.begin);
}
}  // namespace

MaskDraws::MaskDraws(std::uint64_t seed, bool training)
    : choose(seed, training ? "masked/choose" : "masked/choose/evaluate"),
      replace(seed, training ? "masked/replace" : "masked/replace/evaluate") {}

std::int32_t mask_of(const Tokenizer& tokenizer) {
  if (tokenizer.mask_id() < 0) {
    fail(
        "the tokenizer has no mask token to hide others with: set tokenizer.mask = true, or use a "
        "vocabulary that has one");
  }
  return tokenizer.mask_id();
}

std::vector<std::int32_t> ordinary_tokens(const Tokenizer& tokenizer) {
  std::vector<std::int32_t> ids;
  for (std::int32_t id = 0; id < tokenizer.size(); ++id) {
    if (!tokenizer.is_special(id)) ids.push_back(id);
  }
  return ids;
}

std::vector<MaskPiece> mask_pieces(const Batch& batch, const Tokenizer& tokenizer,
                                   bool end_counts) {
  if (batch.token_weights.size() != batch.tokens.size()) {
    fail(
        "the feed says nothing of the weights of tokens: losses that see both sides need the feed "
        "'windows', 'rows' or 'packed'");
  }
  std::vector<MaskPiece> pieces;
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    MaskPiece piece{.row = row, .begin = 0, .places = {}, .in_word = {}};
    const auto close = [&] {
      if (!piece.places.empty()) pieces.push_back(std::move(piece));
    };
    std::int64_t last = -1;  // the last place that can be hidden
    for (std::int64_t place = 0; place < batch.length; ++place) {
      const std::size_t n = at(row * batch.length + place);
      if (place > 0 && !batch.segments.empty() && batch.segments[n] != batch.segments[n - 1]) {
        close();
        piece = {.row = row, .begin = place, .places = {}, .in_word = {}};
      }
      const std::int32_t token = batch.tokens[n];
      const bool counts = !batch.segments.empty() && batch.segments[n] < 0 ? false
                          : end_counts && token == tokenizer.end_id()
                              ? batch.token_weights[n] > 0
                              : batch.token_weights[n] > 0 && !tokenizer.is_special(token);
      if (!counts) continue;
      const bool goes_on = !piece.places.empty() && last == place - 1 &&
                           !tokenizer.begins_word(batch.tokens[n - 1], token);
      piece.places.push_back(place);
      piece.in_word.push_back(goes_on ? 1 : 0);
      last = place;
    }
    close();
  }
  return pieces;
}

std::vector<MaskCopy> mask_copies(const std::vector<MaskPiece>& pieces) {
  std::vector<MaskCopy> copies;
  for (std::size_t p = 0; p < pieces.size();) {
    const std::int64_t row = pieces[p].row;
    std::int64_t most = 0;
    for (; p < pieces.size() && pieces[p].row == row; ++p) {
      most = std::max(most, count_of(pieces[p]));
    }
    for (std::int64_t which = 0; which < most; ++which) copies.push_back({row, which});
  }
  return copies;
}

MaskedBatch hide_each(const Batch& batch, const std::vector<MaskPiece>& pieces,
                      std::span<const MaskCopy> copies, const Tokenizer& tokenizer) {
  const std::int32_t mask = mask_of(tokenizer);
  std::vector<std::int64_t> rows;
  for (const MaskCopy& copy : copies) rows.push_back(copy.row);
  MaskedBatch masked;
  masked.seen = rows_of(batch, rows);
  std::size_t first = 0;  // piece of the copy's row
  for (std::size_t shown = 0; shown < copies.size(); ++shown) {
    const auto [row, which] = copies[shown];
    const auto shown_row = static_cast<std::int64_t>(shown);
    while (first < pieces.size() && pieces[first].row < row) ++first;
    for (std::size_t p = first; p < pieces.size() && pieces[p].row == row; ++p) {
      if (which >= count_of(pieces[p])) continue;
      const std::int64_t place = pieces[p].places[at(which)];
      ask(masked, batch, row, place, shown_row, 1);
      masked.weight += masked.weights.back();
      hide(masked, shown_row, place, mask);
    }
  }
  return masked;
}

MaskedBatch hide_single(const Batch& batch, const std::vector<MaskPiece>& pieces,
                        const MaskDraws& draws, const Tokenizer& tokenizer) {
  const std::int32_t mask = mask_of(tokenizer);
  MaskedBatch masked = whole(batch);
  for (const MaskPiece& piece : pieces) {
    const RandomStream choose = of_row(draws, batch, piece).choose;
    const auto which = choose.below(number(count_of(piece)), of_piece(piece));
    const std::int64_t place = piece.places[which];
    ask(masked, batch, piece.row, place, piece.row, static_cast<double>(count_of(piece)));
    hide(masked, piece.row, place, mask);
    masked.weight += sum_of_weights(batch, piece);
  }
  fill_up(masked, 1);
  return masked;
}

MaskedBatch hide_diffusion(const Batch& batch, const std::vector<MaskPiece>& pieces, bool by_count,
                           const MaskDraws& draws, const Tokenizer& tokenizer) {
  const std::int32_t mask = mask_of(tokenizer);
  MaskedBatch masked = whole(batch);
  std::int64_t most = 0;
  for (const MaskPiece& piece : pieces) {
    const RandomStream choose = of_row(draws, batch, piece).choose;
    const std::int64_t n = count_of(piece);
    const double time = 1 - choose.uniform53(of_piece(piece));  // in (0, 1]
    const auto k = 1 + static_cast<std::int64_t>(choose.below(number(n), of_piece(piece)));
    std::vector<std::int64_t> hidden = shuffled(piece, choose, all_of(piece));
    if (by_count) {
      hidden.resize(at(k));
    } else {
      std::erase_if(hidden, [&](std::int64_t i) {
        return choose.uniform53(number(piece.places[at(i)])) >= time;
      });
    }
    std::sort(hidden.begin(), hidden.end());
    const double factor = by_count ? static_cast<double>(n) / static_cast<double>(k) : 1 / time;
    for (const std::int64_t i : hidden) {
      ask(masked, batch, piece.row, piece.places[at(i)], piece.row, factor);
      hide(masked, piece.row, piece.places[at(i)], mask);
    }
    masked.weight += sum_of_weights(batch, piece);
    most += n;
  }
  // The number of hidden places differs from step to step; few different sizes are asked for.
  const std::int64_t grain = std::max<std::int64_t>(16, (most + 15) / 16);
  fill_up(masked, std::max<std::int64_t>(1, (masked.asked + grain - 1) / grain) * grain);
  return masked;
}

namespace {
// The words of a piece: first index and one past the last.
std::vector<std::pair<std::int64_t, std::int64_t>> words_of(const MaskPiece& piece) {
  std::vector<std::pair<std::int64_t, std::int64_t>> words;
  for (std::int64_t i = 0; i < count_of(piece); ++i) {
    if (words.empty() || piece.in_word[at(i)] == 0) {
      words.emplace_back(i, i + 1);
    } else {
      words.back().second = i + 1;
    }
  }
  return words;
}

// What is chosen of one piece: for each place 0, or 1 + the index that decides what is put there.
class Choice {
 public:
  Choice(const MaskPiece& piece, const RandomStream& choose, std::int64_t budget)
      : piece_(piece), choose_(choose), budget_(budget), chosen_(piece.places.size(), 0) {}

  void tokens() {
    for (const std::int64_t i : shuffled(piece_, choose_, all_of(piece_))) {
      if (taken_ == budget_) return;
      take({i, i + 1}, i);
    }
  }

  void words() {
    const auto words = words_of(piece_);
    std::vector<std::int64_t> begins;
    for (const auto& [begin, end] : words) begins.push_back(begin);
    const std::vector<std::int64_t> order = shuffled(piece_, choose_, begins);
    const auto word_at = [&](std::int64_t begin) {
      return *std::lower_bound(words.begin(), words.end(), std::pair(begin, begin));
    };
    for (const std::int64_t begin : order) {
      const auto word = word_at(begin);
      if (fits(word)) take(word, -1);
    }
    if (taken_ == 0) take(word_at(order.front()), -1);
  }

  // Starts are drawn again and again, until the budget is met or it is plain that it will not be.
  void spans(double stop, std::int64_t longest) {
    const auto words = words_of(piece_);
    const auto count = static_cast<std::int64_t>(words.size());
    for (std::int64_t draw = 0; draw < 8 * count + 8 && taken_ < budget_; ++draw) {
      const std::uint64_t index = (number(piece_.begin) << 24) + 2 * number(draw);
      const auto start = static_cast<std::int64_t>(choose_.below(number(count), index));
      const std::int64_t length = span_length(choose_.uniform53(index + 1), stop, longest);
      const std::int64_t decides = words[at(start)].first;
      for (std::int64_t w = start; w < std::min(count, start + length); ++w) {
        if (chosen_[at(words[at(w)].first)] != 0 || (!fits(words[at(w)]) && taken_ > 0)) break;
        take(words[at(w)], decides);
      }
    }
  }

  // 0: not chosen; else 1 + the index whose numbers decide about the replacement.
  const std::vector<std::int64_t>& chosen() const { return chosen_; }

 private:
  // Geometric, cut off after `longest` and scaled up again.
  static std::int64_t span_length(double uniform, double stop, std::int64_t longest) {
    const double kept = 1 - std::pow(1 - stop, static_cast<double>(longest));
    const double length = 1 + std::floor(std::log1p(-uniform * kept) / std::log1p(-stop));
    return std::clamp(static_cast<std::int64_t>(length), std::int64_t{1}, longest);
  }
  bool fits(const std::pair<std::int64_t, std::int64_t>& word) const {
    return taken_ + word.second - word.first <= budget_;
  }
  // `decides`: the index that decides for all; -1: each for itself.
  void take(const std::pair<std::int64_t, std::int64_t>& word, std::int64_t decides) {
    for (std::int64_t i = word.first; i < word.second; ++i) {
      chosen_[at(i)] = 1 + (decides < 0 ? i : decides);
    }
    taken_ += word.second - word.first;
  }

  const MaskPiece& piece_;
  const RandomStream& choose_;
  std::int64_t budget_;
  std::int64_t taken_ = 0;
  std::vector<std::int64_t> chosen_;
};
}  // namespace

MaskedBatch hide_joint(const Batch& batch, const std::vector<MaskPiece>& pieces,
                       const JointMasking& with, std::span<const std::int32_t> ordinary,
                       const MaskDraws& draws, const Tokenizer& tokenizer) {
  const std::int32_t mask = mask_of(tokenizer);
  MaskedBatch masked = whole(batch);
  std::int64_t most = 0;
  for (const MaskPiece& piece : pieces) {
    const MaskDraws own = of_row(draws, batch, piece);
    const double wanted = with.share * static_cast<double>(count_of(piece));
    const double up = own.choose.uniform53(of_piece(piece));
    Choice choice(piece, own.choose,
                  std::max<std::int64_t>(1, static_cast<std::int64_t>(std::floor(wanted + up))));
    if (with.unit == JointMasking::Unit::token) choice.tokens();
    if (with.unit == JointMasking::Unit::word) choice.words();
    if (with.unit == JointMasking::Unit::span) choice.spans(with.span_stop, with.span_words);
    for (std::int64_t i = 0; i < count_of(piece); ++i) {
      const std::int64_t chosen = choice.chosen()[at(i)];
      if (chosen == 0) continue;
      const std::int64_t place = piece.places[at(i)];
      ask(masked, batch, piece.row, place, piece.row, 1);
      masked.weight += masked.weights.back();
      const std::uint64_t decides = 2 * number(piece.places[at(chosen - 1)]);
      const double fate = own.replace.uniform53(decides);
      if (fate < with.masked) {
        hide(masked, piece.row, place, mask);
      } else if (fate < with.masked + with.random) {
        const auto other = own.replace.below(ordinary.size(), 2 * number(place) + 1);
        hide(masked, piece.row, place, ordinary[other]);
      }
    }
    most += std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(wanted)));
  }
  fill_up(masked, std::max<std::int64_t>(1, most));
  return masked;
}

}  // namespace lathe
