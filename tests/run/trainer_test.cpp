// One step after the other: optimizers, decay, clipping and averaging against their formulas;
// accumulation; steps that must not be taken; memory.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::error_of;
using testing::Tiny;
using Values = std::vector<double>;

// What PyTorch's optimizers do (torch.optim.AdamW, SGD; Lion: Chen et al., 2023), in double.
struct ByHand {
  std::string use;
  double rate, decay, beta1, beta2, epsilon;
  bool nesterov = false;

  void step(double& p, double g, double& m, double& v, double now, bool decays, double t) const {
    const double shrink = decays ? decay : 0;
    if (use == "adamw") {
      p -= now * shrink * p;
      m = beta1 * m + (1 - beta1) * g;
      v = beta2 * v + (1 - beta2) * g * g;
      const double first = m / (1 - std::pow(beta1, t));
      const double second = v / (1 - std::pow(beta2, t));
      p -= now * first / (std::sqrt(second) + epsilon);
    } else if (use == "sgd") {
      g += shrink * p;
      m = t == 1 ? g : beta1 * m + g;
      p -= now * (nesterov ? g + beta1 * m : m);
    } else {
      const double way = beta1 * m + (1 - beta1) * g;
      p -= now * ((way > 0) - (way < 0) + shrink * p);
      m = beta2 * m + (1 - beta2) * g;
    }
  }
};

double weight_of_step(Session& session, std::int64_t step) {
  double weight = 0;
  for (std::int64_t micro = 0; micro < session.train.accumulation; ++micro) {
    const Batch batch = session.feed->batch(step * session.train.accumulation + micro);
    weight += std::accumulate(batch.weights.begin(), batch.weights.end(), 0.0);
  }
  return weight;
}

// Four steps of the trainer beside the formulas, weight by weight.
void expect_formula(const ByHand& hand, const std::vector<std::string>& options, double clip) {
  Tiny tiny(testing::tiny_sums);
  std::vector<std::string> changes = {"backend.use=reference",
                                      "train.precision=f64",
                                      "train.accumulation=3",
                                      "train.ema=0.75",
                                      "train.steps=10",
                                      "schedule.use=linear",
                                      "schedule.warmup=2",
                                      cat("train.clip=", clip),
                                      cat("optimizer.rate=", hand.rate),
                                      cat("optimizer.decay=", hand.decay),
                                      "optimizer.use=" + hand.use};
  changes.insert(changes.end(), options.begin(), options.end());
  const auto session = tiny.session(changes);
  Trainer trainer(*session);
  const Parameters& parameters = session->parameters;
  Values weights = parameters.master().values();
  Values average = weights, first(weights.size()), second(weights.size());
  const double factors[] = {1.0 / 3, 2.0 / 3, 1.0, 1.0 - 1.0 / 8};
  bool clipped = false;
  for (int step = 0; step < 4; ++step) {
    const double weight = weight_of_step(*session, step);
    const StepReport report = trainer.step();
    EXPECT_NEAR(report.rate, hand.rate * factors[step], 1e-15);
    const Values gradient = parameters.gradient().values();
    double norm = 0;
    for (const double g : gradient) norm += g * g;
    norm = std::sqrt(norm) / weight;
    EXPECT_NEAR(report.gradient_norm, norm, 1e-12 * norm);
    clipped = clipped || norm > clip;
    const double scale = norm > clip ? clip / norm / weight : 1 / weight;
    for (const Parameter& parameter : parameters.all()) {
      const bool decays = parameter.shape.rank() == 2;  // matrices, and they alone
      for (std::int64_t i = 0; i < parameter.shape.count(); ++i) {
        const auto at = static_cast<std::size_t>(parameter.offset + i);
        hand.step(weights[at], scale * gradient[at], first[at], second[at], report.rate, decays,
                  step + 1);
        average[at] = 0.75 * average[at] + 0.25 * weights[at];
      }
    }
    const Values now = parameters.master().values();
    const Values averaged = trainer.average.values();
    for (std::size_t i = 0; i < now.size(); ++i) {
      ASSERT_NEAR(now[i], weights[i], 1e-12) << step << " " << i;
      ASSERT_NEAR(averaged[i], average[i], 1e-12) << step << " " << i;
    }
  }
  EXPECT_TRUE(clipped);
}

