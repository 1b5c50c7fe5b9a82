// The tiny BERT of tests/fixtures/bert (tests/oracles/record_bert.py) as our model `encoder`.
#pragma once

#include <lathe/config/toml.h>
#include <lathe/learn/model.h>
#include <lathe/plugin/registry.h>

#include <memory>
#include <string>
#include <vector>

#include "models/recorded.h"

namespace lathe::testing {

inline constexpr std::int64_t bert_vocabulary = 41, bert_context = 13, bert_layers = 2;

struct BertName {
  std::string ours;
  std::vector<std::string> theirs;  // joined along the first axis
};

inline std::vector<BertName> bert_names() {
  std::vector<BertName> all = {
      {"token_embedding", {"bert.embeddings.word_embeddings.weight"}},
      {"position_embedding", {"bert.embeddings.position_embeddings.weight"}},
      {"type_embedding", {"bert.embeddings.token_type_embeddings.weight"}},
      {"head_bias", {"cls.predictions.bias"}}};
  const auto both = [&](const std::string& ours, const std::vector<std::string>& theirs) {
    for (const char* kind : {".weight", ".bias"}) {
      BertName named{ours + kind, {}};
      for (const std::string& one : theirs) named.theirs.push_back(one + kind);
      all.push_back(named);
    }
  };
  both("embedding_norm", {"bert.embeddings.LayerNorm"});
  both("transform", {"cls.predictions.transform.dense"});
  both("transform_norm", {"cls.predictions.transform.LayerNorm"});
  for (std::int64_t layer = 0; layer < bert_layers; ++layer) {
    const std::string ours = cat("block.", layer, ".");
    const std::string theirs = cat("bert.encoder.layer.", layer, ".");
    const std::string self = theirs + "attention.self.";
    both(ours + "qkv", {self + "query", self + "key", self + "value"});
    both(ours + "projection", {theirs + "attention.output.dense"});
    both(ours + "attention_norm", {theirs + "attention.output.LayerNorm"});
    both(ours + "up", {theirs + "intermediate.dense"});
    both(ours + "down", {theirs + "output.dense"});
    both(ours + "feed_norm", {theirs + "output.LayerNorm"});
  }
  return all;
}

inline std::vector<float> joined(const TensorFile& file, const BertName& named,
                                 const std::string& prefix) {
  std::vector<float> all;
  for (const std::string& name : named.theirs) {
    const std::vector<float> values = floats(file.at(prefix + name));
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

// The model with its weights, which are exact in both precisions.
inline std::unique_ptr<Model> load_bert(Registry& registry, const std::shared_ptr<Backend>& backend,
                                        Precision precision, Parameters& parameters) {
  auto model = registry.create<Model>(
      "encoder",
      parse_toml("style = \"bert\"\nlayers = 2\nheads = 3\nwidth = 24\nhidden = 40", "bert"));
  model->build(parameters, {.vocabulary = bert_vocabulary, .context = bert_context});
  parameters.allocate(backend, precision, 0);
  const TensorFile weights = open_tensors(LATHE_FIXTURES "/bert/model.safetensors");
  std::size_t used = 0;
  for (const BertName& named : bert_names()) {
    const std::vector<float> values = joined(weights, named, "");
    Parameter* parameter = parameters.find(named.ours);
    if (parameter == nullptr) throw std::runtime_error("no parameter " + named.ours);
    EXPECT_EQ(static_cast<std::int64_t>(values.size()), parameter->shape.count()) << named.ours;
    const std::vector<double> exact(values.begin(), values.end());
    void* const to = parameter->master.view().data;
    if (precision == Precision::f64) {
      backend->upload(to, exact.data(), exact.size() * sizeof(double));
    } else {
      backend->upload(to, values.data(), values.size() * sizeof(float));
    }
    used += named.theirs.size();
  }
  EXPECT_EQ(weights.entries().size(), used);
  EXPECT_EQ(parameters.all().size(), bert_names().size());
  return model;
}

}  // namespace lathe::testing
