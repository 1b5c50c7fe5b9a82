// Training with the objective "masked": to the floor that the data set, and to the same bits.
#include <gtest/gtest.h>
#include <lathe/io/checkpoint.h>
#include <lathe/learn/masking.h>
#include <lathe/run/state_files.h>

#include <array>
#include <cmath>

#include "run/tiny_session.h"

namespace lathe {
namespace {
using testing::Tiny;

// ---- A Markov chain, whose p(y_j | the rest) hangs on the two neighbours alone

constexpr std::size_t letters = 3, length = 10;
constexpr std::array<std::array<double, letters>, letters> chain = {
    {{0.8, 0.15, 0.05}, {0.1, 0.2, 0.7}, {0.5, 0.4, 0.1}}};

// pi P = pi, by repeated steps.
std::array<double, letters> stationary() {
  std::array<double, letters> now = {1, 0, 0};
  for (int i = 0; i < 200; ++i) {
    std::array<double, letters> next = {};
    for (std::size_t a = 0; a < letters; ++a) {
      for (std::size_t b = 0; b < letters; ++b) next[b] += now[a] * chain[a][b];
    }
    now = next;
  }
  return now;
}

std::string written(std::size_t count) {
  const RandomStream random(1, "chain");
  std::string text;
  std::size_t state = 0;
  for (std::size_t i = 0; i < count; ++i) {
    double left = random.uniform53(i);
    std::size_t next = 0;
    while (next + 1 < letters && left >= chain[state][next]) left -= chain[state][next++];
    state = next;
    text += static_cast<char>('a' + state);
  }
  return text;
}

// -log p(y_j | y_1..j-1, y_j+1..T) of a window: p is in proportion to P(y_j-1, y_j) P(y_j, y_j+1),
// with pi(y_j) in place of the first factor at the begin.
double truly(std::span<const std::int32_t> window, std::size_t j) {
  static const std::array<double, letters> pi = stationary();
  std::array<double, letters> chance{};
  double sum = 0;
  for (std::size_t y = 0; y < letters; ++y) {
    chance[y] = j == 0 ? pi[y] : chain[static_cast<std::size_t>(window[j - 1])][y];
    if (j + 1 < window.size()) chance[y] *= chain[y][static_cast<std::size_t>(window[j + 1])];
    sum += chance[y];
  }
  return -std::log(chance[static_cast<std::size_t>(window[j])] / sum);
}

const char* const markov = R"(
seed = 2
[data]
use = "text"
file = "chain.txt"
validation = 0.1
[tokenizer]
use = "chars"
mask = true
[feed]
use = "windows"
[model]
use = "encoder"
layers = 2
heads = 2
width = 32
[objective]
use = "masked"
share = 0.25
masked = 1.0
random = 0.0
[optimizer]
rate = 3e-3
[schedule]
use = "cosine"
warmup = 20
[train]
steps = 1200
batch = 64
threads = 1
length = 10
)";

// On 6000 held-out places: each difference to the true conditional has mean KL >= 0, so the mean of
// them is not below 0 by more than chance, and training brings it within 1 % of the floor.
TEST(MaskedTraining, MeetsTheFloorOfAMarkovChain) {
  Tiny tiny(markov);
  tiny.write("chain.txt", written(60000));
  const auto session = tiny.session();
  Trainer trainer(*session);
  while (trainer.state.step < session->train.steps) trainer.step();

  const NoGradient silent;
  double floor = 0, difference = 0, squares = 0, places = 0, total = 0;
  for (std::int64_t number = 0; number < 600 / 64; ++number) {
    const Batch batch = session->validation->batch(number);
    const std::vector<MaskPiece> pieces = mask_pieces(batch, *session->tokenizer);
    const MaskedBatch masked = hide_each(batch, pieces, mask_copies(pieces), *session->tokenizer);
    const DeviceBatch device(masked.seen, session->parameters);
    const auto count = static_cast<std::int64_t>(masked.places.size());
    const auto put = [&](const std::vector<std::int32_t>& values) {
      return Tensor::of<std::int32_t>(session->backend, {count}, values);
    };
    const Tensor asked = gather(session->model->hidden(device.input), put(masked.places));
    const std::vector<double> scores =
        session->model->score(asked, put(masked.targets), 1).log_probability.values();
    for (std::size_t m = 0; m < scores.size(); ++m) {  // one copy a place: row by row
      const std::size_t row = m / length;
      const double truth = truly(std::span(batch.tokens).subspan(row * length, length), m % length);
      floor += truth;
      total -= scores[m];
      difference += -scores[m] - truth;
      squares += std::pow(-scores[m] - truth, 2);
      places += 1;
    }
  }
  const double error = std::sqrt(squares) / places;  // of the mean difference
  EXPECT_EQ(places, 9 * 64 * 10);
  EXPECT_GE(difference / places, -3.5 * error);
  EXPECT_LE(total, 1.01 * floor) << total / places << " " << floor / places;
}

// ---- Bits

const char* const odd = R"(
[data]
use = "sums"
digits = 3
train = 200
validation = 0
loss = "all"
[tokenizer]
use = "chars"
specials = true
mask = true
[feed]
use = "packed"
[model]
use = "encoder"
style = "bert"
layers = 2
heads = 3
width = 33
hidden = 70
dropout = 0.1
[objective]
use = "masked"
[train]
steps = 20
batch = 3
length = 31
accumulation = 2
clip = 0.5
ema = 0.9
)";

TEST(MaskedBits, SameAtAnyNumberOfThreads) {
  Tiny tiny(odd);
  for (const char* estimator : {"exact", "single", "joint", "diffusion"}) {
    std::string one;
    for (const int threads : {1, 2, 4}) {
      const auto session = tiny.session({cat("objective.estimator=", estimator),
                                         cat("train.threads=", threads), "train.steps=6"});
      Trainer trainer(*session);
      while (trainer.state.step < session->train.steps) trainer.step();
      const std::string hash = testing::hash_of(trainer, *session);
      if (one.empty()) one = hash;
      EXPECT_EQ(hash, one) << estimator << ", " << threads << " threads";
    }
  }
}

// After every step of a run: its checkpoint, read by a new session, ends with the same bits.
TEST(MaskedBits, SameFromEveryStep) {
  Tiny tiny(odd);
  constexpr std::int64_t steps = 6;
  for (const std::vector<std::string>& how :
       {std::vector<std::string>{"objective.estimator=exact"},
        {"objective.estimator=single"},
        {"objective.estimator=diffusion", "objective.ratio=count"},
        {"objective.estimator=joint", "objective.unit=span"}}) {
    Checkpoints checkpoints(real_files(), tiny / how[0], steps);
    const auto whole = tiny.session(how);
    Trainer undisturbed(*whole);
    while (undisturbed.state.step < steps) {
      checkpoints.save(undisturbed.state.step, StateFiles(undisturbed, *whole).files());
      undisturbed.step();
    }
    const std::string expected = testing::hash_of(undisturbed, *whole);
    for (std::int64_t step = 0; step < steps; ++step) {
      const auto session = tiny.session(how);
      Trainer after(*session);
      load_state(checkpoints.path_of(step), after, *session);
      EXPECT_EQ(after.state.step, step);
      while (after.state.step < steps) after.step();
      EXPECT_EQ(testing::hash_of(after, *session), expected) << how[0] << ", step " << step;
    }
  }
}

}  // namespace
}  // namespace lathe
