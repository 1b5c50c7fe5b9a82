// BERT exactly: weights, logits, losses and gradients of Hugging Face's BertForMaskedLM, recorded
// in double precision by tests/oracles/record_bert.py. The third row ends in padding.
#include <gtest/gtest.h>
#include <lathe/learn/likelihood.h>
#include <lathe/text/chars.h>

#include "models/bert_weights.h"
#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::doubles;
using testing::floats;
using testing::integers;
constexpr std::int64_t rows = 3, length = 11, vocabulary = testing::bert_vocabulary;

class Bert : public ::testing::TestWithParam<const char*> {
 protected:
  Bert()
      : registry_(testing::built_plugins()),
        expected_(open_tensors(LATHE_FIXTURES "/bert/expected.safetensors")),
        mask_(integers(expected_.at("mask"))),
        backend_(registry_.create<Backend>(GetParam(), Config())),
        model_(testing::load_bert(registry_, backend_, Precision::f32, parameters_)) {}

  Tensor hidden(bool with_types) const {
    ModelInput input;
    const Shape places{rows * length};
    std::vector<std::int32_t> positions, segments;
    for (std::size_t n = 0; n < mask_.size(); ++n) {
      positions.push_back(static_cast<std::int32_t>(n % length));
      segments.push_back(mask_[n] - 1);
    }
    input.tokens = Tensor::of<std::int32_t>(backend_, places, integers(expected_.at("tokens")));
    if (with_types) {
      input.types = Tensor::of<std::int32_t>(backend_, places, integers(expected_.at("types")));
    }
    input.places.rows = rows;
    input.places.length = length;
    input.places.positions = Tensor::of<std::int32_t>(backend_, places, positions);
    input.places.segments = Tensor::of<std::int32_t>(backend_, {rows, length}, segments);
    return model_->hidden(input);
  }

  // Of the places that are no padding.
  std::vector<double> real(const std::vector<double>& logits) const {
    std::vector<double> some;
    for (std::size_t n = 0; n < mask_.size(); ++n) {
      if (mask_[n] == 0) continue;
      const auto first = logits.begin() + static_cast<std::ptrdiff_t>(n * vocabulary);
      some.insert(some.end(), first, first + vocabulary);
    }
    return some;
  }

  Registry registry_;
  TensorFile expected_;
  std::vector<std::int32_t> mask_;
  std::shared_ptr<Backend> backend_;
  Parameters parameters_;
  std::unique_ptr<Model> model_;
};

TEST_P(Bert, Logits) {
  const NoGradient silent;
  for (const bool with_types : {true, false}) {
    const std::vector<double> expected =
        doubles(expected_.at(with_types ? "logits" : "logits.no_types"));
    EXPECT_LE(testing::relative(real(model_->logits(hidden(with_types)).values()), real(expected)),
              1e-5);
  }
}

// Each place hidden by itself, in rows with and without padding: recorded by
// tests/oracles/record_bert_likelihood.py, with the last token as the mask.
TEST_P(Bert, PseudoLikelihood) {
  const CharsTokenizer tokenizer(U"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn", false, true);
  ASSERT_EQ(tokenizer.size(), vocabulary);
  ASSERT_EQ(tokenizer.mask_id(), 40);
  const TensorFile file = open_tensors(LATHE_FIXTURES "/bert/likelihood.safetensors");
  const std::vector<double> recorded_values = doubles(file.at("log_probabilities"));
  const std::vector<std::int32_t> tokens = integers(expected_.at("tokens"));
  std::vector<LikelihoodRow> texts(rows);
  std::vector<double> expected;
  for (std::size_t n = 0; n < tokens.size(); ++n) {
    if (mask_[n] == 0) continue;
    LikelihoodRow& row = texts[n / length];
    row.places.push_back(std::ssize(row.tokens));
    row.tokens.push_back(tokens[n]);
    expected.push_back(recorded_values[n]);
  }
  ASSERT_EQ(texts[2].tokens.size(), 8u);
  std::vector<double> scored;
  for (const auto& each : Likelihood(*model_, parameters_, tokenizer).log_probabilities(texts)) {
    scored.insert(scored.end(), each.begin(), each.end());
  }
  EXPECT_LE(testing::relative(scored, expected), 1e-5);
}

// The head on some places alone, its bias included, and every gradient.
TEST_P(Bert, LossesAndGradientsAtSomePlaces) {
  const std::vector<std::int32_t> places = integers(expected_.at("places"));
  const std::vector<std::int32_t> wanted = integers(expected_.at("wanted"));
  const Shape count{static_cast<std::int64_t>(places.size())};
  const Tensor targets = Tensor::of<std::int32_t>(backend_, count, wanted);
  const std::vector<double> losses = doubles(expected_.at("losses"));
  double sum = 0;
  for (const double one : losses) sum += one;

  parameters_.begin_gradients();
  Tape tape;
  const Tensor rows_asked = gather(hidden(true), Tensor::of<std::int32_t>(backend_, count, places));
  const HeadLoss loss =
      model_->cross_entropy(rows_asked, targets, Tensor::full(backend_, count, DType::f32, 1));
  EXPECT_LE(testing::relative(loss.loss.values(), losses), 1e-5);
  EXPECT_NEAR(loss.sum.item(), sum, 1e-5 * sum);
  std::vector<double> scored =
      model_->score(rows_asked.detached(), targets, 1).log_probability.values();
  for (double& value : scored) value = -value;
  EXPECT_LE(testing::relative(scored, losses), 1e-5);

  tape.backward(loss.sum);
  parameters_.finish_gradients();
  for (const testing::BertName& named : testing::bert_names()) {
    // A key's bias shifts all scores of a query alike: its gradient is 0, and rounding is not.
    const std::vector<double> gradient = parameters_.find(named.ours)->gradient.values();
    EXPECT_LE(testing::normwise(gradient, testing::joined(expected_, named, "gradient.")), 1e-5)
        << named.ours;
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, Bert, ::testing::Values("reference", "onednn"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace lathe
