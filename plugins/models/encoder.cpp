// model "encoder": a bidirectional Transformer, in which every place sees all of its piece; for the
// objectives "masked" and "reward_model". As a default the blocks of the model "gpt" (pre-norm,
// tanh GELU) without the causal mask.
//
//   [model]
//   use = "encoder"
//   layers = 12
//   heads = 12
//   width = 768
//   style = "bert"     # exactly BERT (Devlin et al., 2019)
//
// style = "bert" stands for placement = "post", norm = "layer", epsilon = 1e-12, positions =
// "learned", types = 2, embedding_norm = true, activation = "gelu_erf", transform = true,
// head_bias = true, tied = true, bias = true; each of these may be repeated, none changed.
//
// With repeats = n > 0 each place is also told how much of its text stands earlier in the piece: an
// embedding of the largest k <= n for which its token and the k - 1 before it do, in this order. So
// a judge of answers knows from the first step what is copied from the passages before them, which
// attention needs long training to find out (the aligned exact match of Chen et al., 2017,
// sec. 3.2, for runs of tokens).
//
// Objectives that need a score (reward_model) give it a second head, a linear map of the last
// hidden state that begins at 0.
#include <lathe/learn/model.h>
#include <lathe/plugin/plugin.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace lathe {

class Encoder final : public Model {
 public:
  static constexpr const char* provides[] = {"bidirectional attention"};
  struct Options : Keys {
    std::string style = key("style", "plain", "the options below, or BERT's choice of them",
                            one_of({"plain", "bert"}));
    std::int64_t layers = key("layers", 12, "Transformer blocks", at_least(0));
    std::int64_t heads = key("heads", 12, "attention heads H", at_least(1));
    std::int64_t width = key("width", 768, "width C of the residual stream", at_least(1));
    std::int64_t hidden =
        key("hidden", 0,
            "width of the feed-forward part; 0: 4 C, or 8/3 C rounded up to 64 with swiglu",
            at_least(0));
    std::int64_t context = key("context", 0, "longest sequence; 0: train.length", at_least(0));
    std::string placement =
        key("placement", "pre", "norms before attention and feed-forward part, or after the sums",
            one_of({"pre", "post"}));
    std::string norm = key("norm", "layer", "normalisation", one_of({"layer", "rms"}));
    double epsilon = key("epsilon", 1e-5, "added to the variance in the norms", above(0));
    std::string positions = key("positions", "learned", "how places are told apart",
                                one_of({"learned", "rotary", "none"}));
    double rotary_base =
        key("rotary_base", 10000.0, "longest wave length of rotary positions / 2 pi", above(0));
    std::int64_t types = key("types", 0, "kinds of tokens with an embedding each", at_least(0));
    std::int64_t repeats =
        key("repeats", 0,
            "longest run n of tokens that is looked for earlier in the piece; the length found at "
            "each place has an embedding; 0: none",
            at_least(0), at_most(64));
    bool embedding_norm = key("embedding_norm", false, "a norm after the sum of the embeddings");
    std::string activation = key("activation", "gelu_tanh", "of the feed-forward part",
                                 one_of({"gelu_tanh", "gelu_erf", "relu", "silu", "swiglu"}));
    bool transform = key("transform", false,
                         "a linear layer, the activation and a norm between hidden state and head");
    bool head_bias = key("head_bias", false, "a bias for each token's logit");
    bool tied = key("tied", true, "the head shares its weight with the token embedding");
    bool bias = key("bias", true, "biases in linear layers and layer norms");
    float dropout =
        key("dropout", 0.0F, "dropped share of embeddings, attention weights and both branches",
            at_least(0), below(1));
    std::string recompute = key("recompute", "none", recompute_meaning,
                                one_of({"none", "gelu", "norm", "block"}), affects_runtime);
    double deviation = key("deviation", 0.02,
                           "standard deviation of the initial weights; with pre-norm / sqrt(2 "
                           "layers) for the two projections into the residual stream",
                           at_least(0));
  };
  explicit Encoder(const Config& config) : with_(config) {
    if (with_.style == "bert") become_bert(config);
    check(config);
  }

