// GPT-2 exactly: weights, logits, losses and gradients of Hugging Face's GPT2LMHeadModel, recorded
// in double precision by tests/oracles/record_gpt2.py; and, with the options that came after,
// Llama.
#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/learn/likelihood.h>
#include <lathe/learn/objective.h>
#include <lathe/text/chars.h>

#include <cstring>

#include "models/recorded.h"
#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::doubles;
using testing::floats;
using testing::normwise;
using testing::relative;
constexpr std::int64_t rows = 3, length = 11, vocabulary = 37, width = 24, layers = 2;

struct Named {
  std::string ours, theirs;
  bool transposed;  // Conv1D keeps its weight as [in, out]
};

std::vector<Named> names() {
  std::vector<Named> all = {{"token_embedding", "transformer.wte.weight", false},
                            {"position_embedding", "transformer.wpe.weight", false},
                            {"last_norm.weight", "transformer.ln_f.weight", false},
                            {"last_norm.bias", "transformer.ln_f.bias", false}};
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const std::string ours = cat("block.", layer, ".");
    const std::string theirs = cat("transformer.h.", layer, ".");
    for (const auto& [mine, other] :
         std::vector<std::pair<std::string, std::string>>{{"attention_norm", "ln_1"},
                                                          {"qkv", "attn.c_attn"},
                                                          {"projection", "attn.c_proj"},
                                                          {"feed_norm", "ln_2"},
                                                          {"up", "mlp.c_fc"},
                                                          {"down", "mlp.c_proj"}}) {
      const bool norm = other.starts_with("ln");
      all.push_back({ours + mine + ".weight", theirs + other + ".weight", !norm});
      all.push_back({ours + mine + ".bias", theirs + other + ".bias", false});
    }
  }
  return all;
}

// A recorded tensor in our layout.
std::vector<float> in_our_layout(const TensorEntry& entry, bool transposed) {
  const std::vector<float> values = floats(entry);
  if (!transposed) return values;
  const auto in = static_cast<std::size_t>(entry.shape[0]);
  const auto out = static_cast<std::size_t>(entry.shape[1]);
  std::vector<float> turned(values.size());
  for (std::size_t i = 0; i < in; ++i) {
    for (std::size_t o = 0; o < out; ++o) turned[o * in + i] = values[i * out + o];
  }
  return turned;
}

class Gpt2 : public ::testing::TestWithParam<const char*> {
 protected:
  Gpt2()
      : registry_(testing::built_plugins()),
        expected_(open_tensors(LATHE_FIXTURES "/gpt2/expected.safetensors")),
        backend_(registry_.create<Backend>(GetParam(), Config())) {}

  void build(const std::string& options) {
    model_ = registry_.create<Model>(
        "gpt", parse_toml(cat("layers = ", layers, "\nwidth = ", width, "\n", options), "gpt2"));
    model_->build(parameters_, {.vocabulary = vocabulary, .context = 13});
    parameters_.allocate(backend_, Precision::f32, 0);
  }

  void set(const std::string& name, const std::vector<float>& values) {
    Parameter* parameter = parameters_.find(name);
    if (parameter == nullptr) throw std::runtime_error("no parameter " + name);
    EXPECT_EQ(static_cast<std::int64_t>(values.size()), parameter->shape.count()) << name;
    backend_->upload(parameter->master.view().data, values.data(), values.size() * sizeof(float));
    ++set_;
  }

  void build_gpt2(const std::string& activation) {
    build("heads = 3\nactivation = \"" + activation + "\"");
    const TensorFile weights = open_tensors(LATHE_FIXTURES "/gpt2/model.safetensors");
    for (const Named& name : names()) {
      set(name.ours, in_our_layout(weights.at(name.theirs), name.transposed));
    }
    EXPECT_EQ(weights.entries().size(), set_);
    EXPECT_EQ(parameters_.all().size(), set_);
  }

  std::vector<double> logits() const {
    const DeviceBatch device(batch(), parameters_);
    const NoGradient silent;
    return linear(model_->hidden(device.input), model_->head().value).values();
  }

  // The recorded tokens; each is the target of the place before it.
  Batch batch() const {
    const TensorEntry& entry = expected_.at("tokens");
    EXPECT_EQ(entry.type, TensorType::I32);
    Batch batch;
    batch.rows = rows;
    batch.length = length;
    const std::size_t places = rows * length;
    batch.tokens.resize(places);
    std::memcpy(batch.tokens.data(), entry.bytes.data(), entry.bytes.size());
    batch.targets.assign(places, -1);
    batch.weights.assign(places, 0);
    for (std::size_t n = 0; n < places; ++n) {
      const bool last = n % length == length - 1;
      batch.positions.push_back(static_cast<std::int32_t>(n % length));
      if (last) continue;
      batch.targets[n] = batch.tokens[n + 1];
      batch.weights[n] = 1;
    }
    return batch;
  }

