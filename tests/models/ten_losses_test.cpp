// Ten losses of a tiny GPT in training: recorded from the reference backend in f64, met by every
// backend and precision.
#include <gtest/gtest.h>
#include <lathe/base/json.h>

#include <cmath>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::Tiny;
using Values = std::vector<double>;

const char* const ten_steps = R"(
seed = 5
[data]
use = "sums"
digits = 2
train = 2000
validation = 100
loss = "all"
[tokenizer]
use = "chars"
specials = true
[feed]
use = "packed"
[model]
layers = 2
heads = 2
width = 32
[optimizer]
rate = 3e-3
decay = 0.1
[schedule]
use = "cosine"
warmup = 3
[train]
steps = 10
batch = 3
accumulation = 2
length = 40
)";

Values losses_of(Session& session) {
  Trainer trainer(session);
  Values losses;
  while (trainer.state.step < session.train.steps) losses.push_back(trainer.step().loss);
  return losses;
}

Values recorded() {
  return read_json(LATHE_FIXTURES "/gpt2/ten_losses.json").at("losses").get<Values>();
}

void expect_losses(const Values& losses, double relative) {
  const Values expected = recorded();
  ASSERT_EQ(losses.size(), expected.size());
  for (std::size_t i = 0; i < losses.size(); ++i) {
    EXPECT_NEAR(losses[i], expected[i], relative * expected[i]) << "step " << i;
  }
}

// On a failure that is meant, the new fixture is the printed list.
TEST(TenLosses, OfTheReferenceInF64) {
  Tiny tiny(ten_steps);
  const Values losses = losses_of(*tiny.session({"backend.use=reference", "train.precision=f64"}));
  EXPECT_LT(losses.back(), 0.95 * losses.front());
  expect_losses(losses, 1e-11);
  if (HasFailure()) std::printf("%s\n", Json(losses).dump().c_str());
}

TEST(TenLosses, OfTheReferenceInF32) {
  Tiny tiny(ten_steps);
  expect_losses(losses_of(*tiny.session({"backend.use=reference"})), 1e-5);
}

TEST(TenLosses, OfOnednnInF32) {
  Tiny tiny(ten_steps);
  expect_losses(losses_of(*tiny.session()), 1e-5);
}

// bf16 rounds with u = 2^-9. Between the tokens and a logit lie R = 7 roundings a layer (norm, qkv,
// attention, projection, norm, up, down) and 3 more; independent, they change a logit by about
// sqrt(R) u times its size, and a row's loss by at most twice that. Over the N rows of a step these
// errors average, to sqrt(N) less. The gradient errs by the same share sqrt(R) u, and so does what
// has been learnt so far, twice for the way there and back:
//   |difference at step k| <= 2 sqrt(R) u (max |logit| / sqrt(N) + (loss_0 - loss_k)).
TEST(TenLosses, OfOnednnInBf16) {
  Tiny tiny(ten_steps);
  const auto session = tiny.session({"train.precision=bf16"});
  const Values losses = losses_of(*session);
  const Values expected = recorded();
  const DeviceBatch device(session->feed->batch(0), session->parameters);
  const Tensor logits = linear(session->model->hidden(device.input), session->model->head().value);
  double most = 0;
  for (const double value : logits.values()) most = std::max(most, std::abs(value));
  const double share = 2 * std::sqrt(7.0 * 2 + 3) * std::ldexp(1.0, -9);
  const double rows = 2 * 3 * 40;
  for (std::size_t i = 0; i < 10; ++i) {
    const double learnt = std::max(0.0, expected[0] - expected[i]);
    EXPECT_NEAR(losses[i], expected[i], share * (most / std::sqrt(rows) + learnt)) << "step " << i;
  }
  EXPECT_NE(losses[0], losses_of(*tiny.session())[0]);  // it is bf16 that was measured
}

}  // namespace
}  // namespace lathe