  void build(Parameters& parameters, const ModelFit& fit) override;
  Tensor hidden(const ModelInput& input) const override;
  bool causal() const override { return false; }
  const Parameter& head() const override { return with_.tied ? *tokens_ : *head_; }
  Tensor logits(const Tensor& hidden) const override;
  Tensor values(const ModelInput& input, const Tensor& hidden) const override;
  HeadTokens score(const Tensor& hidden, const Tensor& targets, double temperature) const override;
  HeadLoss cross_entropy(const Tensor& hidden, const Tensor& targets, const Tensor& weights,
                         const HeadLossOptions& options) const override;
  std::int64_t context() const override { return context_; }
  KeyValueCache make_cache(const std::shared_ptr<Backend>&, DType, std::int64_t,
                           std::int64_t) const override {
    fail(
        "model 'encoder' sees both sides of a token, so it cannot write one token after the "
        "other: there is nothing to cache");
  }

 private:
  void become_bert(const Config& config);
  void check(const Config& config) const;
  Activation activation() const;
  Tensor transformed(const Tensor& hidden) const;
  Tensor repeats_before(const ModelInput& input) const;
  BlockOptions block_options() const;

  Options with_;
  std::int64_t context_ = 0;
  Parameter* tokens_ = nullptr;
  Parameter* positions_ = nullptr;
  Parameter* types_ = nullptr;
  Parameter* repeats_ = nullptr;
  Parameter* head_ = nullptr;
  Parameter* head_bias_ = nullptr;
  Normalisation embedding_norm_;
  std::vector<Block> blocks_;
  Normalisation last_norm_;  // pre-norm only
  Linear transform_;
  Normalisation transform_norm_;
  Linear value_head_;
  bool has_values_ = false;
};

void Encoder::become_bert(const Config& config) {
  const Options plain(Config::table({}));
  const auto set = [&](const char* name, auto& value, const auto& usual, auto bert) {
    if (value != usual && value != bert) {
      fail(config.where(), ": style = \"bert\" fixes ", name, " to ", bert, ", not ", value,
           "; leave it out, or leave out the style and set the other options one by one");
    }
    value = bert;
  };
  set("placement", with_.placement, plain.placement, "post");
  set("norm", with_.norm, plain.norm, "layer");
  set("epsilon", with_.epsilon, plain.epsilon, 1e-12);
  set("positions", with_.positions, plain.positions, "learned");
  set("types", with_.types, plain.types, std::int64_t{2});
  set("repeats", with_.repeats, plain.repeats, std::int64_t{0});
  set("embedding_norm", with_.embedding_norm, plain.embedding_norm, true);
  set("activation", with_.activation, plain.activation, "gelu_erf");
  set("transform", with_.transform, plain.transform, true);
  set("head_bias", with_.head_bias, plain.head_bias, true);
  set("tied", with_.tied, plain.tied, true);
  set("bias", with_.bias, plain.bias, true);
}

void Encoder::check(const Config& config) const {
  if (with_.width % with_.heads != 0) {
    fail(config.where(), ": width ", with_.width, " is not a multiple of heads ", with_.heads);
  }
  if (with_.positions == "rotary" && (with_.width / with_.heads) % 2 != 0) {
    fail(config.where(), ": rotary positions need an even head width, not ",
         with_.width / with_.heads);
  }
  if (with_.transform && with_.activation == "swiglu") {
    fail(config.where(), ": the transform before the head has no gated form: use another ",
         "activation than swiglu, or transform = false");
  }
}

Activation Encoder::activation() const {
  return with_.activation == "gelu_erf" ? Activation::gelu_erf
         : with_.activation == "relu"   ? Activation::relu
         : with_.activation == "silu"   ? Activation::silu
                                        : Activation::gelu_tanh;
}