TEST(Trainer, TakesStepsOfAdamW) {
  expect_formula({"adamw", 0.01, 0.1, 0.8, 0.95, 1e-6},
                 {"optimizer.beta1=0.8", "optimizer.beta2=0.95", "optimizer.epsilon=1e-6"}, 0.5);
}
TEST(Trainer, TakesStepsOfSgd) {
  expect_formula({"sgd", 0.1, 0.1, 0, 0, 0}, {}, 0.5);
  expect_formula({"sgd", 0.1, 0.1, 0.9, 0, 0}, {"optimizer.momentum=0.9"}, 0.5);
  expect_formula({"sgd", 0.1, 0.1, 0.9, 0, 0, true},
                 {"optimizer.momentum=0.9", "optimizer.nesterov=true"}, 0.5);
}
TEST(Trainer, TakesStepsOfLion) {
  expect_formula({"lion", 1e-3, 0.1, 0.9, 0.98, 0}, {"optimizer.beta2=0.98"}, 0.5);
}

// ---- Accumulation

const char* const text_windows = R"(
[data]
use = "text"
file = "text.txt"
[feed]
use = "windows"
[model]
layers = 2
heads = 2
width = 32
[train]
steps = 50
length = 24
)";

std::string some_text() {
  const RandomStream random(3, "text");
  std::string text;
  for (std::uint64_t i = 0; text.size() < 6000; ++i) {
    for (std::uint64_t n = 1 + random.below(7, 2 * i); n > 0; --n) {
      text += static_cast<char>('a' + (random.below(9, 2 * i + 1) * n) % 17);
    }
    text += ' ';
  }
  return text;
}

Values losses_of(Session& session) {
  Trainer trainer(session);
  Values losses;
  while (trainer.state.step < session.train.steps) losses.push_back(trainer.step().loss);
  return losses;
}

// Eight rows at once, and one by one: the same sum in another order. A systematic difference, as of
// a wrong division, would show in the mean far below the rounding of one loss.
void expect_accumulation_changes_nothing(Tiny& tiny, const std::vector<std::string>& options,
                                         double parameter_limit) {
  std::vector<std::string> whole = options, pieces = options;
  for (const char* change : {"train.batch=8", "train.accumulation=1"}) whole.emplace_back(change);
  for (const char* change : {"train.batch=1", "train.accumulation=8"}) pieces.emplace_back(change);
  const auto one = tiny.session(whole);
  const auto other = tiny.session(pieces);
  const Values a = losses_of(*one), b = losses_of(*other);
  ASSERT_EQ(a.size(), 50u);
  EXPECT_LT(a.back(), 0.9 * a.front());  // it learns, so the comparison means something
  double drift = 0;
  for (std::size_t i = 0; i < a.size(); ++i) drift += (a[i] - b[i]) / 50;
  EXPECT_LE(std::abs(drift), 1e-7);
  const Values left = one->parameters.master().values(),
               right = other->parameters.master().values();
  double error = 0, norm = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    error += std::pow(left[i] - right[i], 2);
    norm += std::pow(left[i], 2);
  }
  EXPECT_LE(std::sqrt(error / norm), parameter_limit);
}

// The gradient of the keys' bias is 0 but for rounding, and AdamW makes full steps of rounding: so
// the weights are compared after SGD, and after AdamW only that they stay within such steps.
TEST(Accumulation, OfWindows) {
  Tiny tiny(text_windows);
  tiny.write("text.txt", some_text());
  expect_accumulation_changes_nothing(tiny, {"optimizer.rate=3e-3"}, 1e-3);
  expect_accumulation_changes_nothing(
      tiny, {"optimizer.use=sgd", "optimizer.rate=0.3", "optimizer.momentum=0.9"}, 2e-6);
}

// Rows of different lengths weigh differently: a mean of means would not do.
TEST(Accumulation, OfRows) {
  Tiny tiny(testing::tiny_sums);
  std::vector<std::string> options = {"train.steps=50", "model.deviation=0.1", "data.loss=all"};
  options.emplace_back("optimizer.rate=3e-3");
  expect_accumulation_changes_nothing(tiny, options, 1e-3);
  options.back() = "optimizer.rate=0.1";
  options.emplace_back("optimizer.use=sgd");
  expect_accumulation_changes_nothing(tiny, options, 2e-6);
}

// ---- Steps that must not be taken

