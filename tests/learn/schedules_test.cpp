#include <gtest/gtest.h>
#include <lathe/config/toml.h>
#include <lathe/learn/schedules.h>

#include <cmath>

namespace lathe {
namespace {
Config of(const char* text) { return parse_toml(text, "test"); }

// nanoGPT's warm-up: (step + 1) / (warmup + 1), so 1 is reached at step `warmup`.
TEST(Schedule, Constant) {
  const ConstantSchedule flat{Config()};
  EXPECT_EQ(flat.factor(0, 10), 1);
  EXPECT_EQ(flat.factor(9, 10), 1);
  const ConstantSchedule warmed(of("warmup = 4"));
  EXPECT_DOUBLE_EQ(warmed.factor(0, 10), 0.2);
  EXPECT_DOUBLE_EQ(warmed.factor(3, 10), 0.8);
  EXPECT_EQ(warmed.factor(4, 10), 1);
}

TEST(Schedule, Linear) {
  const LinearSchedule line(of("warmup = 2\nfloor = 0.1"));
  EXPECT_DOUBLE_EQ(line.factor(0, 12), 1.0 / 3);
  EXPECT_DOUBLE_EQ(line.factor(1, 12), 2.0 / 3);
  EXPECT_DOUBLE_EQ(line.factor(2, 12), 1);
  EXPECT_DOUBLE_EQ(line.factor(7, 12), 0.55);
  EXPECT_DOUBLE_EQ(line.factor(12, 12), 0.1);
  EXPECT_DOUBLE_EQ(line.factor(99, 12), 0.1);
}

TEST(Schedule, Cosine) {
  const CosineSchedule wave(of("warmup = 2\nfloor = 0.1"));
  EXPECT_DOUBLE_EQ(wave.factor(1, 14), 2.0 / 3);
  EXPECT_DOUBLE_EQ(wave.factor(2, 14), 1);
  EXPECT_DOUBLE_EQ(wave.factor(6, 14), 0.1 + 0.9 * 0.75);  // a third: (1 + cos 60) / 2
  EXPECT_DOUBLE_EQ(wave.factor(8, 14), 0.55);
  EXPECT_DOUBLE_EQ(wave.factor(10, 14), 0.1 + 0.9 * 0.25);
  EXPECT_DOUBLE_EQ(wave.factor(14, 14), 0.1);
}

TEST(Schedule, WarmupStableDecay) {
  const WarmupStableDecay root(of("warmup = 2\ndecay = 0.4\nfloor = 0.2"));
  EXPECT_DOUBLE_EQ(root.factor(0, 40), 1.0 / 3);
  EXPECT_DOUBLE_EQ(root.factor(2, 40), 1);
  EXPECT_DOUBLE_EQ(root.factor(24, 40), 1);
  EXPECT_DOUBLE_EQ(root.factor(28, 40), 1 - 0.8 * 0.5);  // a quarter of the fall
  EXPECT_DOUBLE_EQ(root.factor(40, 40), 0.2);
  const WarmupStableDecay line(of("decay = 0.4\nshape = \"linear\""));
  EXPECT_DOUBLE_EQ(line.factor(28, 40), 0.75);
  EXPECT_DOUBLE_EQ(line.factor(36, 40), 0.25);
}

TEST(Schedule, AllWarmup) {
  for (const std::int64_t step : {0, 5, 9}) {
    EXPECT_DOUBLE_EQ(CosineSchedule(of("warmup = 10")).factor(step, 10),
                     static_cast<double>(step + 1) / 11);
  }
}

}  // namespace
}  // namespace lathe
