// The replay: drawn as often as priorities say, corrected, kept exactly; transitions of n steps
// against sums by hand; texts whole.
#include <gtest/gtest.h>
#include <lathe/data/packing.h>
#include <lathe/learn/replay_memory.h>
#include <lathe/learn/text_records.h>
#include <lathe/learn/transitions.h>

#include <cmath>

#include "base/temporary_folder.h"

namespace lathe {
namespace {
using Floats = std::vector<float>;
using Ints = std::vector<std::int32_t>;

TEST(SumTree, FindsWhereTheRunningSumPasses) {
  SumTree tree(5);
  const double weights[] = {2, 0, 3, 0.5, 0};
  for (std::int64_t i = 0; i < 5; ++i) tree.set(i, weights[i]);
  EXPECT_EQ(tree.total(), 5.5);
  EXPECT_EQ(tree.find(0), 0);
  EXPECT_EQ(tree.find(1.999), 0);
  EXPECT_EQ(tree.find(2), 2) << "the second has no weight";
  EXPECT_EQ(tree.find(4.999), 2);
  EXPECT_EQ(tree.find(5), 3);
  EXPECT_EQ(tree.find(5.5), 3) << "past the end: the last with weight";
  tree.set(2, 0);
  EXPECT_EQ(tree.total(), 2.5);
  EXPECT_EQ(tree.find(2.2), 3);
}

ReplayMemory memory_of(std::int64_t capacity, double exponent, int records,
                       const std::string& folder = "") {
  ReplayMemory memory({.capacity = capacity,
                       .record_bytes = 4,
                       .folder = folder,
                       .exponent = exponent,
                       .offset = 0.5});
  for (int i = 0; i < records; ++i) memory.add(std::as_bytes(std::span(&i, 1)));
  return memory;
}
int value_at(const ReplayMemory& memory, std::int64_t place) {
  int value = 0;
  std::memcpy(&value, memory.record(place).data(), sizeof value);
  return value;
}

TEST(ReplayMemory, OldestGoFirst) {
  const ReplayMemory memory = memory_of(3, 0, 5);
  EXPECT_EQ(memory.size(), 3);
  EXPECT_EQ(memory.added(), 5);
  EXPECT_EQ((Ints{value_at(memory, 0), value_at(memory, 1), value_at(memory, 2)}), (Ints{3, 4, 2}));
}

TEST(ReplayMemory, DrawnEvenlyWithoutPriorities) {
  const ReplayMemory memory = memory_of(4, 0, 4);
  std::vector<double> counts(4);
  constexpr int draws = 4000;
  for (int i = 0; i < draws; ++i) {
    const auto draw = memory.draw(2, 1, RandomStream(1, "test", static_cast<std::uint64_t>(i)));
    EXPECT_TRUE(draw.weights.empty());
    for (const std::int64_t place : draw.places) counts[static_cast<std::size_t>(place)] += 1;
  }
  for (const double count : counts) EXPECT_NEAR(count, 2000, 5 * std::sqrt(8000 * .25 * .75));
}

// P = p^a / sum p^a with p = |error| + offset; weights (size P)^-b over the largest of the draw.
TEST(ReplayMemory, DrawnByPriorityAndCorrected) {
  ReplayMemory memory = memory_of(8, 0.6, 4);
  const double errors[] = {0, -3.5, 1.5, 0.5};
  double powers[4], total = 0;
  for (int i = 0; i < 4; ++i) {
    memory.set_error(i, errors[i]);
    powers[i] = std::pow(std::abs(errors[i]) + 0.5, 0.6);
    total += powers[i];
  }
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(memory.probability(i), powers[i] / total, 1e-15);
  std::vector<double> counts(4);
  constexpr int draws = 5000;
  for (int i = 0; i < draws; ++i) {
    const auto draw = memory.draw(3, 0.4, RandomStream(2, "test", static_cast<std::uint64_t>(i)));
    double least = 1;
    for (const std::int64_t place : draw.places) {
      counts[static_cast<std::size_t>(place)] += 1;
      least = std::min(least, memory.probability(place));
    }
    for (std::size_t k = 0; k < draw.places.size(); ++k) {
      const double expected = std::pow(memory.probability(draw.places[k]) / least, -0.4);
      ASSERT_NEAR(static_cast<double>(draw.weights[k]), expected, 1e-6);
    }
  }
  for (int i = 0; i < 4; ++i) {
    const double p = powers[i] / total;
    EXPECT_NEAR(counts[static_cast<std::size_t>(i)] / (3 * draws), p,
                5 * std::sqrt(p * (1 - p) / (3 * draws)))
        << "record " << i;
  }
}

TEST(ReplayMemory, NewRecordsHaveTheLargestPrioritySoFar) {
  ReplayMemory memory = memory_of(8, 1, 2);
  memory.set_error(0, 9.5);
  memory.set_error(0, 0.5);  // 10 remains the largest so far
  int value = 7;
  memory.add(std::as_bytes(std::span(&value, 1)));
  EXPECT_DOUBLE_EQ(memory.probability(0), 1.0 / 12);
  EXPECT_DOUBLE_EQ(memory.probability(1), 1.0 / 12) << "1 before any error was known";
  EXPECT_DOUBLE_EQ(memory.probability(2), 10.0 / 12);
}

TEST(ReplayMemory, GoesOnAfterLoadingInMemoryAndInAFile) {
  const testing::TemporaryFolder folder;
  for (const std::string& place : {std::string(), folder.path()}) {
    ReplayMemory memory = memory_of(5, 0.7, 8, place);
    for (int i = 0; i < 5; ++i) memory.set_error(i, 0.3 * i * i);
    State state;
    memory.save(state);
    ReplayMemory loaded = memory_of(5, 0.7, 0, place);
    loaded.load(state);
    for (ReplayMemory* one : {&memory, &loaded}) {
      int value = 99;
      one->add(std::as_bytes(std::span(&value, 1)));
      one->set_error(2, 4);
    }
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(value_at(memory, i), value_at(loaded, i));
      EXPECT_EQ(memory.probability(i), loaded.probability(i));
    }
    const RandomStream random(3, "test");
    EXPECT_EQ(memory.draw(6, 0.5, random).places, loaded.draw(6, 0.5, random).places);
    EXPECT_EQ(memory.draw(6, 0.5, random).weights, loaded.draw(6, 0.5, random).weights);
  }
}

// Two rows of four steps of an environment with states; row 0 terminates at step 1 (of 0 ... 3) and
// begins anew, row 1 is cut off at step 2.
Batch collection() {
  Batch batch;
  batch.rows = 2;
  batch.length = 4;
  batch.tokens = {10, 11, 20, 21, 30, 31, 32, 40};
  batch.targets = {0, 1, 2, 3, 4, 5, 6, 7};
  batch.weights.assign(8, 1.0F);
  Experience& lived = batch.experience;
  lived.rewards = {1, 2, 4, 8, 16, 32, 64, 128};
  lived.discounts = {0.5F, 0, 0.5F, 0.5F, 0.5F, 0.5F, 0.5F, 0.5F};
  lived.terminated = {0, 1, 0, 0, 0, 0, 0, 0};
  lived.truncated = {0, 0, 0, 0, 0, 0, 1, 0};
  lived.behaviour = {-1, -2, -3, -4, -5, -6, -7, -8};
  lived.open_places = {3, 6, 7};
  lived.open_states = {22, 33, 41};
  lived.open_actions = {8, 9, 10};
  return batch;
}

struct Expected {
  std::int32_t state, action, successor, next_action;
  double reward, discount;
  bool terminated, truncated;
};

void expect_transitions(const std::vector<StepTransition>& found,
                        const std::vector<Expected>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(found[i].state, expected[i].state);
    EXPECT_EQ(found[i].action, expected[i].action);
    EXPECT_EQ(found[i].reward, expected[i].reward);
    EXPECT_EQ(found[i].discount, expected[i].discount);
    EXPECT_EQ(found[i].terminated, expected[i].terminated);
    EXPECT_EQ(found[i].truncated, expected[i].truncated);
    if (expected[i].discount == 0) continue;
    EXPECT_EQ(found[i].successor, expected[i].successor);
    EXPECT_EQ(found[i].next_action, expected[i].next_action);
  }
}

