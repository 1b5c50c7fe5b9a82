// The same bits at any number of threads: weights, moments and averages after 100 steps.
#include <gtest/gtest.h>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::Tiny;

// Odd sizes, rows of several pieces, accumulation, dropout, clipping and averaging at once.
const char* const odd = R"(
[data]
use = "sums"
digits = 3
train = 200
validation = 0
[tokenizer]
use = "chars"
specials = true
[feed]
use = "packed"
[model]
layers = 2
heads = 3
width = 66
hidden = 131
dropout = 0.1
[schedule]
use = "cosine"
warmup = 5
[train]
steps = 100
batch = 3
length = 31
accumulation = 2
clip = 0.5
ema = 0.9
)";

std::string hash_after(Tiny& tiny, std::vector<std::string> changes, int threads) {
  changes.push_back(cat("train.threads=", threads));
  const auto session = tiny.session(changes);
  Trainer trainer(*session);
  while (trainer.state.step < session->train.steps) trainer.step();
  return testing::hash_of(trainer, *session);
}

void expect_same_bits(const std::vector<std::string>& changes) {
  Tiny tiny(odd);
  const std::string one = hash_after(tiny, changes, 1);
  for (const int threads : {2, 4, 8}) {
    EXPECT_EQ(hash_after(tiny, changes, threads), one) << threads << " threads";
  }
}

TEST(SameBits, AdamW) { expect_same_bits({"optimizer.decay=0.1"}); }
TEST(SameBits, AdamWInBf16) {
  expect_same_bits({"optimizer.decay=0.1", "train.precision=bf16", "train.steps=25"});
}
TEST(SameBits, Sgd) {
  expect_same_bits({"train.steps=25", "optimizer.use=sgd", "optimizer.momentum=0.9",
                    "optimizer.nesterov=true", "model.positions=rotary", "model.key_heads=1",
                    "model.activation=swiglu"});
}
TEST(SameBits, LionInBf16) {
  expect_same_bits({"optimizer.use=lion", "train.precision=bf16", "model.norm=rms",
                    "model.positions=rotary", "model.tied=false", "objective.z_loss=1e-3"});
}

TEST(SameBits, ButOtherSeedsDiffer) {
  Tiny tiny(odd);
  const std::vector<std::string> few = {"train.steps=2"};
  EXPECT_EQ(hash_after(tiny, few, 1), hash_after(tiny, few, 1));
  EXPECT_NE(hash_after(tiny, few, 1), hash_after(tiny, {"train.steps=2", "seed=1"}, 1));
}

}  // namespace
}  // namespace lathe
