// objective "masked": the bidirectional loss, for the model "encoder".
//
//   L = - sum_i sum_j w_ij log p(y_ij | x_i,1..j-1, x_i,j+1..T)
//
// divided by the sum of the weights. Which tokens count is the feed's business (a dataset with
// loss = "responses" counts the responses alone); special tokens never do.
//
//   [objective]
//   use = "masked"
//   estimator = "joint"
//
// exact      L itself: every place is hidden once, in as many copies of a row as it has places.
//            A row of T tokens costs T forward passes.
// single     one uniform place of each piece, times their number: unbiased, in one pass.
// joint      BERT (Devlin et al., 2019): a share of all places at once, of which 80 % are hidden,
//            10 % replaced and 10 % left. Another objective than L: the hidden places do not see
//            each other. Its loss is not a pseudo-log-likelihood.
// diffusion  masked diffusion (Sahoo et al., 2024): each place is hidden with probability t,
//            t uniform in (0, 1], with weight 1/t: a bound of -log p of whole texts, from above.
//
// What is hidden is a function of the seed, the row and the place: each epoch draws anew, and a
// resumed run draws the same.
#include <lathe/learn/masking.h>
#include <lathe/learn/objective.h>
#include <lathe/learn/unmasking.h>
#include <lathe/plugin/plugin.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

namespace lathe {

class Masked final : public Objective {
 public:
  static constexpr const char* needs[] = {"bidirectional attention"};
  struct Options : Keys {
    std::string estimator = key("estimator", "joint", "what is hidden at a time: see above",
                                one_of({"exact", "single", "joint", "diffusion"}));
    std::string evaluate = key("evaluate", "same", "estimator of the held-out loss",
                               one_of({"same", "exact", "single", "joint", "diffusion"}));
    double share =
        key("share", 0.15, "joint: share of the places that is chosen", above(0), at_most(1));
    double masked =
        key("masked", 0.8, "joint: share of the chosen tokens that is hidden", between(0, 1));
    double random = key("random", 0.1,
                        "joint: share of the chosen tokens that a random one replaces; what is "
                        "left stays as it is",
                        between(0, 1));
    std::string unit = key("unit", "token",
                           "joint: what is chosen at a time; words are chosen with all of their "
                           "tokens, spans are runs of words (Joshi et al., 2020)",
                           one_of({"token", "word", "span"}));
    double span_stop =
        key("span_stop", 0.2, "spans: chance that a span ends after each word", above(0), below(1));
    std::int64_t span_words = key("span_words", 10, "spans: most words", at_least(1));
    std::string ratio = key("ratio", "uniform",
                            "diffusion: each place is hidden with a probability t (weight 1/t), or "
                            "k of n places are, k uniform (weight n/k): the same mean with less "
                            "variance",
                            one_of({"uniform", "count"}));
    bool end = key("end", false,
                   "the end token is hidden and counted like any other, so that the length of a "
                   "response is no longer given away");
    std::int64_t rows = key("rows", 256, "exact, in evaluation: copies of rows in one pass",
                            at_least(1), affects_runtime);
    bool exact_match = key("exact_match", false,
                           "evaluation also fills in all places from nothing, the most certain one "
                           "first, and reports the share of tokens, and of whole rows, that are "
                           "right");
  };
  explicit Masked(const Config& config) : with_(config) {
    if (with_.masked + with_.random > 1) {
      fail(config.where(), ": masked ", with_.masked, " and random ", with_.random,
           " are together more than all of the chosen tokens");
    }
  }

  Loss loss(const Batch& batch, const ObjectivePass& pass) override {
    demand(pass);
    const std::vector<MaskPiece> pieces = pieces_of(batch, pass);
    if (with_.estimator != "exact" || pieces.empty()) {  // without a place there is no copy
      return loss_of(drawn(with_.estimator, batch, pieces, pass), pass);
    }
    return loss_of(hide_each(batch, pieces, mask_copies(pieces), *pass.tokenizer), pass);
  }

  Loss evaluate(const Batch& batch, const ObjectivePass& pass) override {
    demand(pass);
    const std::vector<MaskPiece> pieces = pieces_of(batch, pass);
    const std::string& how = with_.evaluate == "same" ? with_.estimator : with_.evaluate;
    Loss result = how == "exact" ? exact_in_passes(batch, pieces, pass)
                                 : loss_of(drawn(how, batch, pieces, pass), pass);
    if (with_.exact_match) add_matches(batch, pieces, pass, result);
    return result;
  }

 private:
  void demand(const ObjectivePass& pass) {
    if (pass.model->causal()) {
      fail("objective 'masked' needs a model that sees both sides of a token, such as 'encoder'; ",
           "for this one use the objective 'sft'");
    }
    if (pass.tokenizer == nullptr) fail("objective 'masked' needs the tokenizer of the data");
    if (pass.tokenizer == tokenizer_) return;
    tokenizer_ = pass.tokenizer;
    ordinary_ = ordinary_tokens(*tokenizer_);
  }

  std::vector<MaskPiece> pieces_of(const Batch& batch, const ObjectivePass& pass) const {
    return mask_pieces(batch, *pass.tokenizer, with_.end);
  }