TEST(StepCutter, OneStep) {
  StepCutter cutter(2, 1, 0.5);
  expect_transitions(cutter.cut(collection()), {{10, 0, 11, 1, 1, 0.5, false, false},
                                                {30, 4, 31, 5, 16, 0.5, false, false},
                                                {11, 1, 0, 0, 2, 0, true, false},
                                                {31, 5, 32, 6, 32, 0.5, false, false},
                                                {20, 2, 21, 3, 4, 0.5, false, false},
                                                {32, 6, 33, 9, 64, 0.5, false, true},
                                                {21, 3, 22, 8, 8, 0.5, false, false},
                                                {40, 7, 41, 10, 128, 0.5, false, false}});
}

// 3 steps with discount 1/2: rewards r + r'/2 + r''/4, then 1/8 of what follows; shorter at ends.
TEST(StepCutter, ThreeStepsOverTheSeamOfCollections) {
  StepCutter cutter(2, 3, 0.5);
  const std::vector<Expected> first = {{10, 0, 0, 0, 2, 0, true, false},
                                       {11, 1, 0, 0, 2, 0, true, false},
                                       {30, 4, 33, 9, 48, 0.125, false, true},
                                       {31, 5, 33, 9, 64, 0.25, false, true},
                                       {32, 6, 33, 9, 64, 0.5, false, true}};
  expect_transitions(cutter.cut(collection()), first);

  const TransitionLayout layout(Space::discrete(50), Space::discrete(11));
  State state;
  cutter.save(state, layout);
  StepCutter resumed(2, 3, 0.5);
  resumed.load(state, layout);

  Batch next = collection();
  next.tokens = {22, 23, 24, 25, 41, 42, 43, 44};
  next.experience.terminated = {0, 0, 0, 0, 0, 0, 0, 0};
  next.experience.truncated = {0, 0, 0, 0, 0, 0, 0, 0};
  next.experience.discounts.assign(8, 0.5F);
  next.experience.open_places = {3, 7};
  next.experience.open_states = {26, 45};
  next.experience.open_actions = {8, 9};
  for (StepCutter* one : {&cutter, &resumed}) {
    expect_transitions(one->cut(next), {{20, 2, 23, 1, 4 + 4 + 0.25, 0.125, false, false},
                                        {21, 3, 24, 2, 8 + 0.5 + 0.5, 0.125, false, false},
                                        {40, 7, 43, 6, 128 + 8 + 8, 0.125, false, false},
                                        {22, 0, 25, 3, 1 + 1 + 1, 0.125, false, false},
                                        {41, 4, 44, 7, 16 + 16 + 16, 0.125, false, false},
                                        {23, 1, 26, 8, 2 + 2 + 2, 0.125, false, false},
                                        {42, 5, 45, 9, 32 + 32 + 32, 0.125, false, false}});
  }
}

