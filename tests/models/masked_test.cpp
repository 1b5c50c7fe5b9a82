// Objective "masked" against sums over single forward passes, in f64: what each estimator
// estimates, what it costs, and that no draw depends on threads, cuts into batches or a resume.
#include <gtest/gtest.h>
#include <lathe/learn/masking.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "models/masked_support.h"

namespace lathe {
namespace {
using testing::pass_of;
using testing::session_of;
using testing::surprise;
using testing::Tiny;
using testing::tiny_masked;
using Ints = std::vector<std::int32_t>;

// One row of four letters, of two kinds.
const char* const tiny_letters = R"(
seed = 4
[data]
use = "text"
file = "text.txt"
validation = 0.0
[tokenizer]
use = "chars"
mask = true
[feed]
use = "windows"
[model]
use = "encoder"
layers = 2
heads = 2
width = 8
hidden = 10
deviation = 0.3
[objective]
use = "masked"
estimator = "diffusion"
[train]
length = 4
)";

TEST(Masked, ExactIsTheFormula) {
  Tiny tiny(tiny_masked);
  const auto session = session_of(tiny, {"objective.estimator=exact", "feed.use=packed",
                                         "train.length=16", "model.style=bert"});
  Batch batch = session->feed->batch(0);
  double expected = 0, weight = 0;
  std::int64_t places = 0;
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    for (std::int64_t place = 0; place < batch.length; ++place) {
      const auto n = static_cast<std::size_t>(row * batch.length + place);
      if (batch.segments[n] < 0 || session->tokenizer->is_special(batch.tokens[n])) continue;
      batch.token_weights[n] = 0.5F + static_cast<float>(n % 3);
      Batch shown = batch;
      shown.tokens[n] = session->tokenizer->mask_id();
      const auto w = static_cast<double>(batch.token_weights[n]);
      expected += w * surprise(*session, shown, row, place, batch.tokens[n]);
      weight += w;
      ++places;
    }
  }
  EXPECT_GT(*std::max_element(batch.segments.begin(), batch.segments.end()), 0);
  EXPECT_GT(places, 20);
  const Loss loss = session->objective->loss(batch, pass_of(*session));
  EXPECT_NEAR(loss.sum.item(), expected, 1e-12 * expected);
  EXPECT_DOUBLE_EQ(loss.weight, weight);
  const Loss held_out = session->objective->evaluate(batch, pass_of(*session, false));
  EXPECT_NEAR(held_out.sum.item(), expected, 1e-12 * expected);
  EXPECT_DOUBLE_EQ(held_out.weight, weight);
}

// Gradients of the loss of a batch, all parameters in a row.
std::vector<double> gradient_of(const Session& session, const Batch& batch, Loss* loss = nullptr) {
  auto& parameters = const_cast<Session&>(session).parameters;
  parameters.begin_gradients();
  Tape tape;
  const Loss own = session.objective->loss(batch, pass_of(session));
  if (loss != nullptr) *loss = own;
  tape.backward(own.sum);
  parameters.finish_gradients();
  return parameters.gradient().values();
}

// Rows that are equal but for their number draw different places: over one row for each place, the
// estimates average to L and its gradient.
TEST(Masked, SingleAveragedOverPlacesIsExact) {
  Tiny tiny(tiny_masked);
  auto exact = session_of(tiny, {"train.batch=1", "objective.estimator=exact"});
  auto single = session_of(tiny, {"train.batch=1", "objective.estimator=single"});
  Batch batch = exact->feed->batch(3);
  for (std::size_t n = 0; n < batch.token_weights.size(); ++n) {
    batch.token_weights[n] *= 1.0F + static_cast<float>(n % 2);
  }
  Loss whole;
  const std::vector<double> expected = gradient_of(*exact, batch, &whole);
  const auto pieces = mask_pieces(batch, *exact->tokenizer);
  const std::vector<std::int64_t> places = pieces.at(0).places;
  double sum = 0;
  std::vector<double> mean(expected.size(), 0);
  std::vector<std::int64_t> seen;
  for (std::int64_t row = 0; seen.size() < places.size(); ++row) {
    ASSERT_LT(row, 1000);
    batch.first_row = row;
    const auto drawn =
        hide_single(batch, pieces, {single->seed, true}, *single->tokenizer).places.at(0);
    if (std::count(seen.begin(), seen.end(), drawn) > 0) continue;
    seen.push_back(drawn);
    Loss loss;
    const std::vector<double> gradient = gradient_of(*single, batch, &loss);
    const double share = 1 / static_cast<double>(places.size());
    EXPECT_EQ(loss.weight, whole.weight);
    sum += share * loss.sum.item();
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += share * gradient[i];
  }
  EXPECT_NEAR(sum, whole.sum.item(), 1e-12 * sum);
  double error = 0, norm = 0;
  for (std::size_t i = 0; i < mean.size(); ++i) {
    error += std::pow(mean[i] - expected[i], 2);
    norm += std::pow(expected[i], 2);
  }
  EXPECT_LE(std::sqrt(error), 1e-12 * std::sqrt(norm));
}