  MaskedBatch drawn(const std::string& how, const Batch& batch,
                    const std::vector<MaskPiece>& pieces, const ObjectivePass& pass) const {
    const MaskDraws draws(pass.seed, pass.options.training);
    if (how == "single") return hide_single(batch, pieces, draws, *pass.tokenizer);
    if (how == "diffusion") {
      return hide_diffusion(batch, pieces, with_.ratio == "count", draws, *pass.tokenizer);
    }
    JointMasking joint;
    joint.share = with_.share;
    joint.masked = with_.masked;
    joint.random = with_.random;
    joint.unit = with_.unit == "word"   ? JointMasking::Unit::word
                 : with_.unit == "span" ? JointMasking::Unit::span
                                        : JointMasking::Unit::token;
    joint.span_stop = with_.span_stop;
    joint.span_words = with_.span_words;
    return hide_joint(batch, pieces, joint, ordinary_, draws, *pass.tokenizer);
  }

  static Loss loss_of(const MaskedBatch& masked, const ObjectivePass& pass) {
    const auto& backend = pass.parameters->backend();
    const bool exact = pass.parameters->precision() == Precision::f64;
    const auto count = static_cast<std::int64_t>(masked.places.size());
    const Tensor targets = Tensor::of<std::int32_t>(backend, {count}, masked.targets);
    const std::vector<float> rounded(masked.weights.begin(), masked.weights.end());
    const Tensor weights = exact ? Tensor::of<double>(backend, {count}, masked.weights)
                                 : Tensor::of<float>(backend, {count}, rounded);
    DeviceBatch device(masked.seen, *pass.parameters);
    device.input.pass = pass.options;
    // The head sees the places that are asked alone: [M, C].
    const Tensor rows = gather(pass.model->hidden(device.input),
                               Tensor::of<std::int32_t>(backend, {count}, masked.places));
    Loss result;
    result.sum = pass.model->cross_entropy(rows, targets, weights).sum;
    result.weight = masked.weight;
    return result;
  }

  // In pieces of some copies at a time, since memory is not T times as large as time allows.
  Loss exact_in_passes(const Batch& batch, const std::vector<MaskPiece>& pieces,
                       const ObjectivePass& pass) const {
    const std::vector<MaskCopy> copies = mask_copies(pieces);
    double sum = 0;
    double weight = 0;
    const auto step = static_cast<std::size_t>(with_.rows);
    for (std::size_t begin = 0; begin < copies.size(); begin += step) {
      const auto some = std::span(copies).subspan(begin, std::min(step, copies.size() - begin));
      const Loss part = loss_of(hide_each(batch, pieces, some, *pass.tokenizer), pass);
      sum += part.sum.item();
      weight += part.weight;
    }
    const DType type = pass.parameters->precision() == Precision::f64 ? DType::f64 : DType::f32;
    Loss result;
    result.sum = Tensor::full(pass.parameters->backend(), {1}, type, sum);
    result.weight = weight;
    return result;
  }

  // All places of a piece are hidden; then, again and again, the one that the model is most
  // certain of is filled in with its most likely token.
  void add_matches(const Batch& batch, const std::vector<MaskPiece>& pieces,
                   const ObjectivePass& pass, Loss& result) const {
    Batch shown = batch;
    std::vector<HiddenPlaces> hidden;
    for (const MaskPiece& piece : pieces) {
      hidden.push_back({.row = piece.row, .places = piece.places, .random = {}});
      for (const std::int64_t place : piece.places) {
        shown.tokens[static_cast<std::size_t>(piece.row * batch.length + place)] =
            mask_of(*pass.tokenizer);
      }
    }
    const Config greedy = Config::table({}).with("temperature", Config::number(0));
    const Unmasking unmasking(*pass.model, *pass.parameters,
                              writable_tokens(*pass.tokenizer, with_.end));
    unmasking.fill(shown, hidden, GenerationOptions(greedy), UnmaskingOptions(Config::table({})));
    count_matches(batch, shown, pieces, result);
  }

  static void count_matches(const Batch& batch, const Batch& shown,
                            const std::vector<MaskPiece>& pieces, Loss& result) {
    Metric tokens{"accuracy", 0, 0};
    Metric whole{"exact_match", 0, 0};
    for (const MaskPiece& piece : pieces) {
      bool all = true;
      for (const std::int64_t place : piece.places) {
        const auto n = static_cast<std::size_t>(piece.row * batch.length + place);
        const bool right = shown.tokens[n] == batch.tokens[n];
        tokens.sum += right ? 1 : 0;
        tokens.weight += 1;
        all = all && right;
      }
      whole.sum += all ? 1 : 0;
      whole.weight += 1;
    }
    result.metrics.push_back(tokens);
    result.metrics.push_back(whole);
  }

  Options with_;
  const Tokenizer* tokenizer_ = nullptr;  // whose tokens are the ordinary ones
  std::vector<std::int32_t> ordinary_;
};

LATHE_PLUGIN(Objective, Masked, "masked", "1.0.0")
}  // namespace lathe