  Registry registry_;
  TensorFile expected_;
  std::shared_ptr<Backend> backend_;
  std::unique_ptr<Model> model_;
  Parameters parameters_;
  std::size_t set_ = 0;  // parameters that were given values
};

TEST_P(Gpt2, Logits) {
  build_gpt2("gelu_tanh");
  EXPECT_LE(relative(logits(), doubles(expected_.at("logits"))), 1e-5);
}

TEST_P(Gpt2, LogitsWithRelu) {
  build_gpt2("relu");
  EXPECT_LE(relative(logits(), doubles(expected_.at("logits.relu"))), 1e-5);
}

TEST_P(Gpt2, LogitsWithSilu) {
  build_gpt2("silu");
  EXPECT_LE(relative(logits(), doubles(expected_.at("logits.silu"))), 1e-5);
}

TEST_P(Gpt2, LogitsWithGeluErf) {
  build_gpt2("gelu_erf");
  EXPECT_LE(relative(logits(), doubles(expected_.at("logits.gelu"))), 1e-5);
}

// RMS norm, rotary positions, SwiGLU, shared key heads, a head of its own and no biases at once.
TEST_P(Gpt2, LogitsOfLlama) {
  build(
      "heads = 4\nkey_heads = 2\nhidden = 20\nnorm = \"rms\"\npositions = \"rotary\"\n"
      "rotary_base = 100.0\nactivation = \"swiglu\"\ntied = false\nbias = false");
  const TensorFile weights = open_tensors(LATHE_FIXTURES "/gpt2/llama.safetensors");
  const auto joined = [&](const std::vector<std::string>& parts) {
    std::vector<float> all;
    for (const std::string& part : parts) {
      const std::vector<float> values = floats(weights.at(part + ".weight"));
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  set("token_embedding", joined({"model.embed_tokens"}));
  set("last_norm.weight", joined({"model.norm"}));
  set("head", joined({"lm_head"}));
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const std::string ours = cat("block.", layer, ".");
    const std::string theirs = cat("model.layers.", layer, ".");
    const std::string attention = theirs + "self_attn.";
    set(ours + "attention_norm.weight", joined({theirs + "input_layernorm"}));
    set(ours + "qkv.weight",
        joined({attention + "q_proj", attention + "k_proj", attention + "v_proj"}));
    set(ours + "projection.weight", joined({attention + "o_proj"}));
    set(ours + "feed_norm.weight", joined({theirs + "post_attention_layernorm"}));
    set(ours + "up.weight", joined({theirs + "mlp.gate_proj", theirs + "mlp.up_proj"}));
    set(ours + "down.weight", joined({theirs + "mlp.down_proj"}));
  }
  EXPECT_EQ(parameters_.all().size(), set_);
  EXPECT_LE(relative(logits(), doubles(weights.at("logits"))), 1e-5);
}

// Each token's log-likelihood is the recorded loss at the place before it.
TEST_P(Gpt2, Likelihood) {
  build_gpt2("gelu_tanh");
  std::u32string characters;
  for (char32_t c = 0; c < vocabulary; ++c) characters += U'A' + c;
  const CharsTokenizer tokenizer(characters, false);
  const Batch all = batch();
  std::vector<LikelihoodRow> texts;
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto first = all.tokens.begin() + row * length;
    texts.push_back({.tokens = {first, first + length}, .places = {}});
    texts.back().places = places_of_text(texts.back().tokens, tokenizer, true);
  }
  std::vector<double> scored;
  for (const auto& each :
       lathe::Likelihood(*model_, parameters_, tokenizer).log_probabilities(texts)) {
    for (const double value : each) scored.push_back(-value);
  }
  EXPECT_LE(relative(scored, doubles(expected_.at("losses"))), 1e-5);
}

TEST_P(Gpt2, LossAndGradients) {
  build_gpt2("gelu_tanh");
  const auto objective = registry_.create<Objective>("sft", Config());
  parameters_.begin_gradients();
  Tape tape;
  const Loss loss = objective->loss(batch(), {.model = model_.get(),
                                              .parameters = &parameters_,
                                              .options = {.training = true, .dropout = {}}});
  tape.backward(loss.sum);
  parameters_.finish_gradients();
  const std::vector<double> losses = doubles(expected_.at("losses"));
  double sum = 0;
  for (const double one : losses) sum += one;
  EXPECT_EQ(loss.weight, static_cast<double>(losses.size()));
  EXPECT_NEAR(loss.sum.item(), sum, 1e-5 * sum);
  for (const Named& name : names()) {
    std::vector<double> gradient = parameters_.find(name.ours)->gradient.values();
    for (double& value : gradient) value /= loss.weight;
    EXPECT_LE(
        normwise(gradient, in_our_layout(expected_.at("gradient." + name.theirs), name.transposed)),
        1e-5)
        << name.ours;
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, Gpt2, ::testing::Values("reference", "onednn"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace lathe