TEST(Trainer, RefusesWhatIsNotFinite) {
  for (const char* backend : {"reference", "onednn"}) {
    Tiny tiny(testing::tiny_sums);
    const auto session = tiny.session({cat("backend.use=", backend), "optimizer.use=sgd",
                                       "optimizer.rate=1e30", "train.clip=0", "train.ema=0.5"});
    Trainer trainer(*session);
    trainer.step();
    const std::string before = testing::hash_of(trainer, *session);
    const std::string message = error_of([&] { trainer.step(); });
    EXPECT_NE(message.find("step 1: the loss is"), std::string::npos) << message;
    EXPECT_NE(message.find("the step was not taken"), std::string::npos) << message;
    EXPECT_EQ(trainer.state.step, 1);
    EXPECT_EQ(testing::hash_of(trainer, *session), before);
  }
}

TEST(Trainer, RefusesAnEvaluationThatIsNotFinite) {
  Tiny tiny(testing::tiny_sums);
  const auto session = tiny.session({"optimizer.use=sgd", "optimizer.rate=1e37", "train.clip=0"});
  Trainer trainer(*session);
  trainer.step();
  const std::string message = error_of([&] { trainer.evaluate(); });
  EXPECT_NE(message.find("step 1: the loss of the evaluation is"), std::string::npos) << message;
}

TEST(Trainer, EvaluatesTheAverage) {
  Tiny tiny(testing::tiny_sums);
  const auto session = tiny.session({"train.ema=0.9", "optimizer.rate=0.01"});
  Trainer trainer(*session);
  for (int i = 0; i < 3; ++i) trainer.step();
  const std::string before = testing::hash_of(trainer, *session);
  const double loss = trainer.evaluate().value("loss");
  EXPECT_EQ(testing::hash_of(trainer, *session), before);
  session->backend->copy(trainer.average.view(), session->parameters.master().view());
  const Tensor average = trainer.average;
  trainer.average = Tensor();
  EXPECT_EQ(trainer.evaluate().value("loss"), loss);
}

// With one example in the data, micro-batches differ by what is dropped and by nothing else.
TEST(Trainer, EveryMicroBatchDropsItsOwn) {
  Tiny tiny(testing::tiny_sums);
  const auto first_loss = [&](const char* accumulation, const char* dropout) {
    const auto session = tiny.session({"data.train=1", "train.batch=1", "backend.use=reference",
                                       "train.precision=f64", accumulation, dropout});
    return Trainer(*session).step().loss;
  };
  const double whole = first_loss("train.accumulation=1", "model.dropout=0");
  EXPECT_NEAR(first_loss("train.accumulation=2", "model.dropout=0"), whole, 1e-12);
  const double dropped = first_loss("train.accumulation=1", "model.dropout=0.3");
  EXPECT_GT(std::abs(dropped - whole), 1e-3);
  EXPECT_GT(std::abs(first_loss("train.accumulation=2", "model.dropout=0.3") - dropped), 1e-3);
}

TEST(Trainer, EvaluationDropsNothing) {
  Tiny tiny(testing::tiny_sums);
  const auto dropping = tiny.session({"model.dropout=0.3"});
  const auto whole = tiny.session();
  EXPECT_EQ(Trainer(*dropping).evaluate().value("loss"), Trainer(*whole).evaluate().value("loss"));
}

TEST(Trainer, TheFirstLossOfAnEmptyMindIsUniform) {
  Tiny tiny(testing::tiny_sums);
  const auto session =
      tiny.session({"model.deviation=0", "train.precision=f64", "backend.use=reference"});
  Trainer trainer(*session);
  EXPECT_NEAR(trainer.step().loss, std::log(static_cast<double>(session->tokenizer->size())),
              1e-12);
}

// ---- Memory

TEST(Trainer, AsksTheSystemForNoMemoryOnceWarm) {
  for (const char* options : {"model.positions=learned", "model.dropout=0.1"}) {
    Tiny tiny(text_windows);
    tiny.write("text.txt", some_text());
    const auto session =
        tiny.session({options, "train.batch=5", "train.accumulation=2", "train.ema=0.9"});
    Trainer trainer(*session);
    for (int i = 0; i < 2; ++i) trainer.step();
    trainer.evaluate();
    trainer.evaluate();
    trainer.step();
    const std::uint64_t before = trainer.arena().system_allocations();
    EXPECT_GT(before, 0u);
    for (int i = 0; i < 5; ++i) trainer.step();
    EXPECT_EQ(trainer.arena().system_allocations(), before);
    const auto slab = static_cast<double>(trainer.arena().slab_bytes());
    EXPECT_GT(slab, 1e5);
    EXPECT_LE(slab, 1.2 * static_cast<double>(trainer.arena().planned_bytes()));
  }
}

}  // namespace
}  // namespace lathe