// The chance of one text of n = 4 tokens in each order of unmasking, and what hangs on it.
class AllMasks {
 public:
  explicit AllMasks(const Session& session) : session_(session) {
    batch_.rows = 1;
    batch_.length = 4;
    batch_.tokens = {0, 0, 0, 0};
    batch_.targets.assign(4, -1);
    batch_.weights.assign(4, 0);
    batch_.token_weights.assign(4, 1);
    batch_.positions = {0, 1, 2, 3};
  }

  // -log p(token at `place` | what is not in the mask), for all masks that hold the place.
  void show(const Ints& text) {
    batch_.tokens = text;
    for (unsigned hidden = 1; hidden < 16; ++hidden) {
      Batch shown = batch_;
      for (std::size_t i = 0; i < 4; ++i) {
        if ((hidden >> i & 1) != 0) shown.tokens[i] = session_.tokenizer->mask_id();
      }
      for (unsigned i = 0; i < 4; ++i) {
        if ((hidden >> i & 1) == 0) continue;
        surprises_[hidden][i] = surprise(session_, shown, 0, i, text[i]);
      }
    }
  }

  // The mean of the estimator over all masks: of k places with the chance 1 / (n C(n, k)), each
  // with n / k terms.
  double mean() const {
    const double choose[] = {1, 4, 6, 4, 1};
    double sum = 0;
    for (unsigned hidden = 1; hidden < 16; ++hidden) {
      const auto k = static_cast<unsigned>(std::popcount(hidden));
      for (unsigned i = 0; i < 4; ++i) sum += surprises_[hidden][i] / (k * choose[k]);
    }
    return sum;
  }

  // -log of the chance of the text in each of the 24 orders.
  std::vector<double> orders() const {
    std::vector<unsigned> order = {0, 1, 2, 3};
    std::vector<double> all;
    do {
      unsigned hidden = 15;
      double sum = 0;
      for (const unsigned place : order) {
        sum += surprises_[hidden][place];
        hidden &= ~(1U << place);
      }
      all.push_back(sum);
    } while (std::next_permutation(order.begin(), order.end()));
    return all;
  }

  Batch batch_;

 private:
  const Session& session_;
  double surprises_[16][4] = {};
};

TEST(Masked, DiffusionIsTheMeanOverAllMasksAndABound) {
  Tiny tiny(tiny_letters);
  tiny.write("text.txt", "abaabbabab");
  const auto session = session_of(tiny, {});
  ASSERT_EQ(session->tokenizer->size(), 3);
  AllMasks all(*session);
  double total = 0;  // the chances of all texts under random orders
  for (unsigned code = 0; code < 81; ++code) {
    const auto digit = [&](unsigned power) { return static_cast<std::int32_t>(code / power % 3); };
    all.show({digit(1), digit(3), digit(9), digit(27)});
    double mean = 0, chance = 0;
    for (const double one : all.orders()) {
      mean += one / 24;
      chance += std::exp(-one) / 24;
    }
    EXPECT_NEAR(all.mean(), mean, 1e-12 * mean);
    EXPECT_GE(mean, -std::log(chance) - 1e-12);  // equal where the order says nothing
    total += chance;
  }
  EXPECT_NEAR(total, 1, 1e-12);  // the mask is a logit like another, so its texts count too

  // The objective itself, over many rows with one text: within 4.5 standard errors.
  all.show({0, 1, 1, 0});
  for (const char* ratio : {"uniform", "count"}) {
    const auto drawing = session_of(tiny, {cat("objective.ratio=", ratio)});
    const NoGradient silent;
    double sum = 0, squares = 0;
    constexpr int rows = 1500;
    for (int row = 0; row < rows; ++row) {
      all.batch_.first_row = row;
      const Loss loss = drawing->objective->loss(all.batch_, pass_of(*drawing));
      EXPECT_EQ(loss.weight, 4);
      sum += loss.sum.item();
      squares += std::pow(loss.sum.item(), 2);
    }
    const double error = std::sqrt((squares / rows - std::pow(sum / rows, 2)) / rows);
    EXPECT_NEAR(sum / rows, all.mean(), 4.5 * error) << ratio;
    EXPECT_LT(error, 0.06 * all.mean()) << ratio;
  }
}

