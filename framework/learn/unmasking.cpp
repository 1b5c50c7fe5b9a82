#include <lathe/learn/unmasking.h>

#include <lathe/base/error.h>
#include <lathe/learn/masking.h>
#include <lathe/learn/objective.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace lathe {
namespace {
std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

// Of softmax(logits) over the allowed tokens, in nats.
double entropy_of(std::span<const float> logits, const std::vector<std::int32_t>& allowed) {
  double most = -std::numeric_limits<double>::infinity();
  for (const std::int32_t token : allowed) {
    most = std::max(most, static_cast<double>(logits[at(token)]));
  }
  double sum = 0, weighted = 0;
  for (const std::int32_t token : allowed) {
    const double above = static_cast<double>(logits[at(token)]) - most;
    sum += std::exp(above);
    weighted += std::exp(above) * above;
  }
  return std::log(sum) - weighted / sum;
}

// How many of `count` places are left after so many of the rounds.
std::int64_t left_after(std::int64_t count, std::int64_t done, std::int64_t rounds) {
  return count * (rounds - done) / rounds;
}
}  // namespace

struct Unmasking::Piece {
  const HiddenPlaces* hidden = nullptr;
  std::vector<std::int64_t> left;  // rising
  std::vector<std::int32_t> seen;  // tokens of the row, for the penalty of repetition
  std::vector<FilledPlace> filled;
};

// A choice for a place that may come to nothing; the lowest ranks are taken.
struct Unmasking::Offer {
  FilledPlace filled;
  double rank = 0;
};

std::vector<std::int32_t> writable_tokens(const Tokenizer& tokenizer, bool end) {
  std::vector<std::int32_t> ids = ordinary_tokens(tokenizer);
  if (end && tokenizer.end_id() >= 0) ids.push_back(tokenizer.end_id());
  return ids;
}

Unmasking::Unmasking(const Model& model, const Parameters& parameters,
                     std::vector<std::int32_t> allowed)
    : model_(model), parameters_(parameters), allowed_(std::move(allowed)) {
  if (model.causal()) {
    fail("a decoder sees the left side alone: it goes on from a text, and fills no gaps");
  }
  if (allowed_.empty()) fail("there is no token that a gap could be filled with");
  is_allowed_.resize(at(*std::max_element(allowed_.begin(), allowed_.end())) + 1, false);
  for (const std::int32_t token : allowed_) is_allowed_[at(token)] = true;
}

Unmasking::Offer Unmasking::offer(std::span<const float> logits, const Piece& piece,
                                  std::int64_t place, std::int64_t round,
                                  const GenerationOptions& with, const std::string& order) const {
  std::vector<float> scores(logits.begin(), logits.end());
  for (std::size_t v = 0; v < scores.size(); ++v) {
    if (v < is_allowed_.size() && is_allowed_[v]) continue;
    scores[v] = -std::numeric_limits<float>::infinity();
  }
  const RandomStream& random = piece.hidden->random;
  const auto own = static_cast<std::uint64_t>(place);
  const Choice chosen =
      choose(scores, piece.seen, with, random, (static_cast<std::uint64_t>(round) << 32) + own);
  Offer made{.filled = {.place = place,
                        .round = round,
                        .token = chosen.token,
                        .log_probability = chosen.log_probability,
                        .sampled_log_probability = chosen.sampled_log_probability}};
  // No round has the number whose draws decide the order.
  made.rank = order == "left"      ? static_cast<double>(place)
              : order == "random"  ? random.uniform53((~std::uint64_t{0} << 32) + own)
              : order == "entropy" ? entropy_of(scores, allowed_)
                                   : -chosen.log_probability;
  return made;
}

// One offer for each place that is left, piece by piece. The logits are made for some places at a
// time: all of them could be larger than the memory.
std::vector<Unmasking::Offer> Unmasking::offers(const Batch& shown,
                                                const std::vector<Piece>& pieces,
                                                std::int64_t round, const GenerationOptions& with,
                                                const std::string& order) const {
  struct Question {
    const Piece* piece;
    std::int64_t place;
  };
  std::vector<Question> questions;
  for (const Piece& piece : pieces) {
    for (const std::int64_t place : piece.left) questions.push_back({&piece, place});
  }
  std::vector<Offer> made;
  if (questions.empty()) return made;
  const NoGradient off_tape;
  const DeviceBatch device(shown, parameters_);
  const Tensor hidden = model_.hidden(device.input);
  constexpr std::size_t most = 256;
  for (std::size_t begin = 0; begin < questions.size(); begin += most) {
    const auto some = std::span(questions).subspan(begin, std::min(most, questions.size() - begin));
    std::vector<std::int32_t> rows;
    for (const Question& one : some) {
      rows.push_back(static_cast<std::int32_t>(one.piece->hidden->row * shown.length + one.place));
    }
    const Tensor asked = Tensor::of<std::int32_t>(parameters_.backend(),
                                                  {static_cast<std::int64_t>(rows.size())}, rows);
    const std::vector<float> logits = model_.logits(gather(hidden, asked)).floats();
    const std::size_t vocabulary = logits.size() / some.size();
    for (std::size_t m = 0; m < some.size(); ++m) {
      made.push_back(offer(std::span(logits).subspan(m * vocabulary, vocabulary), *some[m].piece,
                           some[m].place, round, with, order));
    }
  }
  return made;
}

std::vector<std::vector<FilledPlace>> Unmasking::fill(Batch& shown,
                                                      const std::vector<HiddenPlaces>& hidden,
                                                      const GenerationOptions& with,
                                                      const UnmaskingOptions& how) const {
  std::vector<Piece> pieces;
  for (const HiddenPlaces& one : hidden) {
    pieces.push_back({.hidden = &one, .left = one.places, .seen = {}, .filled = {}});
    for (std::int64_t place = 0; place < shown.length; ++place) {
      if (std::binary_search(one.places.begin(), one.places.end(), place)) continue;
      pieces.back().seen.push_back(shown.tokens[at(one.row * shown.length + place)]);
    }
  }
  for (std::int64_t round = 0;; ++round) {
    std::vector<Offer> made = offers(shown, pieces, round, with, how.order);
    if (made.empty()) break;
    auto first = made.begin();
    for (Piece& piece : pieces) {
      if (piece.left.empty()) continue;
      const auto count = static_cast<std::int64_t>(piece.hidden->places.size());
      const std::int64_t rounds = how.rounds == 0 ? count : std::min(how.rounds, count);
      const std::int64_t stay = left_after(count, round + 1, rounds);
      const auto last = first + static_cast<std::ptrdiff_t>(piece.left.size());
      std::stable_sort(first, last, [](const Offer& a, const Offer& b) { return a.rank < b.rank; });
      for (auto one = first; one != last - stay; ++one) {
        const FilledPlace& filled = one->filled;
        shown.tokens[at(piece.hidden->row * shown.length + filled.place)] = filled.token;
        std::erase(piece.left, filled.place);
        piece.seen.push_back(filled.token);
        piece.filled.push_back(filled);
      }
      first = last;
    }
  }
  std::vector<std::vector<FilledPlace>> filled;
  for (Piece& piece : pieces) filled.push_back(std::move(piece.filled));
  return filled;
}

}  // namespace lathe