BlockOptions Encoder::block_options() const {
  BlockOptions options;
  options.width = with_.width;
  options.heads = with_.heads;
  options.key_heads = with_.heads;
  options.gated = with_.activation == "swiglu";
  options.hidden = with_.hidden;
  if (with_.hidden == 0) {
    options.hidden = options.gated ? (8 * with_.width / 3 + 63) / 64 * 64 : 4 * with_.width;
  }
  options.causal = false;
  options.bias = with_.bias;
  options.post_norm = with_.placement == "post";
  options.norm = with_.norm == "rms" ? Norm::rms : Norm::layer;
  options.epsilon = with_.epsilon;
  options.activation = activation();
  options.rotary_base = with_.positions == "rotary" ? with_.rotary_base : 0;
  options.dropout = with_.dropout;
  options.recompute = recompute_of(with_.recompute);
  options.deviation = options.residual_deviation = with_.deviation;
  if (!options.post_norm) {  // the sum of all branches, not each of them, is what comes out
    options.residual_deviation /=
        std::sqrt(2.0 * static_cast<double>(std::max<std::int64_t>(with_.layers, 1)));
  }
  return options;
}

void Encoder::build(Parameters& parameters, const ModelFit& fit) {
  context_ = with_.context == 0 ? fit.context : with_.context;
  if (context_ < fit.context) {
    fail("model 'encoder': context ", context_, " is shorter than the rows of ", fit.context,
         " tokens that it is to be trained on; raise model.context or lower train.length");
  }
  const std::int64_t width = with_.width;
  const Initial weights = Initial::normal(with_.deviation);
  const BlockOptions options = block_options();
  const auto norm = [&](const char* name) {
    return Normalisation(parameters, name, width, options.norm, with_.bias, with_.epsilon);
  };
  tokens_ = &parameters.matrix("token_embedding", {fit.vocabulary, width}, weights);
  if (with_.positions == "learned") {
    positions_ = &parameters.matrix("position_embedding", {context_, width}, weights);
  }
  if (with_.types > 0) {
    types_ = &parameters.matrix("type_embedding", {with_.types, width}, weights);
  }
  if (with_.repeats > 0) {
    repeats_ = &parameters.matrix("repeat_embedding", {with_.repeats + 1, width}, weights);
  }
  if (with_.embedding_norm) embedding_norm_ = norm("embedding_norm");
  for (std::int64_t layer = 0; layer < with_.layers; ++layer) {
    blocks_.emplace_back(parameters, cat("block.", layer), static_cast<int>(layer), options);
  }
  if (!options.post_norm) last_norm_ = norm("last_norm");
  if (with_.transform) {
    transform_ = Linear(parameters, "transform", width, width, with_.bias, weights);
    transform_norm_ = norm("transform_norm");
  }
  if (!with_.tied) head_ = &parameters.matrix("head", {fit.vocabulary, width}, weights);
  if (with_.head_bias) {
    head_bias_ = &parameters.vector("head_bias", fit.vocabulary, Initial::zeros());
  }
  has_values_ = fit.values;
  if (has_values_) value_head_ = Linear(parameters, "value_head", width, 1, true, Initial::zeros());
}

namespace {
// For each place of rows of T, the largest k <= most for which its token and the k - 1 before it
// also stand, in this order, earlier in its piece. The two may overlap. Padding (segment -1) has 0.
// `segments` may be empty: each row is one piece. Time O(N T).
std::vector<std::int32_t> repeated_runs(const std::vector<std::int32_t>& tokens,
                                        const std::vector<std::int32_t>& segments,
                                        std::size_t length, std::int32_t most) {
  std::vector<std::int32_t> longest(tokens.size(), 0);
  std::vector<std::int32_t> runs(length + 1);  // at s + 1: of the runs that end at s and at t
  for (std::size_t row = 0; row < tokens.size(); row += length) {
    std::ranges::fill(runs, 0);
    for (std::size_t t = row; t < row + length; ++t) {
      const std::int32_t piece = segments.empty() ? 0 : segments[t];
      for (std::size_t s = t; s-- > row;) {  // downwards: runs[s] is still that of t - 1
        const bool same =
            tokens[s] == tokens[t] && piece >= 0 && (segments.empty() || segments[s] == piece);
        std::int32_t& run = runs[s - row + 1];
        run = same ? std::min(most, runs[s - row] + 1) : 0;
        longest[t] = std::max(longest[t], run);
      }
    }
  }
  return longest;
}
}  // namespace