TEST(TransitionLayout, KeepsNumbersAndMoves) {
  const TransitionLayout layout(Space::box({0, 0, 0}, {1, 1, 1}), Space::box({0, 0}, {1, 1}));
  std::vector<std::byte> one(layout.bytes()), other(layout.bytes());
  StepTransition t;
  t.from = {1, 2, 3};
  t.to = {4, 5, 6};
  t.moves = {-1, 7};
  t.reward = 0.25;
  t.discount = 0.75;
  t.truncated = true;
  t.behaviour = -1.5F;
  layout.write(t, one);
  t.from = {9, 8, 7};
  t.terminated = true;
  t.truncated = false;
  t.discount = 0;
  layout.write(t, other);
  const std::vector<std::span<const std::byte>> records = {one, other};
  const Batch batch = layout.batch(records);
  EXPECT_EQ(batch.rows, 2);
  EXPECT_EQ(batch.length, 1);
  EXPECT_EQ(batch.experience.width, 3);
  EXPECT_EQ(batch.experience.observations, (Floats{1, 2, 3, 9, 8, 7}));
  EXPECT_EQ(batch.experience.open_observations, (Floats{4, 5, 6, 4, 5, 6}));
  EXPECT_EQ(batch.experience.open_places, (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(batch.experience.moves, (Floats{-1, 7, -1, 7}));
  EXPECT_EQ(batch.experience.rewards, (Floats{0.25F, 0.25F}));
  EXPECT_EQ(batch.experience.discounts, (Floats{0.75F, 0}));
  EXPECT_EQ(batch.experience.terminated, (std::vector<std::uint8_t>{0, 1}));
  EXPECT_EQ(batch.experience.truncated, (std::vector<std::uint8_t>{1, 0}));
  EXPECT_EQ(batch.experience.behaviour, (Floats{-1.5F, -1.5F}));
  EXPECT_EQ(batch.weights, (Floats{1, 1}));
}

TEST(TextLayout, KeepsWholeRowsAndPadsToTheLongest) {
  Batch texts = padding_batch(2, 6);
  place_piece(texts, 0, 0, 0, Ints{5, 6, 7}, Floats{0, 1, 1});
  place_piece(texts, 1, 0, 0, Ints{1, 2, 3, 4}, Floats{0, 0, 1, 1});
  Experience& lived = texts.experience;
  lived.rewards.assign(12, 0.0F);
  lived.discounts.assign(12, 1.0F);
  lived.terminated.assign(12, 0);
  lived.truncated.assign(12, 0);
  lived.behaviour.assign(12, -0.5F);
  lived.rewards[1] = 2;
  lived.terminated[1] = 1;
  lived.discounts[1] = 0;
  lived.truncated[8] = 1;
  const TextLayout layout(6);
  std::vector<std::byte> first(layout.bytes()), second(layout.bytes());
  layout.write(texts, 0, first);
  layout.write(texts, 1, second);
  const std::vector<std::span<const std::byte>> records = {second, first};
  const Batch batch = layout.batch(records);
  EXPECT_EQ(batch.length, 4);
  EXPECT_EQ(batch.tokens, (Ints{1, 2, 3, 4, 5, 6, 7, 0}));
  EXPECT_EQ(batch.targets, (Ints{-1, 3, 4, -1, 6, 7, -1, -1}));
  EXPECT_EQ(batch.weights, (Floats{0, 1, 1, 0, 1, 1, 0, 0}));
  EXPECT_EQ(batch.positions, (Ints{0, 1, 2, 3, 0, 1, 2, 0}));
  EXPECT_EQ(batch.segments, (Ints{0, 0, 0, 0, 0, 0, 0, -1}));
  EXPECT_EQ(batch.experience.rewards, (Floats{0, 0, 0, 0, 0, 2, 0, 0}));
  EXPECT_EQ(batch.experience.discounts, (Floats{1, 1, 1, 1, 1, 0, 1, 0}));
  EXPECT_EQ(batch.experience.terminated, (std::vector<std::uint8_t>{0, 0, 0, 0, 0, 1, 0, 0}));
  EXPECT_EQ(batch.experience.truncated, (std::vector<std::uint8_t>{0, 0, 1, 0, 0, 0, 0, 0}));
}

}  // namespace
}  // namespace lathe
