// model "gpt": a decoder-only Transformer, by default GPT-2's architecture exactly (Radford et al.,
// 2019): pre-norm blocks, learned positions, tanh GELU, the head tied to the token embedding.
//
//   [model]
//   use = "gpt"
//   layers = 12
//   heads = 12
//   width = 768
//
// The other options turn it, one at a time, into what came after: RMSNorm, rotary positions,
// SwiGLU, grouped-query heads, an untied head, no biases. Objectives that need state values (or a
// score, as reward models do) give it a second head: a linear map of the last hidden state.
#include <lathe/learn/model.h>
#include <lathe/plugin/plugin.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace lathe {

class Gpt final : public Model {
 public:
  static constexpr const char* provides[] = {"causal attention", "cached decoding"};
  struct Options : Keys {
    std::int64_t layers = key("layers", 12, "Transformer blocks", at_least(0));
    std::int64_t heads = key("heads", 12, "attention heads H", at_least(1));
    std::int64_t key_heads =
        key("key_heads", 0, "key and value heads; 0: as many as heads", at_least(0));
    std::int64_t width = key("width", 768, "width C of the residual stream", at_least(1));
    std::int64_t hidden =
        key("hidden", 0,
            "width of the feed-forward part; 0: 4 C, or 8/3 C rounded up to 64 with swiglu",
            at_least(0));
    std::int64_t context = key("context", 0, "longest sequence; 0: train.length", at_least(0));
    std::string norm = key("norm", "layer", "normalisation", one_of({"layer", "rms"}));
    double epsilon = key("epsilon", 1e-5, "added to the variance in the norms", above(0));
    std::string positions = key("positions", "learned", "how places are told apart",
                                one_of({"learned", "rotary", "none"}));
    double rotary_base =
        key("rotary_base", 10000.0, "longest wave length of rotary positions / 2 pi", above(0));
    std::string activation = key("activation", "gelu_tanh", "of the feed-forward part",
                                 one_of({"gelu_tanh", "gelu_erf", "relu", "silu", "swiglu"}));
    bool tied = key("tied", true, "the head shares its weight with the token embedding");
    bool bias = key("bias", true, "biases in linear layers and layer norms");
    float dropout =
        key("dropout", 0.0F, "dropped share of embeddings, attention weights and both branches",
            at_least(0), below(1));
    std::string recompute = key("recompute", "none", recompute_meaning,
                                one_of({"none", "gelu", "norm", "block"}), affects_runtime);
    double deviation = key("deviation", 0.02,
                           "standard deviation of the initial weights; / sqrt(2 layers) for the "
                           "two projections into the residual stream",
                           at_least(0));
    std::string value_initial =
        key("value_initial", "zero",
            "weight of the value head, for objectives that need state values or scores: zero, or "
            "normal with deviation 1 / sqrt(C + 1) (Stiennon et al., 2020)",
            one_of({"zero", "normal"}));
  };
  explicit Gpt(const Config& config) : with_(config) { check(config); }

  void build(Parameters& parameters, const ModelFit& fit) override;
  Tensor hidden(const ModelInput& input) const override;
  const Parameter& head() const override { return with_.tied ? *tokens_ : *head_; }
  Tensor values(const ModelInput& input, const Tensor& hidden) const override;
  std::int64_t context() const override { return context_; }
  KeyValueCache make_cache(const std::shared_ptr<Backend>& backend, DType type, std::int64_t rows,
                           std::int64_t capacity) const override;

 private:
  void check(const Config& config) const;
  BlockOptions block_options() const;
  std::int64_t key_heads() const { return with_.key_heads == 0 ? with_.heads : with_.key_heads; }

  Options with_;
  std::int64_t context_ = 0;
  Parameter* tokens_ = nullptr;
  Parameter* positions_ = nullptr;
  Parameter* head_ = nullptr;
  Linear value_head_;
  bool has_values_ = false;
  std::vector<Block> blocks_;
  Normalisation last_norm_;
};

void Gpt::check(const Config& config) const {
  if (with_.width % with_.heads != 0) {
    fail(config.where(), ": width ", with_.width, " is not a multiple of heads ", with_.heads);
  }
  if (with_.heads % key_heads() != 0) {
    fail(config.where(), ": heads ", with_.heads, " is not a multiple of key_heads ", key_heads());
  }
  if (with_.positions == "rotary" && (with_.width / with_.heads) % 2 != 0) {
    fail(config.where(), ": rotary positions need an even head width, not ",
         with_.width / with_.heads);
  }
}