// [N] i32, made on the host: it depends on the tokens alone.
Tensor Encoder::repeats_before(const ModelInput& input) const {
  const Places& places = input.places;
  const std::vector<std::int32_t> segments =
      places.segments ? places.segments.integers() : std::vector<std::int32_t>();
  return Tensor::of<std::int32_t>(
      input.tokens.shared_backend(), input.tokens.shape(),
      repeated_runs(input.tokens.integers(), segments, static_cast<std::size_t>(places.length),
                    static_cast<std::int32_t>(with_.repeats)));
}

Tensor Encoder::hidden(const ModelInput& input) const {
  if (input.places.cache != nullptr) {
    fail("model 'encoder' sees both sides of a token: it has no use for a cache");
  }
  const Tensor positions = positions_ == nullptr ? Tensor() : input.places.positions;
  const Tensor table = positions_ == nullptr ? Tensor() : positions_->value;
  Tensor x = embedding(input.tokens, tokens_->value, positions, table);
  if (input.types && types_ == nullptr) {
    fail("model 'encoder' was given kinds of tokens, but has none: set types");
  }
  if (types_ != nullptr) {
    x = add(x, input.types ? embedding(input.types, types_->value)
                           : slice(types_->value, 0, 0, 1));  // all of kind 0
  }
  if (repeats_ != nullptr) x = add(x, embedding(repeats_before(input), repeats_->value));
  if (with_.embedding_norm) x = embedding_norm_(x);
  if (input.pass.training) x = dropout(x, with_.dropout, input.pass.dropout);
  for (const Block& block : blocks_) x = block(x, input.places, input.pass);
  return with_.placement == "post" ? x : last_norm_(x);
}

Tensor Encoder::values(const ModelInput& input, const Tensor& hidden) const {
  if (!has_values_) return Model::values(input, hidden);
  const Tensor column = value_head_(hidden);
  return cast(column, wide_type(column.dtype())).reshape({column.size(0)});
}

Tensor Encoder::transformed(const Tensor& hidden) const {
  return with_.transform ? transform_norm_(transform_(hidden, activation())) : hidden;
}

namespace {
// A head without bias that has the same logits: the bias is one more column of the weight, beside
// ones in the rows. The other new columns are zeros, so that rows stay aligned.
struct PlainHead {
  Tensor rows;    // [M, C + 16]
  Tensor weight;  // [V, C + 16]

  PlainHead(const Tensor& given, const Parameter& head, const Parameter* head_bias)
      : rows(given), weight(head.value) {
    if (head_bias == nullptr) return;
    const auto& backend = rows.shared_backend();
    const DType type = rows.dtype();
    const auto zeros = [&](const Tensor& of) {
      return Tensor::zeros(backend, {of.size(0), 15}, type);
    };
    const Tensor bias = cast(head_bias->value.reshape({weight.size(0), 1}), type);
    rows = concat({rows, Tensor::full(backend, {rows.size(0), 1}, type, 1), zeros(rows)}, 1);
    weight = concat({weight, bias, zeros(weight)}, 1);
  }
};
}  // namespace

Tensor Encoder::logits(const Tensor& hidden) const {
  return linear(transformed(hidden), head().value,
                head_bias_ == nullptr ? Tensor() : head_bias_->value);
}

HeadTokens Encoder::score(const Tensor& hidden, const Tensor& targets, double temperature) const {
  const PlainHead plain(transformed(hidden), head(), head_bias_);
  return head_tokens(plain.rows, plain.weight, targets, temperature);
}

HeadLoss Encoder::cross_entropy(const Tensor& hidden, const Tensor& targets, const Tensor& weights,
                                const HeadLossOptions& options) const {
  const PlainHead plain(transformed(hidden), head(), head_bias_);
  return head_loss(plain.rows, plain.weight, targets, weights, options);
}

LATHE_PLUGIN(Model, Encoder, "encoder", "1.0.0")
}  // namespace lathe
