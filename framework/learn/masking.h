// Which tokens are hidden from a bidirectional model, and what it is asked at their places: the
// estimators of
//
//   L = - sum_i sum_j w_ij log p(y_ij | x_i without place j)      (pseudo-log-likelihood)
//
// over pieces i and places j. All draws are functions of (seed, row of the run, place) alone, so
// neither threads nor a resume nor another cut into batches changes them.
#pragma once

#include <lathe/base/random.h>
#include <lathe/data/batch.h>
#include <lathe/learn/model.h>
#include <lathe/text/tokenizer.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lathe {

// One piece of a row (rows that are not packed hold one), and its places that can be hidden: those
// whose token weighs something and is not special. Pieces without any are left out.
struct MaskPiece {
  std::int64_t row = 0;
  std::int64_t begin = 0;             // in the row
  std::vector<std::int64_t> places;   // in the row, rising; n of them
  std::vector<std::uint8_t> in_word;  // [n] 1: goes on with the word of the place before
};

// With `end_counts` the end token can be hidden like any other. Throws Error where the batch has no
// weights of tokens.
std::vector<MaskPiece> mask_pieces(const Batch& batch, const Tokenizer& tokenizer,
                                   bool end_counts = false);

// What the model is shown, and the M places at which it is asked. Entries past the first `asked`
// only fill the arrays up, so that their size stays the same from step to step, and is never 0
// where places are drawn: place 0, target -1, weight 0.
struct MaskedBatch {
  Batch seen;                         // tokens after hiding; targets and weights say nothing
  std::vector<std::int32_t> places;   // [M] n of the N places of `seen`
  std::vector<std::int32_t> targets;  // [M] the tokens that stood there
  std::vector<double> weights;        // [M] of each cross-entropy
  std::int64_t asked = 0;
  double weight = 0;  // what the weighted sum is to be divided by
};

// The streams that decide, one each for training and for evaluation.
struct MaskDraws {
  RandomStream choose;   // which places
  RandomStream replace;  // what is put there
  MaskDraws(std::uint64_t seed, bool training);
};

// A copy of a row in which place number `which` of each of its pieces is hidden (pieces of one row
// do not see each other).
struct MaskCopy {
  std::int64_t row = 0;
  std::int64_t which = 0;
};
// The copies that hide each place of each piece exactly once: row by row, as many as the row's
// largest piece has places.
std::vector<MaskCopy> mask_copies(const std::vector<MaskPiece>& pieces);
// Each copy is a row of `seen`. All copies together give L itself; weight: the sum of the w_j.
MaskedBatch hide_each(const Batch& batch, const std::vector<MaskPiece>& pieces,
                      std::span<const MaskCopy> copies, const Tokenizer& tokenizer);

// One uniform place of each piece, with weight n w_j: an unbiased estimate of L in one pass.
MaskedBatch hide_single(const Batch& batch, const std::vector<MaskPiece>& pieces,
                        const MaskDraws& draws, const Tokenizer& tokenizer);

// Masked diffusion (Sahoo et al., 2024; Nie et al., 2025): t uniform in (0, 1], each place hidden
// with probability t, weight w_j / t. With `by_count` the number k of hidden places is uniform over
// 1..n, and the weight w_j n / k: the same mean with less variance (Nie et al., eq. 14). The mean
// is L averaged over the orders in which a text can be unmasked, so at least the entropy of whole
// texts, -log p(y) (an upper bound of it, by Jensen).
MaskedBatch hide_diffusion(const Batch& batch, const std::vector<MaskPiece>& pieces, bool by_count,
                           const MaskDraws& draws, const Tokenizer& tokenizer);

// Several places at once, as in BERT (Devlin et al., 2019): another objective than L, since the
// hidden places do not see each other.
struct JointMasking {
  enum class Unit : std::uint8_t { token, word, span };
  double share = 0.15;  // of the places of a piece: max(1, floor(share n + u)), u uniform
  double masked = 0.8;  // of the chosen tokens become the mask
  double random = 0.1;  // become a random token; the rest stays
  Unit unit = Unit::token;
  double span_stop = 0.2;        // spans: p of the geometric number of words (Joshi et al., 2020)
  std::int64_t span_words = 10;  // longest span
};
// Whole words and spans are taken while they fit into the share; if not even the first fits, it is
// taken alone. `ordinary` are the tokens that may replace another one. Weight: sum of the chosen
// w_j.
MaskedBatch hide_joint(const Batch& batch, const std::vector<MaskPiece>& pieces,
                       const JointMasking& with, std::span<const std::int32_t> ordinary,
                       const MaskDraws& draws, const Tokenizer& tokenizer);

// The tokenizer's mask token; an Error that says how to get one where it has none.
std::int32_t mask_of(const Tokenizer& tokenizer);
// All tokens that are not special.
std::vector<std::int32_t> ordinary_tokens(const Tokenizer& tokenizer);

}  // namespace lathe
