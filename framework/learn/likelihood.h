// How likely texts are to a model, token by token. A decoder gives the log-likelihood
//
//   log p(y) = sum_j log p(y_j | y_1..j-1)                         (chain rule)
//
// and a model that sees both sides the pseudo-log-likelihood (Salazar et al., 2020, eq. 1)
//
//   PLL(y) = sum_j log p(y_j | y_1..j-1, y_j+1..T)
//
// for which each place is hidden once, in a copy of its text of its own.
#pragma once

#include <lathe/learn/model.h>
#include <lathe/text/tokenizer.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace lathe {

struct LikelihoodOptions {
  // Pseudo-log-likelihood: the later tokens of a word are hidden together with the one that is
  // asked, since a token that is seen with its neighbour gives itself away (PLL-word-l2r; Kauf and
  // Ivanova, 2023).
  bool word_left_to_right = false;
  std::int64_t places = 8192;  // rows times length that go through the model at a time
};

// Tokens as the model reads them, begin and end included, and the places whose token is asked for.
struct LikelihoodRow {
  std::vector<std::int32_t> tokens;
  std::vector<std::int64_t> places;  // rising
};

// The places that stand for text: none of special tokens, and of a decoder not the first, before
// which it has seen nothing.
std::vector<std::int64_t> places_of_text(std::span<const std::int32_t> tokens,
                                         const Tokenizer& tokenizer, bool causal);

class Likelihood {
 public:
  // Throws Error where a bidirectional model's tokenizer has no mask, or a decoder is asked for
  // words from left to right.
  Likelihood(const Model& model, const Parameters& parameters, const Tokenizer& tokenizer,
             const LikelihoodOptions& options = {});
  ~Likelihood();

  bool causal() const { return model_.causal(); }

  // Natural logarithms, one for each place of each row. No result depends on the other rows or on
  // options.places (CPU). Throws Error at a row that is longer than the model's context, and at
  // places that are not in their row or that nothing is known of. `heard` is told after each pass
  // how many of the asked tokens are done.
  using Listener = std::function<void(std::int64_t done)>;
  std::vector<std::vector<double>> log_probabilities(std::span<const LikelihoodRow> rows,
                                                     const Listener& heard = {});

 private:
  struct Asked;  // a row, or a copy of it with something hidden
  std::vector<double> pass(std::span<const LikelihoodRow> rows, std::span<const Asked> some);
  void hide(std::span<std::int32_t> tokens, std::int64_t place) const;
  void check(const LikelihoodRow& row, std::size_t number) const;

  const Model& model_;
  const Parameters& parameters_;
  const Tokenizer& tokenizer_;
  LikelihoodOptions with_;
  std::unique_ptr<Arena> arena_;
};

// A part of a text that is longer than the model's context: tokens begin .. end - 1 are read, and
// those of from .. to - 1 asked for.
struct TextWindow {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t from = 0;
  std::int64_t to = 0;
};

// Windows of at most `length` tokens, `stride` apart, the last one at the end of the text; each
// token is asked for in one of them. Of a decoder that is the first window it stands in, where the
// most is before it: all but the first window's have at least length - stride tokens there. With
// both sides the cut lies in the middle of the overlap of two windows, so that at least
// (length - stride) / 2 tokens are on each side. stride in 1..length, of a decoder below length.
std::vector<TextWindow> text_windows(std::int64_t count, std::int64_t length, std::int64_t stride,
                                     bool causal);

// A text as rows that fit into the model, each with the places that its window is asked for; what
// log_probabilities() says of them, one after the other, is in the order of the text's places.
std::vector<LikelihoodRow> in_windows(const LikelihoodRow& text, std::int64_t length,
                                      std::int64_t stride, bool causal);

}  // namespace lathe
