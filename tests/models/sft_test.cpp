// Objective "sft" against cross-entropies computed by hand from the model's logits, in f64.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::Tiny;

struct ByHand {
  double sum = 0, weight = 0, right = 0, counted = 0, whole = 0, rows = 0;
};

ByHand by_hand(const Session& session, const Batch& batch, double smoothing, double z) {
  const DeviceBatch device(batch, session.parameters);
  const std::vector<double> logits =
      linear(session.model->hidden(device.input), session.model->head().value).values();
  const auto vocabulary = static_cast<std::size_t>(session.tokenizer->size());
  ByHand hand;
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    bool any = false, all = true;
    for (std::int64_t t = 0; t < batch.length; ++t) {
      const auto n = static_cast<std::size_t>(row * batch.length + t);
      if (batch.targets[n] < 0) continue;
      const auto first = logits.begin() + static_cast<std::ptrdiff_t>(n * vocabulary);
      double exponentials = 0, mean = 0;
      for (std::size_t v = 0; v < vocabulary; ++v) {
        exponentials += std::exp(first[static_cast<std::ptrdiff_t>(v)]);
        mean += first[static_cast<std::ptrdiff_t>(v)] / static_cast<double>(vocabulary);
      }
      const double lse = std::log(exponentials);
      const double loss = (1 - smoothing) * (lse - first[batch.targets[n]]) +
                          smoothing * (lse - mean) + z * lse * lse;
      const auto weight = static_cast<double>(batch.weights[n]);
      hand.sum += weight * loss;
      hand.weight += weight;
      if (weight == 0) continue;
      const auto most = std::max_element(first, first + static_cast<std::ptrdiff_t>(vocabulary));
      any = true;
      all = all && most - first == batch.targets[n];
      hand.right += most - first == batch.targets[n];
      hand.counted += 1;
    }
    hand.rows += any;
    hand.whole += any && all;
  }
  return hand;
}

const std::vector<std::string> exact = {"backend.use=reference", "train.precision=f64",
                                        "train.batch=20", "evaluate.batch=20"};

std::unique_ptr<Session> session_of(Tiny& tiny, std::vector<std::string> more) {
  more.insert(more.end(), exact.begin(), exact.end());
  return tiny.session(more);
}

TEST(Sft, LossByHand) {
  Tiny tiny(testing::tiny_sums);
  const auto session =
      session_of(tiny, {"objective.smoothing=0.2", "objective.z_loss=0.01", "data.loss=all"});
  Batch batch = session->feed->batch(0);
  for (std::size_t n = 0; n < batch.weights.size(); ++n) {
    batch.weights[n] *= 0.25F * static_cast<float>(n % 5);  // of each place its own
  }
  const ObjectivePass pass{
      .model = session->model.get(), .parameters = &session->parameters, .options = {}};
  const ByHand hand = by_hand(*session, batch, 0.2, 0.01);
  const Loss loss = session->objective->loss(batch, pass);
  EXPECT_NEAR(loss.sum.item(), hand.sum, 1e-11 * hand.sum);
  EXPECT_DOUBLE_EQ(loss.weight, hand.weight);
  // Held-out loss is plain.
  const ByHand plain = by_hand(*session, batch, 0, 0);
  EXPECT_NEAR(session->objective->evaluate(batch, pass).sum.item(), plain.sum, 1e-11 * plain.sum);
  EXPECT_GT(std::abs(plain.sum - hand.sum), 0.01);
}

// "7+8=15": the tokens of the answer and the end count, each as the target of the place before it.
TEST(Sft, ResponsesAloneCount) {
  Tiny tiny(testing::tiny_sums);
  const auto session = session_of(tiny, {});
  const Batch batch = session->feed->batch(0);
  double expected = 0;
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    bool answer = false;
    for (std::int64_t t = 0; t < batch.length; ++t) {
      const auto n = static_cast<std::size_t>(row * batch.length + t);
      if (session->tokenizer->token(batch.tokens[n]) == "=") answer = true;
      const bool last =
          t + 1 == batch.length || (!batch.segments.empty() && batch.segments[n + 1] < 0);
      if (!batch.segments.empty() && batch.segments[n] < 0) answer = false;
      const bool counts = answer && !last;
      EXPECT_EQ(batch.weights[n], counts ? 1.0F : 0.0F) << row << " " << t;
      if (counts) {
        EXPECT_EQ(batch.targets[n], batch.tokens[n + 1]);
        expected += 1;
      }
    }
  }
  const ObjectivePass pass{
      .model = session->model.get(), .parameters = &session->parameters, .options = {}};
  EXPECT_EQ(session->objective->loss(batch, pass).weight, expected);
}

// What is learnt by heart is met exactly; before, hardly anything is.
TEST(Sft, AccuracyAndExactMatch) {
  Tiny tiny(testing::tiny_sums);
  const auto session = session_of(tiny, {"objective.exact_match=true", "optimizer.rate=0.02",
                                         "train.clip=0", "data.validation=40"});
  Trainer trainer(*session);
  bool partly = false;
  for (int round = 0; round < 5; ++round) {
    ByHand hand;
    for (std::int64_t number = 0; number < session->validation->batches(); ++number) {
      const ByHand part = by_hand(*session, session->validation->batch(number), 0, 0);
      hand.sum += part.sum;
      hand.weight += part.weight;
      hand.right += part.right;
      hand.counted += part.counted;
      hand.whole += part.whole;
      hand.rows += part.rows;
    }
    const Evaluation evaluation = trainer.evaluate();
    EXPECT_EQ(hand.rows, 40);
    EXPECT_NEAR(evaluation.value("loss"), hand.sum / hand.weight, 1e-11);
    EXPECT_DOUBLE_EQ(evaluation.value("accuracy"), hand.right / hand.counted);
    EXPECT_DOUBLE_EQ(evaluation.value("exact_match"), hand.whole / hand.rows);
    partly = partly || (hand.whole > 0 && hand.whole < hand.rows);
    for (int i = 0; i < 12; ++i) trainer.step();
  }
  EXPECT_TRUE(partly);
}

}  // namespace
}  // namespace lathe