// Counts the places that go through a model.
class Counting final : public Model {
 public:
  explicit Counting(const Model& inner) : inner_(inner) {}
  void build(Parameters&, const ModelFit&) override {}
  Tensor hidden(const ModelInput& input) const override {
    places += input.tokens.count();
    most = std::max(most, input.tokens.count());
    return inner_.hidden(input);
  }
  bool causal() const override { return false; }
  HeadLoss cross_entropy(const Tensor& hidden, const Tensor& targets, const Tensor& weights,
                         const HeadLossOptions& options) const override {
    asked += hidden.size(0);
    return inner_.cross_entropy(hidden, targets, weights, options);
  }

  mutable std::int64_t places = 0, most = 0, asked = 0;

 private:
  const Model& inner_;
};

// n places cost n passes of the row, and the head is computed at n places: no more; in passes of
// three rows no pass is larger, and the sum is the same.
TEST(Masked, ExactCostsOnePassAPlace) {
  Tiny tiny(tiny_masked);
  for (const int rows : {256, 3}) {
    const auto session = session_of(
        tiny, {"objective.estimator=exact", cat("objective.rows=", rows), "train.batch=4"});
    const Batch batch = session->feed->batch(0);
    std::int64_t places = 0;
    for (const MaskPiece& piece : mask_pieces(batch, *session->tokenizer)) {
      places += std::ssize(piece.places);
    }
    const Counting counting(*session->model);
    ObjectivePass pass = pass_of(*session, false);
    const double expected = session->objective->loss(batch, pass).sum.item();
    pass.model = &counting;
    const NoGradient silent;
    EXPECT_NEAR(session->objective->evaluate(batch, pass).sum.item(), expected, 1e-12 * expected);
    EXPECT_EQ(counting.places, places * batch.length);
    EXPECT_EQ(counting.asked, places);
    EXPECT_LE(counting.most, rows * batch.length);
  }
}

// A loss on responses alone asks for nothing else, and `end` asks for the end token too.
TEST(Masked, ResponsesAlone) {
  Tiny tiny(tiny_masked);
  for (const bool with_end : {false, true}) {
    const auto session =
        session_of(tiny, {"data.loss=responses", "objective.estimator=joint", "objective.share=1",
                          cat("objective.end=", with_end ? "true" : "false")});
    const Batch batch = session->feed->batch(0);
    double expected = 0;
    for (const std::int64_t example : batch.examples) {
      const Example one = session->dataset->example(Split::train, example);
      expected += static_cast<double>(std::ssize(one.tokens) - one.prompt) - (with_end ? 0 : 1);
    }
    EXPECT_EQ(session->objective->loss(batch, pass_of(*session)).weight, expected);
  }
}

// A batch of nothing but prompts costs nothing and pulls nowhere, whatever stands beside it.
TEST(Masked, NothingCounts) {
  Tiny tiny(tiny_masked);
  for (const char* estimator : {"exact", "single", "joint", "diffusion"}) {
    const auto session = session_of(tiny, {cat("objective.estimator=", estimator)});
    Batch batch = session->feed->batch(0);
    batch.token_weights.assign(batch.token_weights.size(), 0);
    Loss loss;
    for (const double value : gradient_of(*session, batch, &loss)) EXPECT_EQ(value, 0);
    EXPECT_EQ(loss.sum.item(), 0) << estimator;
    EXPECT_EQ(loss.weight, 0) << estimator;
    const Loss held_out = session->objective->evaluate(batch, pass_of(*session, false));
    EXPECT_EQ(held_out.sum.item(), 0) << estimator;
    EXPECT_EQ(held_out.weight, 0) << estimator;
  }
}

TEST(MaskedGradient, Exact) {
  testing::expect_exact_gradients(tiny_masked, {"objective.estimator=exact"});
}
TEST(MaskedGradient, Single) {
  testing::expect_exact_gradients(tiny_masked, {"objective.estimator=single"});
}
TEST(MaskedGradient, JointOfResponsesInPackedRows) {
  testing::expect_exact_gradients(tiny_masked,
                                  {"objective.share=0.5", "data.loss=responses", "feed.use=packed",
                                   "train.length=14", "objective.end=true"});
}
TEST(MaskedGradient, DiffusionAsBert) {
  testing::expect_exact_gradients(tiny_masked,
                                  {"objective.estimator=diffusion", "model.style=bert"});
}
TEST(MaskedGradient, PostNormRotaryOwnHead) {
  testing::expect_exact_gradients(
      tiny_masked, {"objective.estimator=exact", "model.placement=post", "model.positions=rotary",
                    "model.tied=false", "model.activation=swiglu", "model.head_bias=true"});
}
TEST(MaskedGradient, RmsNormTransformDropout) {
  testing::expect_exact_gradients(
      tiny_masked, {"objective.estimator=diffusion", "objective.ratio=count", "model.norm=rms",
                    "model.transform=true", "model.dropout=0.3", "model.bias=false"});
}

}  // namespace
}  // namespace lathe
