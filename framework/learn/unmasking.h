// Writing with a model that sees both sides: hidden places are filled in, some of them in each
// round, until none is left (Ghazvininejad et al., 2019: mask-predict without going back; the
// reverse process of masked diffusion, Sahoo et al., 2024).
#pragma once

#include <lathe/data/batch.h>
#include <lathe/learn/model.h>
#include <lathe/learn/sampling.h>
#include <lathe/text/tokenizer.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lathe {

struct UnmaskingOptions : Keys {
  std::string order =
      key("order", "confidence",
          "which hidden places are filled in first: those whose chosen token is the most likely, "
          "those whose distribution has the least entropy, random ones, or those on the left",
          one_of({"confidence", "entropy", "random", "left"}));
  std::int64_t rounds =
      key("rounds", 0,
          "passes in which a text is filled in, about equally many places in each; places of one "
          "pass do not see each other; 0: one place a pass",
          at_least(0));
};

// Hidden places of one piece of a row, and what decides there: each piece has a stream of its own,
// so that nothing depends on its company.
struct HiddenPlaces {
  std::int64_t row = 0;
  std::vector<std::int64_t> places;  // in the row, rising
  RandomStream random;
};

struct FilledPlace {
  std::int64_t place = 0;
  std::int64_t round = 0;
  std::int32_t token = -1;
  double log_probability = 0;          // of the model, among the allowed tokens
  double sampled_log_probability = 0;  // of the distribution that it was drawn from
};

// What may be written: all tokens that are not special, and the end token with `end`.
std::vector<std::int32_t> writable_tokens(const Tokenizer& tokenizer, bool end = false);

class Unmasking {
 public:
  Unmasking(const Model& model, const Parameters& parameters, std::vector<std::int32_t> allowed);

  // Fills in all hidden places, which hold the mask in `shown`; the tokens are written there. In
  // each round a token is chosen at every place that is left, as `with` says (temperature 0: the
  // most likely), and the first places in the order keep theirs; of equal ones the left one is
  // first. After round r of R, of n places n - floor(n (R - r) / R) are filled in. With one place a
  // round in random order at temperature 1 a text is drawn with the mean over all orders of the
  // product of the model's conditional chances. One list a piece, in the order of writing.
  std::vector<std::vector<FilledPlace>> fill(Batch& shown, const std::vector<HiddenPlaces>& hidden,
                                             const GenerationOptions& with,
                                             const UnmaskingOptions& how) const;

 private:
  struct Piece;
  struct Offer;
  std::vector<Offer> offers(const Batch& shown, const std::vector<Piece>& pieces,
                            std::int64_t round, const GenerationOptions& with,
                            const std::string& order) const;
  Offer offer(std::span<const float> logits, const Piece& piece, std::int64_t place,
              std::int64_t round, const GenerationOptions& with, const std::string& order) const;

  const Model& model_;
  const Parameters& parameters_;
  std::vector<std::int32_t> allowed_;
  std::vector<bool> is_allowed_;  // [largest allowed token + 1]
};

}  // namespace lathe
