// The dialogue: what a perfect manager earns, what each act does, and what noise costs.
#include <numeric>

#include "support.h"

namespace lathe {
namespace {
using testing::Opened;

// With the options' defaults: 3 slots, 2 requests; actions 0-2 request, 3-5 confirm, 6 offer, 7-8
// answer, 9 close. Places of the observation:
constexpr std::size_t filled = 0, sure = 3, act = 6, asked = 12, fitting = 14, offered = 18,
                      turns = 19;
constexpr std::size_t inform = act, ask = act + 1, affirm = act + 2, deny = act + 3,
                      content = act + 4, unclear = act + 5;
constexpr const char* silent = "noise = 0.0\nlost = 0.0\n";

// Asks for what is not known, confirms it if told to, offers, answers, closes. The return.
float managed(Opened& talk, std::uint64_t episode, bool confirms) {
  talk.reset(episode);
  float sum = 0;
  const std::vector<float>& seen = talk.now.numbers;
  for (std::int32_t slot = 0; slot < 3; ++slot) {
    const auto s = static_cast<std::size_t>(slot);
    while (seen[filled + s] == 0) sum += talk.step(slot);
    while (confirms && seen[sure + s] == 0) sum += talk.step(3 + slot);
  }
  do {
    sum += talk.step(6);
  } while (seen[ask] == 0 && talk.outcomes.terminated[0] == 0);
  while (talk.outcomes.terminated[0] == 0) {
    sum += talk.step(seen[asked] == 1 ? 7 : seen[asked + 1] == 1 ? 8 : 9);
  }
  return sum;
}

TEST(Dialogue, APerfectManagerFulfilsEveryGoal) {
  Opened talk("dialogue", silent);
  EXPECT_EQ(talk.is->observations().size, 20);
  EXPECT_EQ(talk.is->actions().size, 10);
  for (std::uint64_t episode = 0; episode < 300; ++episode) {
    talk.reset(episode);
    const float known = std::accumulate(&talk.now.numbers[filled], &talk.now.numbers[sure], 0.0f);
    EXPECT_GE(known, 1);
    EXPECT_EQ(talk.now.numbers[inform], 1);
    const float sum = managed(talk, episode, false);
    // Missing slots, the offer, one or two answers and the close cost one turn each.
    const float one = 20 - (3 - known) - 1 - 1 - 1;
    EXPECT_TRUE(sum == one || sum == one - 1) << "episode " << episode << ": " << sum;
  }
}

TEST(Dialogue, ActsDoWhatTheirNamesSay) {
  Opened talk("dialogue", silent);
  const std::vector<float>& seen = talk.now.numbers;
  talk.reset(3);
  EXPECT_EQ(talk.is->action_name(1), "request area");
  EXPECT_EQ(talk.step(1), -1);
  EXPECT_EQ(seen[filled + 1], 1);
  EXPECT_EQ(seen[sure + 1], 0);
  EXPECT_EQ(seen[inform], 1);
  EXPECT_FLOAT_EQ(seen[turns], 1.0f / 30);
  EXPECT_EQ(talk.is->action_name(4), "confirm area");
  talk.step(4);
  EXPECT_EQ(seen[affirm], 1);
  EXPECT_EQ(seen[sure + 1], 1);
  talk.step(7);  // an answer before any offer tells him nothing
  EXPECT_EQ(seen[offered], 0);
  talk.step(0);
  talk.step(2);
  talk.step(6);
  EXPECT_EQ(seen[offered], 1);
  EXPECT_EQ(seen[ask], 1);
  EXPECT_EQ(seen[asked] + seen[asked + 1], 1);
  EXPECT_EQ(seen[fitting], 0);  // at least one entry fits
  while (seen[content] == 0) talk.step(seen[asked] == 1 ? 7 : 8);
  EXPECT_EQ(seen[asked] + seen[asked + 1], 0);
  EXPECT_EQ(talk.is->action_name(9), "close");
  EXPECT_EQ(talk.step(9), 19);
  EXPECT_EQ(talk.outcomes.terminated[0], 1);
}

TEST(Dialogue, FailureIsPaidFor) {
  Opened talk("dialogue", silent);
  talk.reset();
  EXPECT_EQ(talk.step(9), -11);  // nothing was offered
  EXPECT_EQ(talk.outcomes.terminated[0], 1);
  // Offered but nothing answered.
  talk.reset(1);
  for (const std::int32_t action : {0, 1, 2, 6}) talk.step(action);
  EXPECT_EQ(talk.step(9), -11);
  // Out of patience at turn 30.
  talk.reset(2);
  for (int turn = 1; turn < 30; ++turn) {
    EXPECT_EQ(talk.step(0), -1);
    EXPECT_EQ(talk.outcomes.terminated[0], 0);
  }
  EXPECT_EQ(talk.step(0), -11);
  EXPECT_EQ(talk.outcomes.terminated[0], 1);
  EXPECT_EQ(talk.outcomes.truncated[0], 0);
}

// A value is misheard as often as `noise` says; the user denies it when it is read back.
TEST(Dialogue, ValuesAreMisheard) {
  Opened talk("dialogue", "noise = 0.3\nlost = 0.0\nconstrained = 1.0\ntalkative = 0.0");
  const std::vector<float>& seen = talk.now.numbers;
  int denied = 0;
  constexpr int episodes = 4000;
  for (int episode = 0; episode < episodes; ++episode) {
    talk.reset(static_cast<std::uint64_t>(episode));
    talk.step(0);
    talk.step(3);
    denied += seen[deny] == 1 ? 1 : 0;
    EXPECT_EQ(seen[deny] + seen[affirm], 1);
    EXPECT_EQ(seen[sure], seen[affirm]);
  }
  EXPECT_NEAR(denied, 0.3 * episodes, 5 * 29);  // sd = sqrt(4000 .3 .7) = 29
}

TEST(Dialogue, WhatIsLostChangesNothing) {
  Opened talk("dialogue", "lost = 1.0");
  const std::vector<float>& seen = talk.now.numbers;
  talk.reset();
  for (const std::int32_t action : {0, 1, 5}) {
    EXPECT_EQ(seen[unclear], 1);
    EXPECT_EQ(seen[filled] + seen[filled + 1] + seen[filled + 2], 0);
    talk.step(action);
  }
  EXPECT_EQ(seen[fitting + 3], 1);  // all 30 entries fit
}

// Noise makes a manager fail who believes all he hears; confirming pays for itself.
TEST(Dialogue, ConfirmingPaysWhereThereIsNoise) {
  const auto mean = [](const std::string& options, bool confirms) {
    Opened talk("dialogue", options + "lost = 0.0\nconstrained = 1.0\nvalues = 2\nentries = 100");
    float sum = 0;
    for (std::uint64_t episode = 0; episode < 500; ++episode)
      sum += managed(talk, episode, confirms);
    return sum / 500;
  };
  EXPECT_GT(mean("noise = 0.0\n", false), mean("noise = 0.0\n", true) + 2.5f);
  EXPECT_LT(mean("noise = 0.4\n", false), mean("noise = 0.0\n", false) - 0.5f);
}

TEST(Dialogue, NamesOfSlotsMakeItsActions) {
  Opened talk("dialogue", "slots = ['city', 'date', 'time', 'seats']\nrequests = ['price']");
  EXPECT_EQ(talk.is->actions().size, 4 + 4 + 1 + 1 + 1);
  EXPECT_EQ(talk.is->observations().size, 8 + 6 + 1 + 6);
  EXPECT_EQ(talk.is->action_name(3), "request seats");
  EXPECT_EQ(talk.is->action_name(8), "offer");
  EXPECT_EQ(talk.is->action_name(9), "answer price");
  EXPECT_EQ(talk.is->action_name(10), "close");
}

}  // namespace
}  // namespace lathe