BlockOptions Gpt::block_options() const {
  BlockOptions options;
  options.width = with_.width;
  options.heads = with_.heads;
  options.key_heads = key_heads();
  options.gated = with_.activation == "swiglu";
  options.hidden = with_.hidden;
  if (with_.hidden == 0) {
    options.hidden = options.gated ? (8 * with_.width / 3 + 63) / 64 * 64 : 4 * with_.width;
  }
  options.bias = with_.bias;
  options.norm = with_.norm == "rms" ? Norm::rms : Norm::layer;
  options.epsilon = with_.epsilon;
  options.activation = with_.activation == "gelu_erf" ? Activation::gelu_erf
                       : with_.activation == "relu"   ? Activation::relu
                       : with_.activation == "silu"   ? Activation::silu
                                                      : Activation::gelu_tanh;
  options.rotary_base = with_.positions == "rotary" ? with_.rotary_base : 0;
  options.dropout = with_.dropout;
  options.recompute = recompute_of(with_.recompute);
  options.deviation = with_.deviation;
  options.residual_deviation =
      with_.deviation /
      std::sqrt(2.0 * static_cast<double>(std::max<std::int64_t>(with_.layers, 1)));
  return options;
}

void Gpt::build(Parameters& parameters, const ModelFit& fit) {
  context_ = with_.context == 0 ? fit.context : with_.context;
  if (context_ < fit.context) {
    fail("model 'gpt': context ", context_, " is shorter than the rows of ", fit.context,
         " tokens that it is to be trained on; raise model.context or lower train.length");
  }
  const Initial weights = Initial::normal(with_.deviation);
  tokens_ = &parameters.matrix("token_embedding", {fit.vocabulary, with_.width}, weights);
  if (with_.positions == "learned") {
    positions_ = &parameters.matrix("position_embedding", {context_, with_.width}, weights);
  }
  const BlockOptions options = block_options();
  for (std::int64_t layer = 0; layer < with_.layers; ++layer) {
    blocks_.emplace_back(parameters, cat("block.", layer), static_cast<int>(layer), options);
  }
  last_norm_ =
      Normalisation(parameters, "last_norm", with_.width, options.norm, with_.bias, with_.epsilon);
  if (!with_.tied) head_ = &parameters.matrix("head", {fit.vocabulary, with_.width}, weights);
  has_values_ = fit.values;
  if (!has_values_) return;
  const double deviation = 1 / std::sqrt(static_cast<double>(with_.width) + 1);
  const Initial first =
      with_.value_initial == "zero" ? Initial::zeros() : Initial::normal(deviation);
  value_head_ = Linear(parameters, "value_head", with_.width, 1, true, first);
}

Tensor Gpt::hidden(const ModelInput& input) const {
  const Tensor positions = positions_ == nullptr ? Tensor() : input.places.positions;
  const Tensor table = positions_ == nullptr ? Tensor() : positions_->value;
  if (!input.tokens) {
    fail(
        "model 'gpt' reads tokens, and what this experiment shows are numbers: use a model such "
        "as ",
        "'mlp'");
  }
  Tensor x = embedding(input.tokens, tokens_->value, positions, table);
  if (input.pass.training) x = dropout(x, with_.dropout, input.pass.dropout);
  for (const Block& block : blocks_) x = block(x, input.places, input.pass);
  return last_norm_(x);
}

// V = w h + b at every place.
Tensor Gpt::values(const ModelInput& input, const Tensor& hidden) const {
  if (!has_values_) return Model::values(input, hidden);
  const Tensor column = value_head_(hidden);
  return cast(column, wide_type(column.dtype())).reshape({column.size(0)});
}

KeyValueCache Gpt::make_cache(const std::shared_ptr<Backend>& backend, DType type,
                              std::int64_t rows, std::int64_t capacity) const {
  if (capacity > context_) {
    fail("model 'gpt' has a context of ", context_, " tokens; ", capacity, " were asked for");
  }
  // [B, G, S, D] in memory, so that a head reads its keys one after the other.
  const Shape shape{rows, key_heads(), capacity, with_.width / with_.heads};
  const auto empty = [&] {
    const Tensor by_head = Tensor::zeros(backend, shape, type);
    return Tensor(by_head.storage(), transposed(by_head.view(), 1, 2));
  };
  KeyValueCache cache;
  for (std::size_t layer = 0; layer < blocks_.size(); ++layer) {
    cache.layers.push_back({empty(), empty()});
  }
  cache.lengths = Tensor::zeros(backend, {rows}, DType::i32);
  return cache;
}

LATHE_PLUGIN(Model, Gpt, "gpt", "1.0.0")
}  // namespace lathe
